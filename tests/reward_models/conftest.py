"""Hypothesis back to the usual number of examples."""

import os

from hypothesis import settings

settings.load_profile(os.environ.get("AWPO_TEST_PROFILE", "ci"))  # tests/core loads another
