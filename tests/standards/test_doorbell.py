"""A page whose rows are committed goes on although nobody can be rung."""

from __future__ import annotations

import logging

import pytest
from celery import Celery
from django.db import transaction

from standards.doorbell import Doorbell


@pytest.mark.django_db(transaction=True)
def test_a_silent_bell_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    nobody_there = Celery("nobody", broker="redis://127.0.0.1:1/0", set_as_current=False, fixups=[])
    nobody_there.conf.task_publish_retry = False

    def work() -> None:
        raise AssertionError("nobody is there to do it")

    ring = nobody_there.task(base=Doorbell)(work)

    with caplog.at_level(logging.ERROR), transaction.atomic():
        ring.delay_on_commit()

    assert [record.levelname for record in caplog.records] == ["ERROR"]
