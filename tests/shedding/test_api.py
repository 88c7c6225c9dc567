"""Load shedding by REST: what everybody reads, what tools tell, what SCADA switches, and what no token may."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.actor import Actor
from outages.load_shedding.models import SheddingEvent, SheddingPlan, Slot
from outages.load_shedding.services import schedule as services
from outages.models import Outage
from tests.api.clients import Machine, machine, refused
from tests.factories.grid import SmallCity
from tests.shedding.happening import HOUR, announced, minute, plan_ready, slot_of
from tests.shedding.world import block, draft, every_day, everything_shed

SCADA = ("shedding:write",)


@pytest.fixture(autouse=True)
def nobody_has_asked_yet() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def ready(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    return plan_ready(city, asha, otto, turns=every_day("A", "08:00", "10:00"))


@pytest.fixture
def scada(city: SmallCity) -> Machine:
    return machine(*SCADA)


@pytest.fixture
def running(asha: Actor, otto: Actor, ready: SheddingPlan) -> SheddingEvent:
    """Three MW less, in an emergency, from now on: A and B are to be off."""
    return announced(asha, otto, ready, mw=3.0, starts_at=minute(), is_emergency=True, blocks=("A", "B"))


def order(**facts: Any) -> dict[str, Any]:
    begins = minute() + HOUR
    return {
        "branch": "010",
        "order": {
            "starts_at": begins.isoformat(), "ends_at": (begins + 2 * HOUR).isoformat(), "order_number": "7",
            "authority": "省调", "target_mw": 3.0, **facts,
        },
    }  # fmt: skip


# --- reading ------------------------------------------------------------------------------------------


def test_plans_in_force_are_read_with_stages_and_blocks(city: SmallCity, asha: Actor, ready: SheddingPlan) -> None:
    draft(city, asha, name="not yet")

    [plan] = machine("outage:read").get("shedding-plans/").json()

    assert (plan["branch"]["code"], plan["number"], plan["name"]) == ("010", 1, "有序用电方案")
    assert plan["stages"][0] == {"number": 1, "colour": "blue", "mw": 1.0}
    assert [(one["code"], one["elements"], one["customers"]) for one in plan["blocks"]] == [
        ("A", ["L11"], 3),
        ("B", ["T21"], 2),
        ("C", ["U22"], 1),
    ]


def test_plans_take_the_same_statements_for_any_number_of_blocks(
    ready: SheddingPlan, django_assert_num_queries: Any
) -> None:
    client = machine("outage:read")
    client.get("shedding-plans/")
    with django_assert_num_queries(6):
        client.get("shedding-plans/")

    ready.blocks.model.objects.bulk_create(
        ready.blocks.model(plan=ready, code=f"X{n}", mw_by_hour=[0.0] * 24) for n in range(30)
    )

    with django_assert_num_queries(6):
        assert len(client.get("shedding-plans/").json()[0]["blocks"]) == 33


def test_everybody_reads_what_is_published_and_what_is_not_known(asha: Actor, ready: SheddingPlan) -> None:
    begins = (timezone.localtime() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    services.stage_publish(
        actor=asha, plan_id=ready.pk, stage=1, begins=begins, until=begins + 24 * HOUR, certainty="forecast"
    )

    response = Client().get("/api/v1/shedding-schedule/", {"branch": "010", "block": "A"})

    [told] = response.json()
    assert response["Cache-Control"] == "public, max-age=60"
    assert [(turn["block"], turn["certainty"], turn["stage"]) for turn in told["turns"]] == [("A", "forecast", 1)]
    assert told["known_until"] is None
    assert len(told["known"]) == 1
    assert len(told["unknown"]) == 2
    assert told["blocks"] == [{"code": "A", "name": "A区块", "name_en": "Block A", "formerly": []}]
    assert "customers" not in response.content.decode()


def test_a_former_name_finds_the_block_and_an_unknown_one_nothing(ready: SheddingPlan) -> None:
    named = block(ready, "A")
    named.formerly = ["OLD"]
    named.save(update_fields=["formerly"])

    [told] = Client().get("/api/v1/shedding-schedule/", {"block": "OLD"}).json()

    assert [one["code"] for one in told["blocks"]] == ["A"]
    for query in ({"block": "NEVER"}, {"branch": "NEVER"}):
        assert refused(Client().get("/api/v1/shedding-schedule/", query), 404, "not_found")


def test_the_public_schedule_is_asked_only_so_often(ready: SheddingPlan) -> None:
    statuses = [Client().get("/api/v1/shedding-schedule/").status_code for _n in range(121)]

    assert (set(statuses[:120]), statuses[120]) == ({200}, 429)


def test_an_event_is_read_with_its_slots_and_the_ledger(running: SheddingEvent) -> None:
    client = machine("outage:read")

    listed = client.get("shedding-events/").json()["results"]
    found = client.get(f"shedding-events/{running.reference}/").json()

    assert [one["reference"] for one in listed] == [running.reference]
    assert client.get("shedding-events/?state=ended").json()["results"] == []
    assert (found["state"], found["target_mw"]) == ("confirmed", 3.0)
    assert [(slot["block"], slot["state"], slot["mw_planned"]) for slot in found["slots"]] == [
        ("A", "planned", 1.0),
        ("B", "planned", 2.0),
    ]
    assert [(row["block"], row["turns"], row["shedding"]) for row in found["ledger"]] == [("A", 0, 0.0), ("B", 0, 0.0)]


# --- telling ------------------------------------------------------------------------------------------


def test_a_warning_and_the_order_that_follows_it(city: SmallCity, ready: SheddingPlan, scada: Machine) -> None:
    warned = scada("shedding-events/", {"branch": "010", "alert": {"colour": "orange", "authority": "省调"}})
    reference = warned.json()["reference"]
    told = scada("shedding-events/", {"event": reference, "order": order()["order"]})

    assert (warned.status_code, warned.json()["state"]) == (201, "alert")
    assert (told.status_code, told.json()["reference"], told.json()["state"]) == (201, reference, "ordered")
    assert told["Location"].endswith(f"/api/v1/shedding-events/{reference}/")
    assert SheddingEvent.objects.count() == 1


def test_an_order_sent_twice_with_one_key_is_one_event(ready: SheddingPlan, scada: Machine) -> None:
    body = order()

    first, second = (scada("shedding-events/", body, HTTP_IDEMPOTENCY_KEY="k1") for _n in range(2))

    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    assert second["Idempotency-Replayed"] == "true"
    assert SheddingEvent.objects.count() == 1


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"target_mw": 0.0}, 422, "bad_order"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, 422, "bad_order"),
        ({"stage": 9, "target_mw": None}, 422, "unknown_code"),
        ({"target_mw": "much"}, 400, "invalid"),
    ],
)
def test_a_bad_order_is_refused_and_nothing_is_written(
    ready: SheddingPlan, scada: Machine, change: dict[str, Any], status: int, code: str
) -> None:
    before = everything_shed()

    assert refused(scada("shedding-events/", order(**change)), status, code)
    assert everything_shed() == before


@pytest.mark.parametrize("body", [{}, {"branch": "010"}, {"branch": "010", "event": "x", "order": {}}])
def test_a_body_says_exactly_one_thing(ready: SheddingPlan, scada: Machine, body: dict[str, Any]) -> None:
    assert refused(scada("shedding-events/", body), 400, "invalid")


def test_no_token_proposes_or_confirms(running: SheddingEvent, scada: Machine) -> None:
    before = everything_shed()

    for verb in ("propose", "confirm", "undo", "change", "end", "cancel"):
        assert scada(f"shedding-events/{running.reference}/{verb}/").status_code == 404

    assert everything_shed() == before


def test_without_the_scope_nothing_is_told_or_read(city: SmallCity, running: SheddingEvent) -> None:
    before, slot = everything_shed(), slot_of(running, "A")
    reader, other = machine("outage:read"), machine("report:create")

    for path in ("shedding-events/", f"shedding-slots/{slot.pk}/off/", "shedding-switchings/"):
        assert refused(reader(path, order()), 403, "permission_denied")
    for path in ("shedding-events/", "shedding-plans/", f"shedding-events/{running.reference}/"):
        assert other.get(path).status_code == 403
        assert Client().get(f"/api/v1/{path}").status_code == 401
    assert everything_shed() == before


def test_another_branch_is_the_same_as_missing(city: SmallCity, running: SheddingEvent) -> None:
    before, slot, west = everything_shed(), slot_of(running, "A"), machine(*SCADA, branch=city.west)

    assert west(f"shedding-slots/{slot.pk}/off/").status_code == 404
    assert west("shedding-events/", order()).status_code == 422
    body = {"event": running.reference, "switchings": [{"block": "A", "action": "off", "at": "2026-01-01T00:00:00Z"}]}
    assert west("shedding-switchings/", body).status_code == 404
    assert everything_shed() == before


# --- switching ----------------------------------------------------------------------------------------


def test_scada_says_off_and_on_with_what_it_measured(running: SheddingEvent, scada: Machine) -> None:
    slot, off_at = slot_of(running, "A"), timezone.now().replace(microsecond=0)
    path = f"shedding-slots/{slot.pk}/"

    off = scada(f"{path}off/", {"at": off_at.isoformat(), "mw": 0.9})
    back = scada(f"{path}on/", {"at": (off_at + timedelta(seconds=1)).isoformat()})

    assert (off.status_code, back.status_code) == (200, 200)
    assert (off.json()["state"], off.json()["mw_off"], off.json()["is_measured"]) == ("off", 0.9, True)
    assert (back.json()["state"], back.json()["mw_off"]) == ("on", 0.9)
    assert Outage.objects.get(reference=off.json()["outage"]).status == "restored"


def test_said_twice_it_stands_once_and_said_otherwise_it_is_a_conflict(running: SheddingEvent, scada: Machine) -> None:
    slot, off_at = slot_of(running, "A"), timezone.now().replace(microsecond=0)
    path = f"shedding-slots/{slot.pk}/off/"
    first = scada(path, {"at": off_at.isoformat(), "mw": 0.9})
    before = everything_shed()

    again = scada(path, {"at": off_at.isoformat(), "mw": 0.9})

    assert again.json() == first.json()
    assert refused(scada(path, {"at": off_at.isoformat(), "mw": 1.5}), 409, "said_otherwise")
    assert everything_shed() == before


def test_on_is_said_of_the_turn_that_is_off_though_the_next_one_is_near(running: SheddingEvent, scada: Machine) -> None:
    slot, now = slot_of(running, "A"), timezone.now().replace(microsecond=0)
    scada(f"shedding-slots/{slot.pk}/off/", {"at": now.isoformat()})
    Slot.objects.filter(pk=slot.pk).update(ends_at=now + timedelta(minutes=1))
    ahead = now + timedelta(minutes=30)
    Slot.objects.create(event=running, block=slot.block, starts_at=ahead, ends_at=ahead + HOUR, mw_planned=1.0)
    asked = [{"block": "A", "action": "on", "at": (now + timedelta(seconds=1)).isoformat()}]

    (item,) = scada("shedding-switchings/", {"event": running.reference, "switchings": asked}).json()["items"]

    assert (item["status"], item["result"]["id"], item["result"]["state"]) == (200, slot.pk, "on")


@pytest.mark.parametrize("name", ["a\x00", "x" * 30, 7.5, None, ["S-1"]])
def test_a_batch_names_its_event(running: SheddingEvent, scada: Machine, name: Any) -> None:
    asked = [{"block": "A", "action": "off", "at": timezone.now().isoformat()}]
    assert scada("shedding-switchings/", {"event": name, "switchings": asked}).status_code in (400, 404)


def test_an_order_at_the_end_of_time_is_no_failure(ready: SheddingPlan, scada: Machine) -> None:
    body = order(starts_at="9999-12-30T00:00:00+00:00", ends_at="9999-12-31T00:00:00+00:00")
    assert scada("shedding-events/", body).status_code == 201


def test_many_at_once_each_with_its_own_answer(running: SheddingEvent, scada: Machine) -> None:
    at = timezone.now().replace(microsecond=0).isoformat()
    asked = [
        {"block": "A", "action": "off", "at": at, "mw": 1.1},
        {"block": "C", "action": "off", "at": at},
        {"block": "B", "action": "on", "at": at},
        {"block": "B", "action": "open", "at": at},
        {"block": "B", "action": "off", "at": at},
    ]

    answer = scada("shedding-switchings/", {"event": running.reference, "switchings": asked}).json()

    assert (answer["accepted"], answer["refused"]) == (2, 3)
    assert [(item["block"], item["status"], (item["error"] or {}).get("code")) for item in answer["items"]] == [
        ("A", 200, None),
        ("C", 404, "not_found"),
        ("B", 409, "illegal_transition"),
        ("", 400, "invalid"),
        ("B", 200, None),
    ]
    states = {slot.block.code: (slot.state, slot.mw_off, slot.is_measured) for slot in running.slots.all()}
    assert states == {"A": ("off", 1.1, True), "B": ("off", 2.0, False)}
