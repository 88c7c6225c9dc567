"""How a task is called: a bell that may stay silent."""

from __future__ import annotations

from typing import Any, cast

from celery.contrib.django.task import DjangoTask
from django.db import transaction
from django.utils.module_loading import import_string


class Doorbell(DjangoTask[Any, Any]):
    """Work that is owed stands in PostgreSQL, and beat comes for it. Ringing only makes it quick.

    So a request whose rows are committed does not fail because Redis is away: that is logged, and the page goes on.
    """

    def delay_on_commit(self, *args: Any, **kwargs: Any) -> None:  # type: ignore[override]  # their stub errs
        def ring() -> None:
            self.delay(*args, **kwargs)

        transaction.on_commit(ring, robust=True)


def ring_on_commit(task: str) -> None:
    """Ring a bell by its name: for services, which stand below the tasks."""
    bell = cast(Doorbell, import_string(task))  # whoever rings may not have read the tasks yet
    bell.delay_on_commit()
