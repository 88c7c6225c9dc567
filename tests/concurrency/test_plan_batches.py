"""The same works handed in by several at one moment are entered once, and everybody is told the same."""

from __future__ import annotations

import pytest

from accounts.actor import Actor
from outages.planned.models import PlannedWork, WorkWindow
from outages.planned.services import WorkRequest, works_create_batch
from tests.concurrency.test_outage_writers import together
from tests.factories.grid import SmallCity
from tests.planned.world import draft

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

SENDERS = 8
WORKS = 20


def test_a_batch_sent_by_eight_at_once_is_entered_once(city: SmallCity, pia: Actor) -> None:
    requests = [WorkRequest(city.east.pk, None, draft(city, "T11", key=f"K-{n}")) for n in range(WORKS)]

    answers = together(*[lambda: works_create_batch(actor=pia, requests=requests, source="api")] * SENDERS)

    told = [[outcome.work.pk for outcome in outcomes] for outcomes in answers]
    assert all(works == told[0] for works in told)
    assert sum(outcome.is_new for outcomes in answers for outcome in outcomes) == WORKS
    assert PlannedWork.objects.count() == WORKS
    assert WorkWindow.objects.count() == WORKS
