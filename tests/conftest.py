"""Settings for all tests: no deadline for a single example, because a busy machine is no failure; in CI no dice."""

import os

from hypothesis import settings

settings.register_profile("zeroskip", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("zeroskip")
