"""Settings of the tests: the same servers and the same checks, a cheap password hash, nothing else."""

from outage_mgmt.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LANGUAGE_CODE = "en"
