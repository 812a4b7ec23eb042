"""The method's properties are tested on more examples than the rest."""

import os

from hypothesis import settings

settings.load_profile(os.environ.get("AWPO_TEST_PROFILE", "core"))
