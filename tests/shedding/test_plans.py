"""A plan from its first draft to the version that replaces it: who, what is measured, what stands against it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.actor import Actor
from grid.forest import network_rebuild
from grid.models import Customer, ServicePoint
from outages.load_shedding import checks, selectors
from outages.load_shedding.models import (
    BlockPlace,
    KeptOut,
    SheddingPlan,
    StageWindow,
)
from outages.load_shedding.policies import OwnDecision
from outages.load_shedding.rotation import Row
from outages.load_shedding.services import drafts, plans
from standards.errors import Conflict, DomainError, Forbidden, NotFound, UnknownCode
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.shedding.world import BLOCKS, STAGES, block, draft, every_day, plan, refused


def tomorrow() -> date:
    return timezone.localdate() + timedelta(days=1)


def findings(of: SheddingPlan) -> dict[str, dict[str, Any]]:
    return {one.code: dict(one.params) for one in checks.findings_of(of)}


# --- blocks -------------------------------------------------------------------------------------------


def test_a_block_is_measured_from_the_network_as_it_is_switched_normally(city: SmallCity, asha: Actor) -> None:
    city.elements["B1"].is_open = True  # now, not normally
    city.elements["B1"].save(update_fields=["is_open"])

    made = block(draft(city, asha), "A")

    assert (made.customers, made.critical_customers, made.life_support, made.load_kw) == (3, 1, 1, 4.5)
    assert made.mw_by_hour == [0.0045] * 24
    assert not made.is_measured
    assert sorted(made.places.values_list("element__code", "customers", "life_support")) == [
        ("T11", 2, 0),
        ("T12", 1, 1),
    ]


def test_a_measured_load_stays_as_it_was_measured(city: SmallCity, asha: Actor) -> None:
    made = draft(city, asha, mw={"A": 1.25})
    drafts.blocks_measure(actor=asha, plan_id=made.pk)
    assert (block(made, "A").mw_by_hour, block(made, "A").is_measured) == ([1.25] * 24, True)


def test_a_block_that_gets_another_code_keeps_the_old_one_as_a_former_name(city: SmallCity, asha: Actor) -> None:
    made = draft(city, asha)
    for code in ("A1", "A2"):
        drafts.block_save(
            actor=asha, plan_id=made.pk, block_id=made.blocks.order_by("pk")[0].pk, code=code,
            element_ids=city.ids("L11"),
        )  # fmt: skip
    assert block(made, "A2").formerly == ["A", "A1"]


@pytest.mark.parametrize("element", ["L11", "T12", "F1"])
def test_nobody_is_in_two_blocks(city: SmallCity, asha: Actor, element: str) -> None:
    made = draft(city, asha)
    error = refused(
        drafts.ElementTaken, drafts.block_save, actor=asha, plan_id=made.pk, code="D", element_ids=city.ids(element)
    )
    assert error.params["block"] == "A"
    assert error.params["element"] == {"F1": "T11"}.get(element, element)


@pytest.mark.parametrize(("kept", "shed"), [("T22", "U22"), ("U22", "T22"), ("F2", "U22"), ("U22", "U22")])
def test_what_is_kept_out_is_in_no_block(city: SmallCity, asha: Actor, kept: str, shed: str) -> None:
    drafts.kept_out_set(actor=asha, element_id=city.id(kept), why="ufls")
    made = draft(city, asha, blocks={"A": ("L11",)})
    error = refused(
        drafts.ElementKeptOut, drafts.block_save, actor=asha, plan_id=made.pk, code="C", element_ids=city.ids(shed)
    )
    assert str(error) == (
        f"{kept} {kept}号设备 would go off with it and is kept out of shedding:"
        " under-frequency load shedding (低频减载)."
    )


def test_a_protected_block_may_hold_it_since_it_is_not_shed(city: SmallCity, asha: Actor) -> None:
    drafts.kept_out_set(actor=asha, element_id=city.id("T22"), why="protected")
    made = draft(city, asha, blocks={"A": ("L11",)})

    drafts.block_save(
        actor=asha, plan_id=made.pk, code="C", element_ids=city.ids("U22"), is_protected=True, protected_reason="医院"
    )

    assert block(made, "C").customers == 1


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (drafts.BlockWithoutLoad, {"elements": ("K",)}),
        (drafts.BlockWithoutLoad, {"mw_by_hour": [0.0] * 24}),
        (DomainError, {"mw_by_hour": [1.0] * 23}),
        (DomainError, {"mw_by_hour": [*[1.0] * 23, -1.0]}),
        (DomainError, {"elements": ()}),
        (DomainError, {"is_protected": True}),
        (drafts.BlockExists, {"code": "A"}),
        (Conflict, {"expected_version": 1}),
        (NotFound, {"block_id": 0}),
    ],
)
def test_a_block_that_cannot_be(city: SmallCity, asha: Actor, error: type[DomainError], facts: dict[str, Any]) -> None:
    made = draft(city, asha)
    ids = city.ids(*facts.pop("elements", ("T21",)))
    drafts.block_delete(actor=asha, plan_id=made.pk, block_id=block(made, "B").pk)
    given = {"code": "B", **facts}
    refused(error, drafts.block_save, actor=asha, plan_id=made.pk, element_ids=ids, **given)


def test_elements_of_another_branch_are_not_in_the_list(city: SmallCity, asha: Actor) -> None:
    made = draft(city, asha, branch=city.east, blocks={"A": ("L11",)})
    refused(UnknownCode, drafts.block_save, actor=asha, plan_id=made.pk, code="B", element_ids=city.ids("U22"))


# --- stages, limits, turns ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stages",
    [[(1, "blue", 0.0)], [(1, "blue", 2.0), (2, "red", 1.0)], [(1, "blue", 1), (1, "red", 1)], [(0, "blue", 1)]],
)
def test_stages_that_cannot_be(city: SmallCity, asha: Actor, stages: list[tuple[int, str, float]]) -> None:
    made = draft(city, asha)
    refused(DomainError, drafts.stages_set, actor=asha, plan_id=made.pk, stages=stages)


def test_turns_of_a_stage_that_is_taken_away_go_with_it(city: SmallCity, asha: Actor) -> None:
    made = draft(city, asha, turns=[*every_day("A", "08:00", "10:00"), *every_day("B", "08:00", "10:00", stage=2)])
    drafts.stages_set(actor=asha, plan_id=made.pk, stages=[(2, "blue", 0.01)])
    assert selectors.rows_of(made) == every_day("B", "08:00", "10:00", stage=2)


def test_turns_of_unknown_stages_and_blocks_are_refused(city: SmallCity, asha: Actor) -> None:
    made = draft(city, asha, turns=every_day("A", "08:00", "10:00"))
    for rows in (every_day("A", "08:00", "10:00", stage=7), every_day("Z", "08:00", "10:00")):
        refused(UnknownCode, drafts.turns_set, actor=asha, plan_id=made.pk, rows=rows)


@pytest.mark.parametrize(
    "facts",
    [{"slot_minutes": 10}, {"margin_minutes": 120}, {"max_run_minutes": 60}, {"max_day_minutes": 200}],
)
def test_limits_that_contradict_each_other(city: SmallCity, asha: Actor, facts: dict[str, int]) -> None:
    made = draft(city, asha)
    refused(plans.LimitsContradict, plans.plan_change, actor=asha, plan_id=made.pk, facts=facts)


# --- what stands against a version ------------------------------------------------------------------------


def test_an_empty_version_stops(city: SmallCity, asha: Actor, otto: Actor) -> None:
    made = plans.plan_create(actor=asha, branch=city.bureau, name="x", effective_from=tomorrow())
    assert {one.code: one.stops for one in checks.findings_of(made)} == {"no_blocks": True, "no_stages": True}
    refused(plans.PlanIncomplete, plans.plan_approve, actor=otto, plan_id=made.pk, is_accepted=True)


def test_a_stage_that_the_table_does_not_meet_is_said_with_how_much_and_when(city: SmallCity, asha: Actor) -> None:
    # stage 1 wants 4 kW: A alone gives 4.5, and has no turn between 20 and 24
    turns = [*every_day("A", "00:00", "10:00"), *every_day("B", "10:00", "20:00")]
    made = draft(city, asha, turns=turns, max_run_minutes=600, max_day_minutes=600)

    found = findings(made)

    short = {"stage": 1, "has": 0, "wants": 0.004, "hours": 28.0, "when": "Monday, 20:00"}
    assert found == {"stage_short": short, "no_turns": {"stage": 2}}


def test_the_load_of_the_hour_counts(city: SmallCity, asha: Actor) -> None:
    made = draft(city, asha, stages=[(1, "blue", 1.0)], turns=every_day("A", "00:00", "00:00"), max_run_minutes=1440,
                 max_day_minutes=1440)  # fmt: skip
    drafts.block_save(
        actor=asha, plan_id=made.pk, block_id=block(made, "A").pk, code="A", element_ids=city.ids("L11"),
        mw_by_hour=[1.0] * 3 + [0.25] + [1.0] * 20,
    )  # fmt: skip
    short = findings(made)["stage_short"]
    assert (short["has"], short["hours"], short["when"]) == (0.25, 7.0, "Monday, 03:00")


def test_turns_beyond_the_limits_are_said(city: SmallCity, asha: Actor) -> None:
    turns = [
        *every_day("A", "08:00", "12:30"), *every_day("A", "13:00", "18:00"), *every_day("B", "23:00", "01:00"),
        *every_day("B", "00:30", "02:00"),
    ]  # fmt: skip
    found = findings(draft(city, asha, turns=turns))

    assert (found["run"]["block"], found["run"]["minutes"], found["run"]["when"]) == ("A", 300, "Monday, 13:00")
    assert (found["day"]["block"], found["day"]["minutes"]) == ("A", 570)
    assert (found["rest"]["block"], found["rest"]["minutes"], found["rest"]["when"]) == ("A", 30, "Monday, 12:30")
    assert (found["overlap"]["block"], found["overlap"]["when"]) == ("B", "Monday, 00:30")


def test_a_network_that_has_changed_since_stops_until_it_is_measured_again(
    city: SmallCity, asha: Actor, otto: Actor
) -> None:
    made = draft(city, asha)
    BlockPlace.objects.filter(element=city.id("T12")).delete()

    assert findings(made)["outdated"] == {"blocks": "A"}
    refused(plans.PlanIncomplete, plans.plan_approve, actor=otto, plan_id=made.pk, is_accepted=True)

    drafts.blocks_measure(actor=asha, plan_id=made.pk)
    assert "outdated" not in findings(made)


def test_what_is_kept_out_after_the_block_was_made_stops(city: SmallCity, asha: Actor) -> None:
    made = draft(city, asha)
    KeptOut.objects.create(element=city.elements["T22"], why="protected")
    assert findings(made)["kept_out"]["element"] == "T22"


# --- deciding -----------------------------------------------------------------------------------------


def test_another_person_approves_and_from_its_day_it_is_in_force(city: SmallCity, asha: Actor, otto: Actor) -> None:
    made = draft(city, asha)

    approved = plans.plan_approve(actor=otto, plan_id=made.pk, is_accepted=True, expected_version=made.version)

    assert (approved.state, approved.approved_by_id) == ("approved", otto.user_id)
    assert selectors.plan_in_force(city.east) == approved
    assert selectors.plan_in_force(city.east, timezone.now() - timedelta(days=1)) is None


def test_whoever_had_a_hand_in_it_does_not_approve(city: SmallCity, asha: Actor) -> None:
    both = accounts.user_with("dispatcher", city.bureau, username="bea")
    bea = accounts.actor_of(accounts.user_with("approver", city.bureau, username="bea"))
    assert bea.user_id == both.pk
    own = draft(city, bea)
    refused(OwnDecision, plans.plan_approve, actor=bea, plan_id=own.pk, is_accepted=True)

    theirs = draft(city, asha)
    drafts.blocks_measure(actor=bea, plan_id=theirs.pk)
    drafts.blocks_measure(actor=asha, plan_id=theirs.pk)  # she touched it last
    refused(OwnDecision, plans.plan_approve, actor=bea, plan_id=theirs.pk, is_accepted=True)


def test_who_may_not(city: SmallCity, asha: Actor, otto: Actor, mei: Actor, dora: Actor) -> None:
    made = draft(city, asha)
    refused(Forbidden, plans.plan_approve, actor=asha, plan_id=made.pk, is_accepted=True)
    for actor in (otto, mei, dora):
        refused(Forbidden, drafts.blocks_measure, actor=actor, plan_id=made.pk)
        refused(Forbidden, plans.plan_create, actor=actor, branch=city.east, name="x", effective_from=tomorrow())
        refused(Forbidden, drafts.kept_out_set, actor=actor, element_id=city.id("T11"), why="ufls")


@pytest.mark.parametrize(
    ("error", "given"), [(plans.PlanIncomplete, {}), (Conflict, {"is_accepted": True, "expected_version": 1})]
)
def test_agreeing_is_reading(
    city: SmallCity, asha: Actor, otto: Actor, error: type[DomainError], given: dict[str, Any]
) -> None:
    refused(error, plans.plan_approve, actor=otto, plan_id=draft(city, asha).pk, **given)


def test_a_version_does_not_begin_in_the_past(city: SmallCity, asha: Actor, otto: Actor) -> None:
    made = draft(city, asha, effective_from=timezone.localdate() - timedelta(days=2))
    refused(DomainError, plans.plan_approve, actor=otto, plan_id=made.pk, is_accepted=True)


def test_an_approved_version_does_not_change_and_is_not_deleted(city: SmallCity, asha: Actor) -> None:
    made = plan(city, asha)
    refused(plans.NotADraft, plans.plan_change, actor=asha, plan_id=made.pk, facts={"name": "y"})
    refused(plans.NotADraft, plans.plan_delete, actor=asha, plan_id=made.pk)
    refused(plans.NotADraft, drafts.turns_set, actor=asha, plan_id=made.pk, rows=every_day("A", "08:00", "10:00"))


# --- the next version -------------------------------------------------------------------------------------


def test_the_next_version_is_a_copy_measured_anew(city: SmallCity, asha: Actor) -> None:
    turns = every_day("A", "08:00", "10:00")
    made = plan(city, asha, turns=turns, mw={"C": 2.0})
    ServicePoint.objects.create(
        code="SP0007", customer=Customer.objects.get(account_number="1000000002"), element=city.elements["T21"],
        branch=city.west, average_kw=1,
    )  # fmt: skip
    network_rebuild()

    copy = plans.plan_copy(actor=asha, plan_id=made.pk, effective_from=tomorrow())

    assert (copy.number, copy.state, copy.effective_from) == (2, "draft", tomorrow())
    assert selectors.rows_of(copy) == turns
    assert [(one.number, one.colour, one.mw) for one in copy.stages.all()] == list(STAGES)
    assert {one.code: one.customers for one in copy.blocks.all()} == {"A": 3, "B": 3, "C": 1}
    assert {one.code: one.customers for one in made.blocks.all()} == {"A": 3, "B": 2, "C": 1}
    assert block(copy, "C").mw_by_hour == [2.0] * 24


def test_what_a_version_changes_for_whom(city: SmallCity, asha: Actor) -> None:
    before = plan(city, asha, turns=every_day("A", "08:00", "10:00"))
    after = plans.plan_copy(actor=asha, plan_id=before.pk, effective_from=tomorrow())
    drafts.block_delete(actor=asha, plan_id=after.pk, block_id=block(after, "B").pk)
    # T12 moves from A, which is A1 from now on, to a new D
    for code, of, elements in (("A1", "A", ("T11",)), ("D", None, ("T12",))):
        drafts.block_save(
            actor=asha, plan_id=after.pk, block_id=block(after, of).pk if of else None, code=code,
            element_ids=city.ids(*elements),
        )  # fmt: skip

    changes = checks.changes_between(before, after)

    assert (changes.moved, changes.gained, changes.lost) == (1, 0, 2)
    assert [(one.code, one.customers_in, one.customers_out) for one in changes.blocks] == [
        ("A1", 0, 1),
        ("B", 0, 2),
        ("D", 1, 0),
    ]
    renamed = changes.blocks[0]
    assert (renamed.before and renamed.before.code, renamed.has_other_turns) == ("A", False)


def test_a_version_like_the_one_before_changes_nothing(city: SmallCity, asha: Actor) -> None:
    before = plan(city, asha, turns=every_day("A", "08:00", "10:00"))
    after = plans.plan_copy(actor=asha, plan_id=before.pk, effective_from=tomorrow())
    assert checks.changes_between(before, after) == checks.Changes((), 0, 0, 0)


def test_a_retired_version_publishes_nothing_any_more(city: SmallCity, asha: Actor, otto: Actor) -> None:
    made, now = plan(city, asha), timezone.now()
    StageWindow.objects.create(
        plan=made, stage=1, begins=now - timedelta(hours=1), until=now + timedelta(hours=9), certainty="confirmed"
    )

    plans.plan_retire(actor=otto, plan_id=made.pk)

    assert selectors.plan_in_force(city.east) is None
    assert StageWindow.objects.get().until <= timezone.now()
    assert BLOCKS.keys() == set(made.blocks.values_list("code", flat=True))


def test_a_row_is_in_the_table_once(city: SmallCity, asha: Actor) -> None:
    rows: list[Row] = every_day("A", "08:00", "10:00")
    made = draft(city, asha, turns=[*rows, *rows])
    assert selectors.rows_of(made) == rows
