"""The twelve fixtures of domain.md 5.6 and the wording rules of experience.md 2. No database: ``judge`` is pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from grid.models import Branch, ServicePoint
from outages.causes import Cause
from outages.supply_status import Verdict, judge
from outages.wording import rounded_etr, spoken_time

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 23, 14, 0, tzinfo=SHANGHAI)


def hours(number: float) -> datetime:
    return NOW + timedelta(hours=number)


def point() -> ServicePoint:
    return ServicePoint(pk=7, code="sp", branch=Branch(code="b", name="江口供电分局", time_zone="Asia/Shanghai"))


def weigh(*causes: Cause, verified: bool = False, disagreement: bool = False) -> Verdict:
    return judge(point(), list(causes), at=NOW, verified=verified, disagreement=disagreement)


def fault(until: datetime | None = None, **facts: object) -> Cause:
    defaults: dict[str, object] = {
        "rank": 2, "kind": "fault", "blocks": True, "reference": "F-2026-000001", "place": "竹山路",
        "reason_zh": "线路故障", "reason_en": "a line fault", "since": hours(-1), "until": until,
    }  # fmt: skip
    return Cause(**{**defaults, **facts})  # type: ignore[arg-type]


def slot(until: datetime) -> Cause:
    return Cause(
        3, "load_shedding", True, reason_zh="有序用电", reason_en="load shedding", since=hours(-1), until=until
    )


def planned(until: datetime, begins: datetime | None = None) -> Cause:
    rank, blocks = (8, False) if begins else (4, True)
    since = None if begins else hours(-2)
    return Cause(
        rank, "planned", blocks, reference="P-2026-000001", reason_zh="计划检修", reason_en="planned work", since=since,
        until=until, begins=begins,
    )  # fmt: skip


ARREARS = Cause(5, "non_payment", True, reason_zh="欠费", reason_en="an unpaid account", since=hours(-48))
SUSPECTED = Cause(6, "fault", False, status="suspected")
SAFETY = Cause(1, "fault", False)
DEBT_WORDS = ("欠费", "缴", "unpaid", "paid", "account", "debt")


def test_01_a_fault_gives_its_estimate() -> None:
    verdict = weigh(fault(hours(2)))

    assert verdict.state == "off"
    assert verdict.quote == hours(2)
    assert verdict.sentence_zh == "竹山路一带今天下午1点起，因线路故障停电。预计今天下午4点前恢复供电。"
    assert verdict.sentence_en == (
        "The power around 竹山路 has been off since one o'clock this afternoon because of a line fault."
        " We expect it back by four o'clock this afternoon."
    )


def test_02_planned_work_with_a_cut_off_told_to_a_verified_caller_names_the_residual() -> None:
    verdict = weigh(planned(hours(3)), ARREARS, verified=True)

    assert verdict.lead is not None
    assert verdict.lead.kind == "planned"
    assert verdict.residual == ARREARS
    assert verdict.quote is None
    assert "线路预计今天下午5点前恢复，但您这里还因欠费停电" in verdict.sentence_zh
    assert "but your supply is also off because of an unpaid account" in verdict.sentence_en


def test_03_the_same_for_an_unverified_caller_promises_no_time_and_names_no_debt() -> None:
    verdict = weigh(planned(hours(3)), ARREARS)

    assert [cause.kind for cause in verdict.causes] == ["planned"]
    assert verdict.withheld
    assert verdict.quote is None
    assert "客服人员核实" in verdict.sentence_zh
    assert not any(word in verdict.sentence_zh + verdict.sentence_en for word in DEBT_WORDS)


def test_04_a_fault_that_outlasts_the_slot_is_quoted() -> None:
    verdict = weigh(slot(hours(1)), fault(hours(3)))

    assert verdict.lead is not None
    assert verdict.lead.kind == "fault"
    assert verdict.quote == hours(3)
    assert verdict.residual is None


def test_05_a_slot_that_outlasts_the_fault_is_quoted() -> None:
    verdict = weigh(slot(hours(4)), fault(hours(1)))

    assert verdict.lead is not None
    assert verdict.lead.kind == "fault"
    assert verdict.quote == hours(4)
    assert verdict.residual == slot(hours(4))
    assert verdict.sentence_zh.endswith(
        "线路预计今天下午3点前恢复，但您这里还受有序用电影响，预计今天晚上6点前恢复供电。"
    )


def test_06_a_meter_that_is_on_while_the_caller_says_off_is_a_disagreement() -> None:
    verdict = weigh(disagreement=True)

    assert (verdict.lead, verdict.disagreement, verdict.state) == (None, True, "on")
    assert "总开关" in verdict.sentence_zh


def test_07_suspected_and_a_cut_off_leads_with_the_cut_off_for_a_verified_caller() -> None:
    verdict = weigh(SUSPECTED, ARREARS, verified=True)

    assert [cause.kind for cause in verdict.causes] == ["non_payment", "fault"]
    assert "欠费" in verdict.sentence_zh


def test_08_planned_work_that_overruns_never_quotes_a_past_time() -> None:
    verdict = weigh(planned(hours(-0.5)))

    assert verdict.quote is None
    assert "比原先说的要晚" in verdict.sentence_zh
    assert "taking longer than we said" in verdict.sentence_en


def test_09_restored_two_hours_ago_asks_whether_it_is_still_off() -> None:
    restored = Cause(7, "fault", False, since=hours(-5), until=hours(-2))

    verdict = weigh(restored)

    assert verdict.state == "restored"
    assert verdict.sentence_zh == "您这里的供电已于今天中午12点恢复。如果现在还是没电，请告诉我。"


def test_10_a_wire_down_report_comes_before_everything() -> None:
    verdict = weigh(slot(hours(1)), SAFETY)

    assert verdict.state == "safety"
    assert "远离断落" in verdict.sentence_zh
    assert [cause.rank for cause in verdict.causes] == [1, 3]


def test_11_work_tomorrow_and_nothing_now_warns_of_tomorrow() -> None:
    verdict = weigh(planned(hours(26), begins=hours(18)))

    assert verdict.lead is None
    assert "总开关" in verdict.sentence_zh
    assert verdict.sentence_zh.endswith("另外提醒您：明天早上8点到明天下午4点将因计划检修停电。")


def test_12_an_expired_estimate_becomes_the_next_news_and_the_evening_is_announced() -> None:
    verdict = weigh(fault(hours(-0.25), next_update_by=hours(1)), planned(hours(8), begins=hours(6)))

    assert verdict.quote is None
    assert "恢复时间比原先说的要晚，今天下午3点前会有新消息。" in verdict.sentence_zh
    assert "taking longer than we said; there will be news by three o'clock this afternoon." in verdict.sentence_en
    assert "今天晚上8点到今天晚上10点" in verdict.sentence_zh


def test_a_debt_alone_is_not_hinted_at_before_the_caller_is_verified() -> None:
    verdict = weigh(ARREARS)

    assert verdict.causes == ()
    assert not any(word in verdict.sentence_zh + verdict.sentence_en for word in DEBT_WORDS)


def test_a_broken_promise_of_news_says_how_old_our_information_is() -> None:
    verdict = weigh(fault(hours(-3), next_update_by=hours(-2), known_at=hours(-4)))

    assert "我们掌握的情况是240分钟前的，正在核实。" in verdict.sentence_zh
    assert "Our information is 240 minutes old; we are checking." in verdict.sentence_en


@pytest.mark.parametrize(
    ("etr", "told"),
    [
        ("14:01", "14:15"),
        ("15:15", "15:15"),
        ("15:46", "16:00"),
        ("17:10", "17:30"),
        ("20:10", "21:00"),
        ("23:20", "00:00"),
    ],
)
def test_estimates_are_rounded_up_by_their_distance(etr: str, told: str) -> None:
    hour, minute = map(int, etr.split(":"))

    rounded = rounded_etr(NOW.replace(hour=hour, minute=minute), NOW, SHANGHAI)

    assert f"{rounded:%H:%M}" == told


@pytest.mark.parametrize(
    ("moment", "zh", "en"),
    [
        (datetime(2026, 11, 23, 15, 30), "今天下午3点半", "half past three this afternoon"),
        (datetime(2026, 11, 23, 12, 15), "今天中午12点一刻", "a quarter past twelve this afternoon"),
        (datetime(2026, 11, 23, 0, 45), "今天凌晨0点45分", "a quarter to one this morning"),
        (datetime(2026, 11, 24, 9, 5), "明天上午9点05分", "9:05 tomorrow morning"),
        (datetime(2026, 11, 22, 20, 0), "昨天晚上8点", "eight o'clock yesterday evening"),
        (datetime(2026, 12, 3, 18, 0), "12月3日晚上6点", "six o'clock in the evening on 3 December"),
    ],
)
def test_times_are_said_as_people_say_them(moment: datetime, zh: str, en: str) -> None:
    moment = moment.replace(tzinfo=SHANGHAI)

    assert spoken_time(moment.astimezone(UTC), "zh-hans", NOW, SHANGHAI) == zh
    assert spoken_time(moment.astimezone(UTC), "en", NOW, SHANGHAI) == en


def test_the_time_of_the_next_news_is_said_in_full_five_minutes() -> None:
    verdict = weigh(fault(next_update_by=NOW + timedelta(minutes=31)))

    assert "今天下午2点35分前会有新消息。" in verdict.sentence_zh
    assert "there will be news by 2:35 this afternoon." in verdict.sentence_en
