"""A run without an accelerator; inert unless VERL_PLATFORM=cpu."""
