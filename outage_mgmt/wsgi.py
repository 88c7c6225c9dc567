"""Django as a WSGI application; `asgi.py` runs it in a thread pool."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "outage_mgmt.settings")

application = get_wsgi_application()
