"""The one answer where load shedding is among the causes: in force, beside a fault or a danger, and forecast."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from grid.models import Branch, ServicePoint
from outages.causes import RANK_CALLED_OFF, RANK_RESTORED, RANK_SAFETY, RANK_UPCOMING, Cause
from outages.supply_status import Verdict, judge

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 23, 14, 0, tzinfo=SHANGHAI)
FACTS = {"place": "1号区块", "reason_zh": "有序用电（1号区块）", "reason_en": "load shedding, block 1"}


def hours(number: float) -> datetime:
    return NOW + timedelta(hours=number)


def weigh(*causes: Cause) -> Verdict:
    point = ServicePoint(pk=7, code="sp", branch=Branch(code="b", name="江口供电分局", time_zone="Asia/Shanghai"))
    return judge(point, list(causes), at=NOW, verified=False)


def slot(until: datetime) -> Cause:
    return Cause(3, "load_shedding", True, since=hours(-1), until=until, **FACTS)  # type: ignore[arg-type]


def tonight(*, is_forecast: bool, begins: float = 4, until: float = 6) -> Cause:
    return Cause(
        RANK_UPCOMING, "load_shedding", False, place=FACTS["place"], reason_zh=FACTS["reason_zh"],
        reason_en=FACTS["reason_en"], begins=hours(begins), until=hours(until), is_forecast=is_forecast,
    )  # fmt: skip


def called_off(begins: float, until: float, **facts: str) -> Cause:
    return Cause(
        RANK_CALLED_OFF, "load_shedding", False, status="cancelled", begins=hours(begins), until=hours(until),
        **(FACTS | facts),  # type: ignore[arg-type]
    )  # fmt: skip


def fault(until: datetime, **facts: datetime) -> Cause:
    return Cause(
        2, "fault", True, place="竹山路", reason_zh="线路故障", reason_en="a line fault", since=hours(-2), until=until,
        **facts,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_slot_in_force_says_the_block_and_from_when_until_when() -> None:
    verdict = weigh(slot(hours(1)))

    assert (verdict.state, verdict.quote) == ("off", hours(1))
    assert verdict.sentence_zh == "您这里今天下午1点起，因有序用电（1号区块）停电。预计今天下午3点前恢复供电。"
    assert verdict.sentence_en == (
        "The power at your premises has been off since one o'clock this afternoon because of load shedding, block 1."
        " We expect it back by three o'clock this afternoon."
    )


def test_fixture_4_a_fault_that_outlasts_the_slot_is_quoted_and_the_slot_stands_beside_it() -> None:
    verdict = weigh(slot(hours(1)), fault(hours(3)))

    assert [cause.kind for cause in verdict.causes] == ["fault", "load_shedding"]
    assert (verdict.quote, verdict.residual) == (hours(3), None)
    assert verdict.sentence_zh == "竹山路一带今天中午12点起，因线路故障停电。预计今天下午5点前恢复供电。"


def test_fixture_5_a_slot_that_outlasts_the_fault_is_quoted() -> None:
    verdict = weigh(slot(hours(3)), fault(hours(1)))

    assert [cause.kind for cause in verdict.causes] == ["fault", "load_shedding"]
    assert (verdict.quote, verdict.residual) == (hours(3), slot(hours(3)))
    assert verdict.sentence_en.endswith(
        "The line should be back by three o'clock this afternoon, but you are also affected by load shedding, block 1;"
        " we expect your power back by five o'clock this afternoon."
    )


def test_fixture_10_a_fallen_wire_comes_first_and_the_slot_is_not_forgotten() -> None:
    verdict = weigh(slot(hours(1)), Cause(RANK_SAFETY, "fault", False))

    assert verdict.state == "safety"
    assert [cause.kind for cause in verdict.causes] == ["fault", "load_shedding"]
    assert verdict.sentence_zh.startswith("请马上远离断落或冒火的电线和设备")
    assert verdict.sentence_en.startswith("Please keep well away from any fallen or burning line")


def test_fixture_12_a_fault_without_a_time_and_a_forecast_slot_tonight() -> None:
    verdict = weigh(fault(hours(-0.5), next_update_by=hours(0.5)), tonight(is_forecast=True))

    assert verdict.quote is None
    assert verdict.sentence_zh == (
        "竹山路一带今天中午12点起，因线路故障停电。恢复时间比原先说的要晚，今天下午2点半前会有新消息。"
        "另外提醒您：按目前的预告，今天晚上6点到今天晚上8点可能因有序用电（1号区块）停电，还没有最后确定。"
    )
    assert verdict.sentence_en == (
        "The power around 竹山路 has been off since twelve o'clock this afternoon because of a line fault."
        " It is taking longer than we said; there will be news by half past two this afternoon."
        " Please note: by the present forecast, which is not confirmed yet, the power may be off from six o'clock this"
        " evening until eight o'clock this evening because of load shedding, block 1."
    )


def test_a_confirmed_turn_is_announced_and_a_forecast_one_is_only_possible() -> None:
    said = [weigh(tonight(is_forecast=forecast)).sentence_zh for forecast in (False, True)]

    window = "今天晚上6点到今天晚上8点"
    assert f"{window}将因有序用电（1号区块）停电。" in said[0]
    assert f"按目前的预告，{window}可能因有序用电（1号区块）停电，还没有最后确定。" in said[1]


def test_a_forecast_turn_that_should_run_now_is_still_only_possible() -> None:
    verdict = weigh(tonight(is_forecast=True, begins=-1, until=1))

    assert verdict.state == "on"
    assert verdict.sentence_zh == (
        "按目前的预告，今天下午1点到今天下午3点可能因有序用电（1号区块）停电，还没有最后确定。"
        "如果您这里到时还没有恢复供电，请再联系我们。"
    )


def test_a_turn_that_was_cancelled_and_came_after_all_is_not_called_cancelled() -> None:
    """A block let off by a smaller stage comes in again with a larger one."""
    back = Cause(RANK_RESTORED, "load_shedding", False, since=hours(-1), until=hours(-0.5), **FACTS)  # type: ignore[arg-type]

    for stands, begins in ((tonight(is_forecast=False), 4), (slot(hours(5)), -1.5), (back, -1.5)):
        verdict = weigh(stands, called_off(begins, begins + 2))
        assert verdict.called_off == ()
        assert "取消" not in verdict.sentence_zh
        assert "cancelled" not in verdict.sentence_en


def test_a_turn_of_another_time_or_another_block_that_was_cancelled_is_said_to_be() -> None:
    later, earlier = called_off(6, 8), called_off(3, 5)
    other = called_off(4, 6, reason_zh="有序用电（2号区块）", reason_en="load shedding, block 2")

    verdict = weigh(tonight(is_forecast=False), later, earlier, other)

    assert verdict.called_off == (earlier, other, later)
    assert "load shedding, block 1 has been cancelled" in verdict.sentence_en
