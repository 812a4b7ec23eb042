"""The classifier: a language model or encoder with a number for a head."""
