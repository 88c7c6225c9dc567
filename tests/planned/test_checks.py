"""Every check trips where it should and is silent where it should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from grid.models import Branch, CalendarDay
from outages.models import Interruption, Outage
from outages.planned.checks import findings_of
from outages.planned.findings import Subject, Weight
from outages.planned.models import CheckAnswer, PlannedWork, RiskSheet
from outages.services import counts_refresh
from standards import loader
from tests.factories.grid import SmallCity
from tests.planned.subjects import AT, SHANGHAI, Window, found, on, subject, was_off, words, work

LONDON = ZoneInfo("Europe/London")


@pytest.fixture(autouse=True)
def _monday() -> Iterator[None]:
    with time_machine.travel(AT, tick=False):
        yield


def test_a_work_that_trips_nothing_has_no_findings(city: SmallCity) -> None:
    assert findings_of([subject(city, "T11")], at=AT) == {0: []}


def test_no_question_has_no_answer() -> None:
    assert findings_of([], at=AT) == {}


def test_a_work_without_a_window_or_an_element_can_be_asked_about_while_it_is_typed(city: SmallCity) -> None:
    bare = subject(city, windows=(), element_ids=(), place_ids=(), live_line="", transfer="")

    assert [finding.code for finding in findings_of([bare], at=AT)[0]] == ["alternatives"]


# --- notice -----------------------------------------------------------------------------------------


def test_planned_work_is_announced_seven_days_ahead(city: SmallCity) -> None:
    exactly = (AT + timedelta(days=7), AT + timedelta(days=7, hours=2))

    assert found(subject(city, "T11", window=exactly), "notice_short") is None


def test_later_than_that_it_must_become_temporary_work(city: SmallCity) -> None:
    later = (AT + timedelta(days=7, minutes=-1), AT + timedelta(days=7, hours=2))

    finding = found(subject(city, "T11", window=later), "notice_short")

    assert finding is not None
    assert (finding.weight, finding.rule_path) == (Weight.ASKS, "notice.planned")
    assert finding.rule == loader.pack("cn-sgcc").notice.planned
    assert finding.words == (
        "Customers would hear of it 6 d 23 h before; planned work needs 7 days."
        " Move it, or make it temporary work with a reason and approval."
    )


def test_temporary_work_says_why_and_nothing_more_is_asked(city: SmallCity) -> None:
    late = subject(city, "T11", window=on(3), work_class="temporary")

    assert words(found(late, "notice_short")).endswith("Say why it cannot wait.")
    assert found(replace(late, temporary_reason="绝缘子破损"), "notice_short") is None


@pytest.mark.parametrize("work_class", ["planned", "temporary"])
def test_within_a_day_there_is_only_a_named_emergency(city: SmallCity, work_class: str) -> None:
    tomorrow = subject(
        city, "T11", window=(AT + timedelta(hours=23), AT + timedelta(hours=25)), work_class=work_class,
        temporary_reason="绝缘子破损",
    )  # fmt: skip

    finding = found(tomorrow, "notice_short")

    assert finding is not None
    assert (finding.weight, finding.rule_path) == (Weight.REFUSES, "notice.temporary")
    assert finding.is_open
    assert found(replace(tomorrow, work_class="emergency"), "notice_short") is None
    unnamed = found(replace(tomorrow, work_class="emergency", temporary_reason=" "), "notice_short")
    assert unnamed is not None
    assert unnamed.weight == Weight.ASKS
    assert unnamed.words.endswith("Name the emergency.")


def test_what_is_published_is_judged_by_the_day_of_publication(city: SmallCity) -> None:
    published = subject(city, "T11", window=on(1), published_at=AT - timedelta(days=8))

    assert findings_of([published], at=AT)[0] == []


def test_working_days_are_counted_by_the_branch_calendar(city: SmallCity) -> None:
    """Four working days before Friday noon is the Monday before, at noon."""
    friday = (on(4, 12)[0], on(4, 16)[0])
    australian = subject(city, "T11", window=friday, rule_pack="au")

    assert found(australian, "notice_short", at=on(0, 12)[0]) is None
    late = found(australian, "notice_short", at=on(0, 13)[0])
    assert late is not None
    assert (late.weight, late.rule_path) == (Weight.REFUSES, "notice.planned")
    assert "4 working days" in late.words


def test_a_quarter_of_an_hour_needs_no_notice_where_the_law_says_so(city: SmallCity) -> None:
    starts = AT + timedelta(hours=3)

    assert (
        found(subject(city, "T11", rule_pack="au", window=(starts, starts + timedelta(minutes=14))), "notice_short")
        is None
    )
    assert found(subject(city, "T11", rule_pack="au", window=(starts, starts + timedelta(minutes=15))), "notice_short")


def test_nobody_plans_the_past(city: SmallCity) -> None:
    begun = subject(city, "T11", window=(AT - timedelta(minutes=1), AT + timedelta(hours=1)))

    finding = found(begun, "window_past")

    assert finding is not None
    assert (finding.weight, finding.words) == (
        Weight.REFUSES, "The work would begin in the past, 08:59: give it a time ahead.",
    )  # fmt: skip
    assert found(begun, "notice_short") is None, "one refusal is enough"
    assert found(replace(begun, published_at=AT - timedelta(days=9)), "window_past") is None
    assert found(subject(city, "T11"), "window_past") is None


# --- the same supply at the same time -----------------------------------------------------------------


def test_another_work_on_the_same_element_is_named_with_its_time(city: SmallCity) -> None:
    work(city, "L11", window=on(20, 9, 2))

    finding = found(subject(city, "T11", window=on(20, 8, 6)), "overlap")

    assert finding is not None
    assert (finding.weight, finding.references, finding.customers) == (Weight.ASKS, ("W-1",), 2)
    assert finding.words == (
        "Off at the same time: W-1: L11号设备 (Sun 22 Mar 09:00–11:00)."
        " Choose another time, join them, or say why both must be."
    )


@pytest.mark.parametrize(
    ("other", "hits"), [("F1", True), ("BUS1", True), ("T12", True), ("L12", True), ("F2", False), ("T21", False)]
)
def test_upstream_and_downstream_count_by_the_network_alone(city: SmallCity, other: str, hits: bool) -> None:
    """Neither work has been measured, so only the tree can tell."""
    work(city, other, places=[])

    assert (found(subject(city, "L11", place_ids=()), "overlap") is not None) is hits


def test_shared_areas_count_whatever_the_tree_says(city: SmallCity) -> None:
    """Switched over, T12 hangs on the other feeder for a while."""
    work(city, "B2", places=["T12", "T21"])

    finding = found(subject(city, "T12"), "overlap")

    assert finding is not None
    assert (finding.references, finding.customers) == (("W-1",), 1)
    assert "B2号设备" in finding.words


@pytest.mark.parametrize("state", ["draft", "returned", "joined", "restored", "closed", "cancelled"])
def test_what_does_not_stand_is_no_conflict(city: SmallCity, state: str) -> None:
    other = work(city, "T11", state="submitted")
    joint = work(city, "T21", window=on(50))
    PlannedWork.objects.filter(pk=other.pk).update(state=state, joint=joint if state == "joined" else None)

    assert found(subject(city, "T11"), "overlap") is None


def test_one_after_the_other_is_no_conflict(city: SmallCity) -> None:
    work(city, "T11", window=on(20, 14, 2))

    assert found(subject(city, "T11", window=on(20, 8, 6)), "overlap") is None


def test_works_of_one_question_count_against_each_other(city: SmallCity) -> None:
    rows = [
        subject(city, "T11", number=0, reference="row 14"),
        subject(city, "L11", number=1, reference="row 15"),
        subject(city, "T21", number=2, reference="row 16"),
    ]

    findings = findings_of(rows, at=AT)

    assert [f.references for f in findings[0] if f.code == "overlap"] == [("row 15",)]
    assert [f.references for f in findings[1] if f.code == "overlap"] == [("row 14",)]
    assert [f.code for f in findings[2] if f.code == "overlap"] == []


def test_a_saved_work_is_no_conflict_of_its_own_and_counts_as_it_is_typed_now(city: SmallCity) -> None:
    saved = work(city, "T11", window=on(20))
    moved = subject(city, "T11", window=on(25), work_id=saved.pk, reference="W-1", number=0)

    assert found(moved, "overlap") is None
    assert found([moved, subject(city, "T11", window=on(20), number=1)], "overlap", number=1) is None
    assert found([moved, subject(city, "T11", window=on(25), number=1)], "overlap", number=1) is not None


def test_the_parts_of_a_joint_outage_are_one_outage(city: SmallCity) -> None:
    joint = work(city, "L11")

    assert found(subject(city, "T11", apart_from=frozenset({joint.pk})), "overlap") is None


def outage_of(
    city: SmallCity, *areas: str, status: str = "active", planned: Window | None = None, **facts: Any
) -> Outage:
    """An outage of these areas that is off now, or announced."""
    outage = Outage.objects.create(
        **{
            "reference": f"X-{Outage.objects.count() + 1}", "kind": "fault", "status": status, "branch": city.east,
            "rule_pack": "cn-sgcc", "started_at": AT - timedelta(hours=1) if status == "active" else None,
            "planned_start": planned and planned[0], "planned_end": planned and planned[1],
        }
        | facts
    )  # fmt: skip
    for name in areas:
        element = city.elements[name]
        Interruption.objects.create(
            outage=outage, element=element, customers=element.own_customers, critical=element.own_critical,
            load_kw=element.own_load_kw, planned=planned,
            actual=(AT - timedelta(hours=1), None) if status == "active" else None,
        )  # fmt: skip
    counts_refresh(outage)
    return outage


def test_an_outage_that_will_last_into_the_window_is_a_conflict(city: SmallCity) -> None:
    outage_of(city, "T11", "T12", etr=on(20, 9)[0])

    finding = found(subject(city, "L12", window=on(20, 8)), "overlap")

    assert finding is not None
    assert (finding.references, finding.customers) == (("X-1",), 1)
    assert found(subject(city, "L12", window=on(20, 9)), "overlap") is None, "it is back by then"
    assert found(subject(city, "T21", window=on(20, 8)), "overlap") is None, "it is elsewhere"


def test_an_outage_of_unknown_end_is_in_the_way_for_a_day(city: SmallCity) -> None:
    outage_of(city, "T11", etr=AT - timedelta(minutes=5))
    hurry: dict[str, Any] = {"work_class": "emergency", "temporary_reason": "断线"}

    assert found(subject(city, "T11", window=on(0, 18), **hurry), "overlap")
    assert found(subject(city, "T11", window=on(1, 10), **hurry), "overlap") is None


def test_a_scheduled_outage_of_another_kind_is_a_conflict(city: SmallCity) -> None:
    outage_of(city, "T21", status="scheduled", kind="load_shedding", planned=on(20, 10, 2))

    assert words(found(subject(city, "T21"), "overlap")).startswith(
        "Off at the same time: X-1 (Sun 22 Mar 10:00–12:00)."
    )
    assert found(subject(city, "T11"), "overlap") is None


def test_the_element_of_an_outage_counts_without_its_places(city: SmallCity) -> None:
    outage = outage_of(city, status="scheduled", planned=on(20, 10, 2))
    outage.elements.set(city.ids("F1"))

    assert "X-1: F1号设备" in words(found(subject(city, "T12", place_ids=()), "overlap"))


@pytest.mark.parametrize(
    "facts", [{"kind": "non_payment", "is_public": False}, {"level": "service"}, {"status": "suspected"}]
)
def test_debts_single_customers_and_suspicions_are_no_conflict(city: SmallCity, facts: dict[str, Any]) -> None:
    known: dict[str, Any] = {"status": "active", "etr": on(30)[0], **facts}
    outage_of(city, "T11", **known)

    assert found(subject(city, "T11"), "overlap") is None


def test_a_works_own_outage_is_spoken_of_by_the_work(city: SmallCity) -> None:
    other = work(city, "T11", state="published")
    outage = outage_of(city, "T11", status="scheduled", kind="planned", planned=on(20))
    outage.elements.set(city.ids("T11"))
    other.windows.update(state="published", outage=outage)

    mine = found(subject(city, "T11", work_id=other.pk, published_at=AT), "overlap")
    theirs = found(subject(city, "T11"), "overlap")

    assert mine is None
    assert theirs is not None
    assert theirs.references == ("W-1",)


def test_more_than_three_conflicts_are_counted(city: SmallCity) -> None:
    for hour in range(4):
        work(city, "T11", window=on(20, 8 + hour, 1))

    finding = found(subject(city, "T11"), "overlap")

    assert finding is not None
    assert finding.references == ("W-1", "W-2", "W-3", "W-4")
    assert "W-3" in finding.words
    assert "W-4" not in finding.words
    assert "; 1 more." in finding.words


# --- the interruption budget --------------------------------------------------------------------------


def test_the_third_outage_in_sixty_days_is_one_too_many(city: SmallCity) -> None:
    was_off(city, "T11", begins=AT - timedelta(days=30))
    was_off(city, "T11", "T12", begins=AT - timedelta(days=3), kind="load_shedding")

    finding = found(subject(city, "L11"), "frequent")

    assert finding is not None
    assert (finding.weight, finding.customers, finding.rule_path) == (Weight.ASKS, 2, "reliability.frequent")
    assert finding.words == "2 customers would have outage no. 3 in 60 days: choose a calmer day."


def test_two_outages_in_sixty_days_are_bearable(city: SmallCity) -> None:
    was_off(city, "T11", begins=AT - timedelta(days=3))
    was_off(city, "T11", begins=on(20)[0] - timedelta(days=61))

    assert found(subject(city, "T11"), "frequent") is None


def test_a_debt_counts_for_its_own_customer_only(city: SmallCity) -> None:
    was_off(city, "T11", begins=AT - timedelta(days=10))
    was_off(city, begins=AT - timedelta(days=5), points=["SP0002"], kind="non_payment")

    finding = found(subject(city, "T11"), "frequent")

    assert finding is not None
    assert finding.words == "1 customer would have outage no. 3 in 60 days: choose a calmer day."


def test_a_customer_restored_alone_is_counted_once(city: SmallCity) -> None:
    """The area's row became a row for each customer; that is one outage."""
    was_off(city, begins=AT - timedelta(days=10), points=["SP0001", "SP0002"])
    was_off(city, "T11", begins=AT - timedelta(days=5))

    assert found(subject(city, "T11"), "frequent") is not None
    assert found(subject(city, "T11"), "frequent").customers == 2  # type: ignore[union-attr]


def test_what_overlaps_is_one_outage(city: SmallCity) -> None:
    """A fault inside a slot."""
    was_off(city, "T11", begins=AT - timedelta(days=5), hours=4, kind="load_shedding")
    was_off(city, "T11", begins=AT - timedelta(days=5, hours=-1), hours=1)
    was_off(city, "T11", begins=AT - timedelta(days=5, hours=-4), hours=1)

    assert found(subject(city, "T11"), "frequent") is None


def test_off_again_counts_again(city: SmallCity) -> None:
    outage = was_off(city, "T11", begins=AT - timedelta(days=5), hours=2)
    was_off(city, "T11", begins=AT - timedelta(days=4), hours=1, outage=outage)

    assert found(subject(city, "T11"), "frequent") is not None


def test_momentary_interruptions_do_not_count(city: SmallCity) -> None:
    was_off(city, "T11", begins=AT - timedelta(days=5))
    was_off(city, "T11", begins=AT - timedelta(days=4), hours=3 / 60)

    assert found(subject(city, "T11"), "frequent") is None

    was_off(city, "T11", begins=AT - timedelta(days=3), hours=3.1 / 60)

    assert found(subject(city, "T11"), "frequent") is not None


def test_what_stands_in_the_plan_counts_before_and_after(city: SmallCity) -> None:
    work(city, "T11", window=on(10))
    later = work(city, "T11", window=on(79))

    assert found(subject(city, "T11", window=on(20)), "frequent") is None, "on day 79 the first one is 69 days old"

    later.windows.update(starts_at=on(69)[0], ends_at=on(69)[1])

    assert found(subject(city, "T11", window=on(20)), "frequent") is not None


def test_the_span_may_lie_on_either_side_of_the_work_but_is_never_longer(city: SmallCity) -> None:
    """One outage fifty days before and one fifty days after are never three in sixty days."""
    was_off(city, "T11", begins=on(-30)[0])
    work(city, "T11", window=on(70))

    assert found(subject(city, "T11", window=on(20)), "frequent") is None


def test_the_works_own_windows_count(city: SmallCity) -> None:
    """A generator car: off when it is plugged in, and when it is taken away."""
    was_off(city, "T11", begins=AT - timedelta(days=5))

    assert found(subject(city, "T11", windows=(on(20, 8, 1), on(21, 8, 1))), "frequent") is not None
    assert found(subject(city, "T11", windows=(on(20, 8, 1),)), "frequent") is None


def test_those_beyond_the_line_are_counted_apart(city: SmallCity) -> None:
    for day in (9, 6):
        was_off(city, "T11", "T12", begins=AT - timedelta(days=day))
    was_off(city, "T12", begins=AT - timedelta(days=3))

    both = found(subject(city, "L11"), "frequent")
    alone = found(subject(city, "T12"), "frequent")

    assert both is not None
    assert both.words == (
        "2 customers would have outage no. 3 in 60 days, 1 already have as many: choose a calmer day."
    )
    assert words(alone) == "1 customer already has 3 outages or more in 60 days and would have another."


def test_a_works_own_outage_is_not_counted_beside_its_window(city: SmallCity) -> None:
    saved = work(city, "T11", state="in_progress", window=(AT - timedelta(hours=1), AT + timedelta(hours=2)))
    outage = outage_of(city, "T11", kind="planned", planned=(AT - timedelta(hours=1), AT + timedelta(hours=2)))
    saved.windows.update(state="in_progress", outage=outage)
    was_off(city, "T11", begins=AT - timedelta(days=5))

    own = subject(city, "T11", windows=((AT + timedelta(minutes=5), AT + timedelta(hours=3)),), work_id=saved.pk)

    assert found(own, "frequent") is None


def test_another_rule_pack_has_another_line(city: SmallCity) -> None:
    """Four of three hours in a year."""
    for day in (300, 200, 100):
        was_off(city, "T11", begins=on(20)[0] - timedelta(days=day), hours=3)
    british, chinese = subject(city, "T11", rule_pack="gb", number=0), subject(city, "T12", number=1)

    assert found([british, chinese], "frequent", number=0) is not None
    assert found([british, chinese], "frequent", number=1) is None
    assert found(subject(city, "T11", rule_pack="gb", window=on(20, 8, 2)), "frequent") is None, (
        "two hours do not count"
    )


# --- people -------------------------------------------------------------------------------------------


def test_important_and_life_support_customers_need_a_risk_sheet(city: SmallCity) -> None:
    saved = work(city, "F1", "F2")
    asked = subject(city, "F1", "F2", work_id=saved.pk)

    assert words(found(asked, "important")) == "1 important customer has no risk sheet: agree what is done meanwhile."
    assert words(found(asked, "life_support")) == (
        "1 customer on life support has no risk sheet: agree what keeps them safe meanwhile."
    )

    for name in ("hospital", "life_support"):
        RiskSheet.objects.create(
            work=saved, customer=city.customers[name], measures="自备发电机", agreed_with="值班室", agreed_at=AT
        )

    assert found(asked, "important") is None
    assert found(asked, "life_support") is None


def test_a_sheet_of_another_work_does_not_help(city: SmallCity) -> None:
    other = work(city, "T22", window=on(100))
    RiskSheet.objects.create(
        work=other, customer=city.customers["hospital"], measures="自备发电机", agreed_with="值班室", agreed_at=AT
    )

    assert found(subject(city, "T22"), "important") is not None
    assert found(subject(city, "T11"), "important") is None


# --- days and hours -----------------------------------------------------------------------------------


def day_of_calendar(day: date, kind: str = "exam", branch: Branch | None = None) -> None:
    CalendarDay.objects.create(day=day, kind=kind, name="高考", name_en="University entrance", branch=branch)


def test_an_examination_day_is_named(city: SmallCity) -> None:
    day_of_calendar(date(2026, 3, 22))

    finding = found(subject(city, "T11", window=on(20)), "calendar")

    assert finding is not None
    assert (finding.weight, finding.words) == (
        Weight.ASKS,
        "Examinations on University entrance, Sun 22 Mar: choose another day, or say why it must be.",
    )
    with translation.override("zh-hans"):
        assert "高考, 3月22日(周日)" in finding.words
    assert found(subject(city, "T11", window=on(21)), "calendar") is None


@pytest.mark.parametrize(("kind", "weight"), [("blackout", "asks"), ("exam", "asks"), ("holiday", "tells")])
def test_holidays_tell_and_the_others_ask(city: SmallCity, kind: str, weight: str) -> None:
    day_of_calendar(date(2026, 3, 22), kind)

    finding = found(subject(city, "T11"), "calendar")

    assert finding is not None
    assert finding.weight == weight


def test_that_a_sunday_is_worked_is_no_reason_against_it(city: SmallCity) -> None:
    day_of_calendar(date(2026, 3, 22), "working")

    assert found(subject(city, "T11"), "calendar") is None


def test_a_day_holds_for_its_branch_and_below(city: SmallCity) -> None:
    day_of_calendar(date(2026, 3, 22), branch=city.east)

    assert found(subject(city, "T11", branch=city.east), "calendar") is not None
    assert found(subject(city, "T21", branch=city.west), "calendar") is None

    day_of_calendar(date(2026, 3, 22), branch=city.bureau)

    assert found(subject(city, "T21", branch=city.west), "calendar") is not None


def test_a_window_over_midnight_touches_both_days(city: SmallCity) -> None:
    day_of_calendar(date(2026, 3, 23))

    assert found(subject(city, "T11", window=on(20, 22, 4)), "calendar") is not None
    assert found(subject(city, "T11", window=on(20, 22, 2)), "calendar") is None, "back at midnight"


def test_each_branch_has_its_own_midnight(city: SmallCity) -> None:
    """23:00 UTC is the next day in Shanghai and still the same in London."""
    day_of_calendar(date(2026, 3, 23))
    night = (datetime(2026, 3, 22, 22, 0, tzinfo=UTC), datetime(2026, 3, 22, 23, 30, tzinfo=UTC))
    east = subject(city, "T11", window=night, number=0)
    london = subject(city, "T21", window=night, number=1, time_zone="Europe/London")

    assert found([east, london], "calendar", number=0) is not None
    assert found([east, london], "calendar", number=1) is None


def test_homes_are_counted_in_the_domestic_peak(city: SmallCity) -> None:
    finding = found(subject(city, "L11", window=on(20, 17, 2)), "peak")

    assert finding is not None
    assert (finding.weight, finding.customers, finding.rule_path) == (Weight.TELLS, 3, "planning.peak_hours")
    assert finding.words == "3 homes would be without power in the domestic peak, 18:00–22:00."
    assert found(subject(city, "L11", window=on(20, 16, 2)), "peak") is None, "back at six"
    assert found(subject(city, "L11", window=on(20, 22, 2)), "peak") is None, "off from ten"


def test_nobody_at_home_is_no_peak(city: SmallCity) -> None:
    assert found(subject(city, "T22", window=on(20, 18, 2)), "peak") is None


def test_a_work_of_several_days_touches_the_peak(city: SmallCity) -> None:
    assert found(subject(city, "T11", window=on(20, 23, 10)), "peak") is None, "over one night"
    assert found(subject(city, "T11", window=on(20, 23, 20)), "peak") is not None, "until the next evening"
    assert found(subject(city, "T11", window=on(20, 23, 24 * 9)), "peak") is not None


def test_the_peak_is_that_of_the_local_clock_before_and_after_it_changes(city: SmallCity) -> None:
    """London puts its clocks forward on the 29th: a quarter to six in UTC is a quarter to seven from then on."""
    before = (datetime(2026, 3, 28, 16, 30, tzinfo=UTC), datetime(2026, 3, 28, 17, 45, tzinfo=UTC))
    after = (datetime(2026, 3, 29, 16, 30, tzinfo=UTC), datetime(2026, 3, 29, 17, 45, tzinfo=UTC))

    assert found(subject(city, "T11", window=before, time_zone="Europe/London"), "peak") is None
    assert found(subject(city, "T11", window=after, time_zone="Europe/London"), "peak") is not None
    assert found(subject(city, "T11", window=after), "peak") is None, "half past midnight in Shanghai"


# --- transfer and backup ------------------------------------------------------------------------------


def by_tie(city: SmallCity, *elements: str, **facts: Any) -> Subject:
    return subject(city, *(elements or ("L11",)), transfer="used", transfer_tie_id=city.id("K"), **facts)


@pytest.mark.parametrize(
    ("other", "hits"), [("K", True), ("L21", True), ("F2", True), ("BUS2", True), ("T22", False), ("T21", False)]
)
def test_whatever_feeds_the_transfer_must_be_on(city: SmallCity, other: str, hits: bool) -> None:
    work(city, other)

    finding = found(by_tie(city), "tie_out")

    assert (finding is not None) is hits
    if finding is not None:
        assert finding.words == (
            f"The transfer has no supply then: W-1: {other}号设备 (Sun 22 Mar 08:00–14:00)."
            " Choose another tie or another time."
        )


def test_the_near_side_of_the_tie_may_be_off(city: SmallCity) -> None:
    """It is what is taken over."""
    work(city, "L12")

    assert found(by_tie(city), "tie_out") is None


def test_a_tie_seen_from_the_other_side(city: SmallCity) -> None:
    """F2's work takes over by the same switch, so the way up feeder 1 counts."""
    work(city, "B1")

    assert found(by_tie(city, "L21"), "tie_out") is not None


def test_an_outage_on_the_way_of_the_transfer(city: SmallCity) -> None:
    outage_of(city, "T21", "T22", status="scheduled", planned=on(20)).elements.set(city.ids("B2"))

    assert words(found(by_tie(city), "tie_out")).startswith("The transfer has no supply then: X-1: B2号设备")
    assert found(by_tie(city, window=on(21)), "tie_out") is None
    assert found(subject(city, "L11"), "tie_out") is None, "no tie was chosen"


def test_feeders_that_back_each_other_up_are_not_worked_on_together(city: SmallCity) -> None:
    work(city, "B2", branch=city.west)

    finding = found(subject(city, "B1"), "backup_out")

    assert finding is not None
    assert (finding.weight, finding.references) == (Weight.ASKS, ("W-1",))
    assert found(subject(city, "B1", window=on(21)), "backup_out") is None
    assert found(subject(city, "B2", branch=city.west), "backup_out") is None, "the same feeder"


def test_a_single_transformer_leaves_its_feeder_on(city: SmallCity) -> None:
    work(city, "T21", branch=city.west)

    assert found(subject(city, "B1"), "backup_out") is None
    assert found(subject(city, "T11"), "backup_out") is None


def test_a_work_above_the_feeders_takes_all_below_along(city: SmallCity) -> None:
    work(city, "BUS2")

    assert found(subject(city, "L12"), "backup_out") is not None


# --- considered before, and worth joining -------------------------------------------------------------


@pytest.mark.parametrize(
    ("live_line", "transfer", "said"),
    [
        ("", "", "Say whether live-line work and transfer supply were considered, and with what result."),
        ("used", "", "Say whether transfer supply was considered, and with what result."),
        ("", "not_possible", "Say whether live-line work was considered, and with what result."),
    ],
)
def test_alternatives_are_considered_first(city: SmallCity, live_line: str, transfer: str, said: str) -> None:
    finding = found(subject(city, "T11", live_line=live_line, transfer=transfer), "alternatives")

    assert finding is not None
    assert (finding.weight, finding.words) == (Weight.ASKS, said)


def test_works_that_share_customers_within_a_week_are_worth_joining(city: SmallCity) -> None:
    work(city, "T11", window=on(25), state="draft")
    work(city, "L11", window=on(14), state="approved")

    finding = found(subject(city, "L11", window=on(20)), "merge_candidate")

    assert finding is not None
    assert (finding.weight, finding.references, finding.customers) == (Weight.TELLS, ("W-2", "W-1"), 3)
    assert finding.words == ("Within 7 days: W-2; W-1, with up to 3 of the same customers. Think of one joint outage.")


def test_too_far_apart_elsewhere_or_at_once_is_nothing_to_join(city: SmallCity) -> None:
    work(city, "T11", window=on(27, 15))
    work(city, "T21", window=on(21))
    work(city, "L11", windows=[on(20, 9, 2), on(21)])

    assert found(subject(city, "T11", window=on(20)), "merge_candidate") is None


# --- answers, order, cost -----------------------------------------------------------------------------


def test_an_answer_closes_what_was_asked(city: SmallCity) -> None:
    saved = work(city, "T11")
    CheckAnswer.objects.create(work=saved, code="alternatives", reason="带电作业不可行", actor_name="Pia")
    asked = subject(city, "T11", work_id=saved.pk, live_line="", number=3)

    answered = found([asked], "alternatives", number=3)
    fresh = found(subject(city, "T11", live_line=""), "alternatives")

    assert answered is not None
    assert fresh is not None
    assert (answered.answer, answered.is_open) == ("带电作业不可行", False)
    assert (fresh.answer, fresh.is_open) == ("", True)


def test_what_refuses_comes_first_and_what_tells_last(city: SmallCity) -> None:
    for day in (9, 5):
        was_off(city, "T11", begins=AT - timedelta(days=day))
    work(city, "T12", window=on(1, 8, 1))
    work(city, "T12", window=on(1, 20, 1))
    asked = subject(city, "L11", window=(on(0, 17)[0], on(1, 9)[0]), live_line="")

    findings = findings_of([asked], at=AT)[0]

    assert [(f.weight, f.code) for f in findings] == [
        ("refuses", "notice_short"), ("asks", "overlap"), ("asks", "life_support"), ("asks", "frequent"),
        ("asks", "alternatives"), ("tells", "peak"), ("tells", "merge_candidate"),
    ]  # fmt: skip
    assert findings_of([asked], at=AT)[0] == findings


def test_fifty_works_cost_as_many_statements_as_one(city: SmallCity) -> None:
    day_of_calendar(date(2026, 3, 22))
    work(city, "T11")
    saved = work(city, "L11", window=on(20, 17, 3))

    def month(size: int) -> list[Subject]:
        return [
            by_tie(city, window=on(20 + n % 9, 17, 3), number=n, live_line="", work_id=None if n else saved.pk)
            for n in range(size)
        ]

    with CaptureQueriesContext(connection) as one:
        findings_of(month(1), at=AT)
    with CaptureQueriesContext(connection) as fifty:
        findings = findings_of(month(50), at=AT)

    assert len(findings) == 50
    assert len(one) == len(fifty) == 9


def test_words_are_those_of_the_reader(city: SmallCity) -> None:
    """The same finding is kept once and read in two languages, by the branch's own clock."""
    work(city, "T11", window=on(20, 8, 6))
    finding = found(subject(city, "T11", time_zone="Europe/London"), "overlap")

    assert "(Sun 22 Mar 00:00–06:00)" in words(finding)
    with translation.override("zh-hans"), timezone.override(SHANGHAI):
        assert "3月22日(周日) 00:00–06:00" in words(finding)
