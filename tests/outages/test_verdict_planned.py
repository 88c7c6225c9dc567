"""The one answer at every moment of a planned outage: before, during, overrunning, after, moved, cancelled."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from accounts.actor import Actor
from grid.models import Branch, ServicePoint
from outages.causes import RANK_CALLED_OFF, RANK_UPCOMING, Cause
from outages.models import Outage
from outages.services import (
    outage_cancel,
    outage_extend,
    outage_notified,
    outage_open,
    outage_reschedule,
    outage_restore,
    outage_start,
    outage_void,
)
from outages.supply_status import Verdict, judge, supply_status
from tests.factories.grid import SmallCity

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 23, 14, 0, tzinfo=SHANGHAI)
HOUR = timedelta(hours=1)
SYSTEM = Actor.system("tests")


# --- the words: no database, ``judge`` is pure ------------------------------------------------------


def on(day: int, hour: int) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=SHANGHAI)


def weigh(*causes: Cause, at: datetime = NOW, verified: bool = False) -> Verdict:
    point = ServicePoint(pk=7, code="sp", branch=Branch(code="b", name="江口供电分局", time_zone="Asia/Shanghai"))
    return judge(point, list(causes), at=at, verified=verified)


def announced(begins: datetime, until: datetime, **facts: object) -> Cause:
    defaults: dict[str, object] = {
        "rank": RANK_UPCOMING, "kind": "planned", "blocks": False, "reference": "P-2026-000001",
        "reason_zh": "线路检修", "reason_en": "line maintenance", "begins": begins, "until": until,
    }  # fmt: skip
    return Cause(**{**defaults, **facts})  # type: ignore[arg-type]


def moved(begins: datetime, until: datetime, *, was: tuple[datetime, datetime]) -> Cause:
    return announced(begins, until, was_begins=was[0], was_until=was[1])


def called_off(begins: datetime, until: datetime) -> Cause:
    return announced(begins, until, rank=RANK_CALLED_OFF, status="cancelled")


FAULT = Cause(
    2, "fault", True, place="竹山路", reason_zh="线路故障", reason_en="a line fault", since=NOW - HOUR, until=NOW + HOUR
)
DEBT = Cause(5, "non_payment", True, reason_zh="欠费", reason_en="an unpaid account", since=NOW - HOUR)
NOTHING_ZH = "目前没有影响您这里的停电记录。请先看一下家里的总开关；如果还是没电，我马上为您登记报修。"
NOTHING_EN = (
    "We know of no outage at your premises. Please look at your main switch first;"
    " if there is still no power, I will report it right away."
)


def test_moved_to_another_day_is_said_first_and_the_main_switch_last() -> None:
    verdict = weigh(moved(on(30, 9), on(30, 17), was=(on(23, 9), on(23, 17))))

    assert (verdict.state, verdict.lead, verdict.quote) == ("on", None, None)
    assert verdict.sentence_zh == (
        f"原先通知的今天上午9点到今天下午5点因线路检修停电，已改为11月30日上午9点到11月30日下午5点。{NOTHING_ZH}"
    )
    assert verdict.sentence_en == (
        "The outage announced for nine o'clock this morning until five o'clock this afternoon because of line"
        " maintenance has been moved to nine o'clock in the morning on 30 November until five o'clock in the afternoon"
        f" on 30 November. {NOTHING_EN}"
    )


@pytest.mark.parametrize(
    ("at", "is_said"),
    [
        (on(22, 8), False),  # more than a day before the old window
        (on(22, 9), True),
        (on(23, 9), True),
        (on(23, 16), True),
        (on(23, 17), False),  # the old window is over
    ],
)
def test_the_move_is_news_from_a_day_before_the_old_window_until_its_end(at: datetime, is_said: bool) -> None:
    verdict = weigh(moved(on(30, 9), on(30, 17), was=(on(23, 9), on(23, 17))), at=at)

    assert ("已改为" in verdict.sentence_zh, "has been moved" in verdict.sentence_en) == (is_said, is_said)


def test_moved_into_the_next_hours_is_said_once_and_not_warned_of_again() -> None:
    verdict = weigh(moved(on(24, 9), on(24, 12), was=(on(23, 15), on(23, 18))))

    assert verdict.sentence_zh == (
        f"原先通知的今天下午3点到今天晚上6点因线路检修停电，已改为明天上午9点到明天中午12点。{NOTHING_ZH}"
    )


def test_long_after_the_old_window_only_the_new_one_is_warned_of() -> None:
    verdict = weigh(moved(on(24, 9), on(24, 12), was=(on(20, 9), on(20, 12))))

    assert verdict.sentence_zh == f"{NOTHING_ZH}另外提醒您：明天上午9点到明天中午12点将因线路检修停电。"


def test_whoever_is_off_for_another_reason_hears_that_first_and_then_of_the_move() -> None:
    verdict = weigh(FAULT, moved(on(30, 9), on(30, 17), was=(on(23, 9), on(23, 17))))

    assert verdict.state == "off"
    assert verdict.sentence_zh.startswith("竹山路一带今天下午1点起，因线路故障停电。预计今天下午3点前恢复供电。")
    assert verdict.sentence_zh.endswith(
        "另外提醒您：原先通知的今天上午9点到今天下午5点因线路检修停电，已改为11月30日上午9点到11月30日下午5点。"
    )
    assert "Please note: the outage announced for nine o'clock this morning" in verdict.sentence_en


def test_called_off_says_that_the_power_stays_on_and_ends_with_the_main_switch() -> None:
    verdict = weigh(called_off(on(23, 9), on(23, 17)))

    assert (verdict.state, verdict.lead, verdict.blocking) == ("on", None, ())
    assert [cause.reference for cause in verdict.called_off] == ["P-2026-000001"]
    assert verdict.sentence_zh == (
        f"原先通知的今天上午9点到今天下午5点因线路检修停电已经取消，您这里照常供电。{NOTHING_ZH}"
    )
    assert verdict.sentence_en == (
        "The outage announced for nine o'clock this morning until five o'clock this afternoon because of line"
        f" maintenance has been cancelled; your power stays on. {NOTHING_EN}"
    )


def test_called_off_never_blocks_and_promises_nothing_to_whoever_is_off_anyhow() -> None:
    verdict = weigh(FAULT, called_off(on(23, 9), on(23, 17)))

    assert (verdict.state, verdict.quote) == ("off", NOW + HOUR)
    assert verdict.sentence_zh.endswith("原先通知的今天上午9点到今天下午5点因线路检修停电已经取消。")
    assert "stays on" not in verdict.sentence_en


def test_called_off_does_not_say_that_it_is_on_where_a_debt_is_withheld() -> None:
    verdict = weigh(DEBT, called_off(on(23, 9), on(23, 17)))

    assert (verdict.state, verdict.withheld) == ("unknown", True)
    assert "照常供电" not in verdict.sentence_zh
    assert "stays on" not in verdict.sentence_en


def test_one_called_off_and_another_tomorrow_are_both_said() -> None:
    verdict = weigh(called_off(on(23, 9), on(23, 17)), announced(on(24, 9), on(24, 12)))

    assert verdict.sentence_zh == (
        "原先通知的今天上午9点到今天下午5点因线路检修停电已经取消，您这里照常供电。"
        f"{NOTHING_ZH}另外提醒您：明天上午9点到明天中午12点将因线路检修停电。"
    )


def test_called_off_does_not_say_that_it_stays_on_where_other_work_is_announced_for_that_time() -> None:
    verdict = weigh(called_off(on(23, 15), on(23, 18)), announced(on(23, 17), on(23, 20), reference="P-2"))

    assert verdict.sentence_zh == (
        "原先通知的今天下午3点到今天晚上6点因线路检修停电已经取消。"
        f"{NOTHING_ZH}另外提醒您：今天下午5点到今天晚上8点将因线路检修停电。"
    )
    assert "stays on" not in verdict.sentence_en


def test_a_danger_is_not_followed_by_what_was_called_off() -> None:
    verdict = weigh(Cause(1, "fault", False), called_off(on(23, 9), on(23, 17)))

    assert "取消" not in verdict.sentence_zh


def test_due_and_not_confirmed_is_never_said_to_be_nothing() -> None:
    verdict = weigh(announced(on(23, 13), on(23, 17)))

    assert verdict.state == "on"
    assert verdict.sentence_zh == (
        "按计划，今天下午1点到今天下午5点因线路检修停电，可能刚刚开始，也可能随时开始。"
        "如果您这里到时还没有恢复供电，请再联系我们。"
    )
    assert verdict.sentence_en == (
        "From one o'clock this afternoon until five o'clock this afternoon the power is to be off because of line"
        " maintenance; this may just have begun, or may begin at any moment. If your power is not back by then,"
        " please call us again."
    )


# --- the whole way: what the record says is what is said ---------------------------------------------


@pytest.fixture
def plan(city: SmallCity, now: datetime) -> Outage:
    """Planned work on feeder 1, tomorrow for four hours."""
    return outage_open(
        kind="planned", action="schedule", actor=SYSTEM, element_ids=city.ids("F1"),
        planned_start=now + 30 * HOUR, planned_end=now + 34 * HOUR,
        public_reason_zh="线路检修", public_reason_en="line maintenance",
    )  # fmt: skip


def said(city: SmallCity, at: datetime) -> Verdict:
    return supply_status(city.service_points["SP0001"], at)


def test_before_it_is_warned_of_for_a_day(city: SmallCity, plan: Outage, now: datetime) -> None:
    week, day = said(city, now), said(city, now + 7 * HOUR)

    assert [cause.reference for cause in week.upcoming] == [plan.reference]
    assert "另外提醒您" not in week.sentence_zh
    assert day.sentence_zh.startswith(NOTHING_ZH)
    assert day.sentence_zh.endswith("将因线路检修停电。")
    assert "the power will be off because of line maintenance." in day.sentence_en


def test_during_it_is_why_since_when_and_until_when(city: SmallCity, now: datetime) -> None:
    plan = outage_open(
        kind="planned", action="schedule", actor=SYSTEM, element_ids=city.ids("F1"),
        planned_start=now - HOUR, planned_end=now + 2 * HOUR, public_reason_zh="线路检修",
    )  # fmt: skip
    outage_start(outage_id=plan.pk, actor=SYSTEM, started_at=now - HOUR)

    verdict = said(city, now)

    assert (verdict.state, verdict.upcoming) == ("off", ())
    assert verdict.quote is not None
    assert verdict.quote >= now + 2 * HOUR
    assert "起，因线路检修停电。预计" in verdict.sentence_zh
    assert "because of planned work. We expect it back by" in verdict.sentence_en


def test_overrunning_is_later_than_we_said_until_the_end_is_moved(city: SmallCity, now: datetime) -> None:
    plan = outage_open(
        kind="planned", action="schedule", actor=SYSTEM, element_ids=city.ids("F1"),
        planned_start=now - HOUR, planned_end=now + HOUR,
    )  # fmt: skip
    outage_start(outage_id=plan.pk, actor=SYSTEM, started_at=now - HOUR)

    late = said(city, now + timedelta(minutes=90))
    assert late.quote is None
    assert "恢复时间比原先说的要晚" in late.sentence_zh
    assert "It is taking longer than we said" in late.sentence_en

    outage_extend(outage_id=plan.pk, actor=SYSTEM, planned_end=now + 3 * HOUR, reason="a second insulator")
    verdict = said(city, now + timedelta(minutes=90))
    assert verdict.quote is not None
    assert verdict.quote >= now + 3 * HOUR


def test_afterwards_it_is_restored_for_twelve_hours(city: SmallCity, now: datetime) -> None:
    plan = outage_open(
        kind="planned", action="schedule", actor=SYSTEM, element_ids=city.ids("F1"),
        planned_start=now - 2 * HOUR, planned_end=now + HOUR,
    )  # fmt: skip
    outage_start(outage_id=plan.pk, actor=SYSTEM, started_at=now - 2 * HOUR)
    outage_restore(outage_id=plan.pk, actor=SYSTEM, restored_at=now)

    assert said(city, now + 11 * HOUR).state == "restored"
    assert said(city, now + 13 * HOUR).sentence_zh == NOTHING_ZH


def move(plan: Outage, begins: datetime) -> Outage:
    return outage_reschedule(
        outage_id=plan.pk, actor=SYSTEM, planned_start=begins, planned_end=begins + 4 * HOUR, reason="rain"
    )


def test_moved_is_known_from_the_record_however_far_away(city: SmallCity, plan: Outage, now: datetime) -> None:
    move(plan, now + 30 * 24 * HOUR)

    waiting, over = said(city, now + 31 * HOUR), said(city, now + 35 * HOUR)

    assert "已改为" in waiting.sentence_zh
    [cause] = waiting.upcoming
    assert (cause.was_begins, cause.was_until) == (now + 30 * HOUR, now + 34 * HOUR)
    assert cause.begins == now + 30 * 24 * HOUR
    assert (over.sentence_zh, over.upcoming) == (NOTHING_ZH, ())


def test_the_window_that_people_were_told_is_kept_over_a_second_move(plan: Outage, now: datetime) -> None:
    outage_notified(outage_id=plan.pk, actor=SYSTEM)
    move(plan, now + 60 * HOUR)
    again = move(plan, now + 90 * HOUR)  # nobody had heard of the second window yet
    assert again.moved_from.lower == now + 30 * HOUR

    outage_notified(outage_id=plan.pk, actor=SYSTEM)
    told = move(plan, now + 120 * HOUR)

    assert told.moved_from.lower == now + 90 * HOUR


def test_moved_back_is_as_if_it_had_never_moved(city: SmallCity, plan: Outage, now: datetime) -> None:
    outage_notified(outage_id=plan.pk, actor=SYSTEM)
    move(plan, now + 60 * HOUR)

    back = move(plan, now + 30 * HOUR)

    assert back.moved_from is None
    assert "已改为" not in said(city, now + 20 * HOUR).sentence_zh


def test_that_customers_were_told_is_recorded_once_for_each_window(plan: Outage, now: datetime) -> None:
    outage_notified(outage_id=plan.pk, actor=SYSTEM)
    outage_notified(outage_id=plan.pk, actor=SYSTEM)
    assert [e.verb for e in plan.events.order_by("sequence")] == ["schedule", "notify"]

    move(plan, now + 60 * HOUR)
    outage_notified(outage_id=plan.pk, actor=SYSTEM)

    last = plan.events.latest("sequence")
    assert (last.verb, last.is_public, last.after) == ("notify", False, {})
    assert [e.verb for e in plan.events.order_by("sequence")] == ["schedule", "notify", "reschedule", "notify"]


def test_cancelled_is_known_around_its_window_only(city: SmallCity, plan: Outage, now: datetime) -> None:
    outage_cancel(outage_id=plan.pk, actor=SYSTEM, reason="no crew")

    assert said(city, now + 5 * HOUR).sentence_zh == NOTHING_ZH
    assert "已经取消，您这里照常供电。" in said(city, now + 7 * HOUR).sentence_zh
    assert "has been cancelled; your power stays on." in said(city, now + 33 * HOUR).sentence_en
    assert said(city, now + 34 * HOUR).sentence_zh == NOTHING_ZH


def test_moved_and_then_cancelled_is_said_in_the_old_window_too(city: SmallCity, plan: Outage, now: datetime) -> None:
    move(plan, now + 30 * 24 * HOUR)
    outage_cancel(outage_id=plan.pk, actor=SYSTEM, reason="no crew")

    [old], [new] = said(city, now + 31 * HOUR).called_off, said(city, now + 30 * 24 * HOUR).called_off

    assert (old.begins, old.until) == (now + 30 * HOUR, now + 34 * HOUR)
    assert (new.begins, new.until) == (now + 30 * 24 * HOUR, now + 30 * 24 * HOUR + 4 * HOUR)
    assert said(city, now + 10 * 24 * HOUR).sentence_zh == NOTHING_ZH


def test_what_was_entered_in_error_or_never_scheduled_is_not_spoken_of(
    city: SmallCity, plan: Outage, now: datetime
) -> None:
    outage_void(outage_id=plan.pk, actor=SYSTEM, reason="wrong feeder")
    suspected = outage_open(kind="fault", action="suspect", actor=SYSTEM, element_ids=city.ids("F1"))
    outage_cancel(outage_id=suspected.pk, actor=SYSTEM, reason="all lights on")

    verdict = said(city, now + 31 * HOUR)

    assert (verdict.sentence_zh, verdict.called_off) == (NOTHING_ZH, ())


def test_somebody_elsewhere_hears_nothing_of_it(city: SmallCity, plan: Outage, now: datetime) -> None:
    move(plan, now + 60 * HOUR)

    verdict = supply_status(city.service_points["SP0005"], now + 31 * HOUR)

    assert (verdict.sentence_zh, verdict.upcoming) == (NOTHING_ZH, ())
