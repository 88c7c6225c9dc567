"""Settings of the tests: the same servers and the same checks, a cheap password hash, nothing else."""

import os

from outage_mgmt import embedded
from outage_mgmt.settings import *  # noqa: F403
from outage_mgmt.settings import CACHES, DATA_DIR, EMBEDDED_REDIS, broker_url

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LANGUAGE_CODE = "en"

# PostgreSQL gives every test process a database of its own; Redis' channels are one for all its databases
_worker = os.environ.get("PYTEST_XDIST_WORKER")
if EMBEDDED_REDIS and _worker:
    REDIS_URL = embedded.ensure(DATA_DIR / _worker, postgres=False, with_redis=True).redis_url
    CACHES = {"default": {**CACHES["default"], "LOCATION": REDIS_URL}}
    CELERY_BROKER_URL = broker_url(REDIS_URL)

TOKEN_REMEMBERED_S = 0  # each test revokes and asks at once; the memory has a test of its own
