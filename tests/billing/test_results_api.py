"""Meter answers by REST: kept once each, in one's own branches, whatever is wrong with their neighbours."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from billing_cutoffs.models import MeterAnswer
from tests.api.clients import Machine, machine, refused
from tests.factories.grid import SmallCity


@pytest.fixture
def head_end(city: SmallCity) -> Machine:
    return machine("meter_event:create")


def answered(meter: str = "M0001", key: str = "a1", **facts: Any) -> dict[str, Any]:
    return {
        "answer_id": key, "meter_number": meter, "position": "connected", "read_at": timezone.now().isoformat(),
        **facts,
    }  # fmt: skip


def outcomes(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return [item["outcome"] for item in answer.json()["items"]]


def test_an_answer_is_kept_once_however_often_it_is_sent(head_end: Machine) -> None:
    body = {"source_system": "ami", "items": [answered(), answered()]}

    assert outcomes(head_end("cutoff-results/", body)) == ["stored", "already_known"]
    assert outcomes(head_end("cutoff-results/", body)) == ["already_known", "already_known"]

    kept = MeterAnswer.objects.get()
    assert (kept.source_system, kept.answer_id, kept.meter_number) == ("ami", "a1", "M0001")
    assert (kept.position, kept.is_failure, kept.applied_at) == ("connected", False, None)


def test_a_wrong_item_stops_no_other(head_end: Machine) -> None:
    items = [answered(key="a1", position="sideways"), "nonsense", answered(key="a3")]

    answer = head_end("cutoff-results/", {"items": items})

    assert outcomes(answer)[2] == "stored"
    assert (answer.json()["accepted"], answer.json()["refused"]) == (1, 2)
    assert [kept.answer_id for kept in MeterAnswer.objects.all()] == ["a3"]


def test_a_branchs_own_head_end_speaks_for_its_own_meters_only(city: SmallCity) -> None:
    east = machine("meter_event:create", branch=city.east)
    west = next(point for point in city.service_points.values() if point.branch == city.west)

    answer = east(
        "cutoff-results/",
        {"items": [answered(west.meter_number, "a1"), answered("nowhere", "a2"), answered("M0001", "a3"), 7]},
    )

    assert outcomes(answer)[:3] == ["unknown_code", "unknown_code", "stored"]
    first, second = (item["error"] for item in answer.json()["items"][:2])
    assert (first["code"], first["field"]) == (second["code"], second["field"]) == ("unknown_code", "meter_number")
    assert [kept.answer_id for kept in MeterAnswer.objects.all()] == ["a3"]


def test_a_meter_number_that_no_column_can_hold_is_refused_like_any_other(city: SmallCity) -> None:
    east = machine("meter_event:create", branch=city.east)

    answer = east("cutoff-results/", {"items": [answered("M\x000001", "a1"), answered("M0001", "a2")]})

    assert outcomes(answer)[1] == "stored"
    assert (answer.json()["items"][0]["error"]["code"], answer.json()["refused"]) == ("bad_text", 1)


@pytest.mark.parametrize("scope", ["cutoff:read", "cutoff:draft", "payment:write"])
def test_other_scopes_are_refused(city: SmallCity, scope: str) -> None:
    assert refused(machine(scope)("cutoff-results/", {"items": [answered()]}), 403, "permission_denied")
    assert not MeterAnswer.objects.exists()


def test_a_wrong_envelope_is_a_400(head_end: Machine) -> None:
    assert refused(head_end("cutoff-results/", {"items": []}), 400, "invalid", "items")
    assert refused(head_end("cutoff-results/", {"answers": [answered()]}), 400, "invalid", "items")
