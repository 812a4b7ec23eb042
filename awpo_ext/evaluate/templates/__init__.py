"""The reports' templates, in jinja2."""
