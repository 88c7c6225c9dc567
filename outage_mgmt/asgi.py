"""One entry for everything: ``/live/`` is a native async stream, the rest is Django in a thread pool."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "outage_mgmt.settings")
