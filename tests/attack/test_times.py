"""Times that cannot be (reliability.md B-06): refused, the field is named, nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from outages.models import Outage
from tests.attack.conftest import Send

IMPOSSIBLE = [
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59Z",
    "9999-12-31T23:59:59-12:00",
    "10000-01-01T00:00:00Z",
    "2023-02-29T12:00:00+08:00",
    "2026-02-30T12:00:00+08:00",
    "2026-13-01T00:00:00Z",
    "2026-01-01T25:00:00Z",
    "2026-01-01T00:00:00+99:00",
    "-2026-01-01T00:00:00Z",
    "yesterday",
    "",
    "1",
]
FIELDS = [
    ("trouble-reports/", "reported_at", {"service_point": "SP0001"}),
    ("faults/", "started_at", {"elements": ["T21"]}),
    ("faults/", "etr", {"elements": ["T21"], "etr_source": "crew"}),
    ("faults/", "next_update_by", {"elements": ["T21"]}),
    ("faults/{}/set-etr/", "etr", {"etr_source": "crew"}),
    ("faults/{}/set-etr/", "next_update_by", {"etr_source": "crew"}),
    ("faults/{}/restore/", "restored_at", {}),
    ("faults/{}/restore-part/", "at", {"elements": ["T12"]}),
]


@pytest.mark.parametrize(("path", "name", "body"), FIELDS, ids=[f"{path}{name}" for path, name, _body in FIELDS])
def test_a_time_that_cannot_be_is_refused_by_name(
    path: str, name: str, body: dict[str, Any], send: Send, fault: Outage, everything: Callable[[], dict[str, Any]]
) -> None:
    before = everything()
    wrong = []

    for value in IMPOSSIBLE:
        answer = send(path.format(fault.reference), {**body, name: value})
        named = [error["field"] for error in answer.json().get("errors", [])]
        if answer.status_code not in (400, 422) or named != [name]:
            wrong.append((value, answer.status_code, named))

    assert wrong == []
    assert everything() == before


def test_restored_before_started_names_the_field(
    send: Send, fault: Outage, everything: Callable[[], dict[str, Any]]
) -> None:
    before = everything()
    early = (timezone.now() - timedelta(hours=2)).isoformat()

    answers = [
        send(f"faults/{fault.reference}/restore/", {"restored_at": early}),
        send(f"faults/{fault.reference}/restore-part/", {"at": early, "elements": ["T12"]}),
    ]

    assert [a.status_code for a in answers] == [422, 422]
    assert [a.json()["errors"][0]["field"] for a in answers] == ["restored_at", "at"]
    assert everything() == before


def test_an_estimate_that_has_passed_names_the_field(
    send: Send, fault: Outage, everything: Callable[[], dict[str, Any]]
) -> None:
    before = everything()
    past = (timezone.now() - timedelta(minutes=10)).isoformat()

    answer = send(f"faults/{fault.reference}/set-etr/", {"etr": past, "etr_source": "crew"})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "etr")
    assert everything() == before


def test_the_leap_day_of_a_leap_year_is_a_day(send: Send) -> None:
    answer = send("trouble-reports/", {"service_point": "SP0001", "reported_at": "2024-02-29T12:00:00+08:00"})

    assert answer.status_code < 500
    assert "2024-02-29" not in str(answer.json().get("errors", ""))
