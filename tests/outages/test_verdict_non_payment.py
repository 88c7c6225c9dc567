"""What a cut for a debt adds to the one answer: both causes, the way back, and nothing at all before verification."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from outages.causes import RANK_RESTORED, RANK_UNCONFIRMED, RANK_UPCOMING, Cause
from outages.supply_status import Verdict
from tests.outages.test_verdict import ARREARS, DEBT_WORDS, NOW, SUSPECTED, fault, hours, planned, weigh


def paid(due: datetime) -> Cause:
    return Cause(
        5, "non_payment", True, reason_zh="欠费", reason_en="an unpaid account", since=hours(-48), until=due,
        etr_source="system",
    )  # fmt: skip


def coming(begins: datetime, until: datetime) -> Cause:
    return Cause(
        RANK_UPCOMING, "non_payment", False, reason_zh="欠费", reason_en="an unpaid account", begins=begins,
        until=until,
    )  # fmt: skip


def unconfirmed(kind: str) -> Cause:
    reasons = {"reason_zh": "欠费", "reason_en": "an unpaid account"} if kind == "non_payment" else {}
    return Cause(RANK_UNCONFIRMED, kind, False, begins=hours(-3), until=hours(-1), **reasons)  # type: ignore[arg-type]


def says_nothing_of_a_debt(verdict: Verdict) -> bool:
    told = (*verdict.causes, *verdict.upcoming, *verdict.called_off)
    words = verdict.sentence_zh + verdict.sentence_en
    return not any(c.kind == "non_payment" for c in told) and not any(word in words for word in DEBT_WORDS)


# --- a line that is out as well ---------------------------------------------------------------------------


def test_with_the_line_out_as_well_payment_alone_does_not_bring_it_back() -> None:
    verdict = weigh(fault(hours(2)), ARREARS, verified=True)

    assert (verdict.residual, verdict.quote) == (ARREARS, None)
    assert verdict.sentence_zh == (
        "竹山路一带今天下午1点起，因线路故障停电。线路预计今天下午4点前恢复，但您这里还因欠费停电："
        "要等线路恢复并且缴清欠费才能来电，只缴费不会马上来电。"
    )
    assert verdict.sentence_en == (
        "The power around 竹山路 has been off since one o'clock this afternoon because of a line fault."
        " The line should be back by four o'clock this afternoon, but your supply is also off because of an unpaid"
        " account. Paying alone does not bring it back: it returns once the line is back and the account is paid."
    )


def test_a_line_without_a_time_is_said_with_its_next_news_and_then_the_debt() -> None:
    verdict = weigh(fault(next_update_by=hours(1)), ARREARS, verified=True)

    assert "恢复时间还在确认，今天下午3点前会有新消息。另外，您这里还因欠费停电：" in verdict.sentence_zh
    assert "there will be news by three o'clock this afternoon. In addition, your supply" in verdict.sentence_en
    assert "Paying alone does not bring it back" in verdict.sentence_en


def test_of_three_causes_the_unpaid_one_remains_whatever_the_works_last() -> None:
    verdict = weigh(fault(hours(1)), planned(hours(3)), ARREARS, verified=True)

    assert (verdict.residual, verdict.quote) == (ARREARS, None)
    assert "只缴费不会马上来电" in verdict.sentence_zh


def test_a_suspected_outage_beside_the_cut_is_said_after_the_way_back() -> None:
    verdict = weigh(SUSPECTED, ARREARS, verified=True)

    assert verdict.sentence_zh.endswith(
        "因欠费停电。缴清欠费后我们会尽快安排复电。另外，您附近有停电报告，我们正在核实；如果属实，要等它修好才能来电。"
    )
    assert verdict.sentence_en.endswith(
        "We reconnect as soon as the account is paid. There are also reports of an outage near you, which we are"
        " checking; if they are right, the power returns only once that is repaired."
    )


# --- paid -------------------------------------------------------------------------------------------------


def test_once_it_is_settled_the_deadline_is_promised() -> None:
    verdict = weigh(paid(hours(20)), verified=True)

    assert verdict.quote == hours(20)
    assert "账户手续已经办妥，预计明天上午10点前恢复供电。" in verdict.sentence_zh
    assert "The account is settled; we reconnect you by ten o'clock tomorrow morning." in verdict.sentence_en


def test_past_the_deadline_no_time_is_repeated() -> None:
    verdict = weigh(paid(hours(-1)), verified=True)

    assert verdict.quote is None
    assert "复电比原先说的要晚" in verdict.sentence_zh
    assert "reconnecting you is taking longer than we said" in verdict.sentence_en


def test_a_mistake_of_ours_is_called_that_and_no_payment_is_asked_for() -> None:
    wrongful = Cause(
        5, "non_payment", True, reason_zh="我们的差错", reason_en="a mistake of ours", since=hours(-1),
        next_update_by=hours(1),
    )  # fmt: skip

    verdict = weigh(wrongful, verified=True)

    assert verdict.sentence_zh == (
        "您这里今天下午1点起，因我们的差错停电。账户手续已经办妥，我们正在加紧复电，一有消息会马上告诉您。"
    )
    assert verdict.sentence_en.endswith(
        "because of a mistake of ours. The account is settled; we are reconnecting you and will tell you as soon as"
        " there is news."
    )


def test_settled_while_the_line_is_out_quotes_the_later_time() -> None:
    verdict = weigh(fault(hours(2)), paid(hours(20)), verified=True)

    assert verdict.quote == hours(20)
    assert "但您这里还因欠费停电。账户手续已经办妥，预计明天上午10点前恢复供电。" in verdict.sentence_zh


def test_reconnected_two_hours_ago_asks_the_verified_whether_it_is_still_off() -> None:
    back = Cause(RANK_RESTORED, "non_payment", False, since=hours(-50), until=hours(-2))

    assert weigh(back, verified=True).state == "restored"
    assert "请告诉我" in weigh(back, verified=True).sentence_zh
    stranger = weigh(back)
    assert (stranger.state, stranger.sentence_zh) == ("on", weigh().sentence_zh)


# --- a cut that is coming ---------------------------------------------------------------------------------


def test_a_coming_cut_may_happen_between_two_times_unless_it_is_paid() -> None:
    verdict = weigh(coming(hours(19), hours(26)), verified=True)

    assert verdict.sentence_zh.endswith(
        "另外提醒您：如果没有缴清欠费，明天上午9点到明天下午4点之间您这里可能因欠费停电；缴清就不会停。"
    )
    assert verdict.sentence_en.endswith(
        "Please note: unless the account is paid, your supply may be cut off between nine o'clock tomorrow morning and"
        " four o'clock tomorrow afternoon because of an unpaid account."
    )


def test_inside_its_window_the_cut_may_happen_at_any_moment() -> None:
    verdict = weigh(coming(hours(-1), hours(3)), verified=True)

    assert verdict.state == "on"
    assert verdict.sentence_zh == (
        "如果没有缴清欠费，今天下午1点到今天下午5点之间您这里可能因欠费停电，现在随时可能执行；缴清就不会停。"
    )
    assert verdict.sentence_en.endswith("because of an unpaid account. This may happen at any moment.")


def test_a_coming_cut_is_not_hinted_at_before_the_caller_is_verified() -> None:
    verdict = weigh(coming(hours(19), hours(26)))

    assert (verdict.state, verdict.withheld) == ("on", False)
    assert verdict.sentence_en == weigh().sentence_en
    assert says_nothing_of_a_debt(verdict)


# --- what an unverified caller hears ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "cause",
    [
        ARREARS,
        paid(hours(20)),
        paid(hours(-1)),
        coming(hours(-1), hours(3)),
        unconfirmed("non_payment"),
        unconfirmed("planned"),
    ],
    ids=["off", "paid", "overdue", "in its window", "window over", "planned work that nobody confirmed"],
)
def test_every_unresolved_case_gets_the_same_words_so_that_none_tells_of_a_debt(cause: Cause) -> None:
    verdict = weigh(cause)

    assert (verdict.state, verdict.causes, verdict.upcoming, verdict.quote) == ("unknown", (), (), None)
    assert verdict.sentence_zh == "您这里的供电情况需要由客服人员与您核实后说明。"
    assert verdict.sentence_en == "An agent needs to check the supply at your premises with you."


@pytest.mark.parametrize("cause", [ARREARS, paid(hours(1)), unconfirmed("planned")])
def test_beside_a_known_outage_they_take_its_time_back_in_the_same_words(cause: Cause) -> None:
    verdict = weigh(fault(hours(2)), cause)

    assert (verdict.state, verdict.quote, [c.kind for c in verdict.causes]) == ("off", None, ["fault"])
    assert verdict.sentence_zh.endswith("因线路故障停电。您这里具体的恢复时间需要由客服人员核实后说明。")
    assert verdict.sentence_en.endswith("An agent needs to check with you when it will be back at your premises.")


def test_the_verified_hear_of_an_unconfirmed_window_what_is_known_namely_nothing() -> None:
    verdict = weigh(unconfirmed("planned"), verified=True)

    assert verdict.state == "on"
    assert verdict.sentence_zh == weigh(verified=True).sentence_zh


@pytest.mark.parametrize("minutes", [0, 30, 719])
def test_nothing_is_promised_to_a_stranger_however_the_debt_stands(minutes: int) -> None:
    verdict = weigh(paid(NOW + timedelta(minutes=minutes)))

    assert verdict.quote is None
    assert says_nothing_of_a_debt(verdict)
