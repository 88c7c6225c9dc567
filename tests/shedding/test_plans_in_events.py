"""A plan while an event is running by it: the event keeps its blocks as they are."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.utils import timezone

from accounts.actor import Actor
from outages.load_shedding.models import SheddingEvent, SheddingPlan, Slot
from outages.load_shedding.services import drafts, plans
from tests.factories.grid import SmallCity
from tests.shedding.world import block, plan, refused


def tomorrow() -> date:
    return timezone.localdate() + timedelta(days=1)


@pytest.fixture
def running(city: SmallCity, asha: Actor, otto: Actor) -> SheddingPlan:
    """A plan whose block A has a turn in an event that runs until the day after tomorrow."""
    made, now = plan(city, asha), timezone.now()
    event = SheddingEvent.objects.create(
        reference="S-1", branch=city.bureau, plan=made, state="shedding", colour="red", target_mw=1.0, starts_at=now,
        ends_at=now + timedelta(days=2), author_id=asha.user_id, author_name="Asha", confirmed_by_id=otto.user_id,
    )  # fmt: skip
    Slot.objects.create(
        event=event, block=block(made, "A"), starts_at=now, ends_at=now + timedelta(hours=2), mw_planned=1.0
    )
    return made


def test_no_element_changes_its_block_in_a_running_event(
    city: SmallCity, asha: Actor, otto: Actor, running: SheddingPlan
) -> None:
    copy = plans.plan_copy(actor=asha, plan_id=running.pk, effective_from=tomorrow())
    drafts.block_save(actor=asha, plan_id=copy.pk, block_id=block(copy, "A").pk, code="A", element_ids=city.ids("T11"))

    error = refused(plans.InRunningEvent, plans.plan_approve, actor=otto, plan_id=copy.pk, is_accepted=True)

    assert (error.code, error.params["what"]) == ("in_running_event", "L11")


def test_nor_when_an_earlier_turn_of_the_block_is_over(
    city: SmallCity, asha: Actor, otto: Actor, running: SheddingPlan
) -> None:
    first = Slot.objects.get()
    later = first.ends_at + timedelta(hours=4)
    Slot.objects.create(
        event=first.event, block=first.block, starts_at=later, ends_at=later + timedelta(hours=2), mw_planned=1.0
    )
    Slot.objects.filter(pk=first.pk).update(state="skipped", skip_reason="保供")
    copy = plans.plan_copy(actor=asha, plan_id=running.pk, effective_from=tomorrow())
    drafts.block_save(actor=asha, plan_id=copy.pk, block_id=block(copy, "A").pk, code="A", element_ids=city.ids("T11"))

    refused(plans.InRunningEvent, plans.plan_approve, actor=otto, plan_id=copy.pk, is_accepted=True)


def test_after_the_event_it_may(city: SmallCity, asha: Actor, otto: Actor, running: SheddingPlan) -> None:
    later = timezone.localdate() + timedelta(days=3)
    copy = plans.plan_copy(actor=asha, plan_id=running.pk, effective_from=later)
    drafts.block_save(actor=asha, plan_id=copy.pk, block_id=block(copy, "A").pk, code="A", element_ids=city.ids("T11"))
    assert plans.plan_approve(actor=otto, plan_id=copy.pk, is_accepted=True).state == "approved"


def test_the_plan_of_a_running_event_is_neither_changed_nor_retired(
    city: SmallCity, asha: Actor, otto: Actor, running: SheddingPlan
) -> None:
    given = {"actor": asha, "plan_id": running.pk, "code": "D", "element_ids": city.ids("T11")}
    assert refused(plans.InRunningEvent, drafts.block_save, **given).params["what"] == "S-1"
    refused(plans.InRunningEvent, plans.plan_retire, actor=otto, plan_id=running.pk)
