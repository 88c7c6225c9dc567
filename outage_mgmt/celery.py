"""The Celery application: a doorbell. What is owed lives in PostgreSQL."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "outage_mgmt.settings")

from outage_mgmt.beat import SCHEDULE  # after the settings have a name

app = Celery("outage_mgmt")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = SCHEDULE
app.autodiscover_tasks()
