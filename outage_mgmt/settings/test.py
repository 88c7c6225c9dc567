"""Settings of the tests: the same servers and the same checks, a cheap password hash, nothing else."""

import os

from outage_mgmt import embedded
from outage_mgmt.settings import *  # noqa: F403
from outage_mgmt.settings import CACHES, DATA_DIR, DATABASES, EMBEDDED_POSTGRES, EMBEDDED_REDIS, broker_url

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LANGUAGE_CODE = "en"

# Servers of its own for every test process: a transaction that is open in another database of the same server holds
# back every reader of the event log, and Redis' channels are one for all its databases.
_worker = os.environ.get("PYTEST_XDIST_WORKER")
if _worker and (EMBEDDED_POSTGRES or EMBEDDED_REDIS):
    _own = embedded.ensure(
        DATA_DIR / _worker, postgres=EMBEDDED_POSTGRES, with_redis=EMBEDDED_REDIS, survive_power_cut=False
    )
    if EMBEDDED_POSTGRES:
        DATABASES = {"default": {**DATABASES["default"], "HOST": str(_own.sockets)}}
    if EMBEDDED_REDIS:
        REDIS_URL = _own.redis_url
        CACHES = {"default": {**CACHES["default"], "LOCATION": REDIS_URL}}
        CELERY_BROKER_URL = broker_url(REDIS_URL)

TOKEN_REMEMBERED_S = 0  # each test revokes and asks at once; the memory has a test of its own
