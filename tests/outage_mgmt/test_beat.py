"""Schedules name tasks that exist."""

from __future__ import annotations

from django.conf import settings

from outage_mgmt.beat import TURNS
from outage_mgmt.celery import app


def test_every_schedule_names_a_task_that_exists_and_says_why() -> None:
    app.loader.import_default_modules()

    assert {turn.task for turn in TURNS.values()} - set(app.tasks) == set()
    assert all(turn.because.endswith(".") for turn in TURNS.values())


def test_every_queue_that_a_task_names_has_a_worker() -> None:
    app.loader.import_default_modules()
    served = set(settings.WORKER_QUEUES.split(","))

    named = {task.name: getattr(task, "queue", None) for task in app.tasks.values()}

    assert app.conf.task_default_queue in served
    assert {name: queue for name, queue in named.items() if queue and queue not in served} == {}
