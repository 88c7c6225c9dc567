"""Dunning: who is reminded when, what letters say, and that nothing is said twice or after it is paid."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from accounts.actor import Actor
from billing_cutoffs.models import (
    AccountHold,
    BillingAccount,
    CutoffBatch,
    CutoffOrder,
    DebtNotice,
    Grade,
    NoticeStage,
    Payment,
)
from billing_cutoffs.services import dunning
from billing_cutoffs.services.grades import accounts_grade
from billing_cutoffs.texts import Facts, compose
from grid.models import Branch
from notifications.models import Delivery, DeliveryState, Letter, Notice
from notifications.texts import SMS_LIMIT, sms_segments
from tests.billing import world
from tests.billing.world import CLOCK, crowd_of_debtors, debtor
from tests.factories.grid import SmallCity


@pytest.fixture(autouse=True)
def path(city: SmallCity) -> Grade:
    """Everybody is reminded on the 7th, 20th and 40th day; messages may be sent all day."""
    Branch.objects.update(send_from="00:00", send_until="00:00", phone="95598")
    grade = Grade.objects.create(code="all", name_zh="全部", name_en="All", rank=1)
    for days, channels in ((7, ["sms"]), (20, ["sms", "email"]), (40, ["sms"])):
        grade.steps.create(after_days=days, channels=channels)
    return grade


def owing(city: SmallCity, code: str = "SP0001", **facts: Any) -> BillingAccount:
    account = debtor(city, code, **facts)
    accounts_grade(actor=CLOCK)
    return account


def notices(stage: str = "reminder") -> list[tuple[str, int | None, str]]:
    rows = DebtNotice.objects.filter(stage=stage).order_by("pk")
    return [(n.case.account.customer.account_number[-1], n.after_days, f"{n.amount}") for n in rows]


def said(stage: str) -> list[str]:
    letters = DebtNotice.objects.filter(stage=stage, void_at=None).order_by("pk").values_list("letter_id", flat=True)
    return [Letter.objects.get(pk=pk).text for pk in letters]


def hold(account: BillingAccount, kind: str, **facts: Any) -> AccountHold:
    return AccountHold.objects.create(account=account, kind=kind, set_by_name="ben", **facts)


def approved(
    city: SmallCity, ben: Actor, *codes: str, ahead: timedelta = timedelta(days=10), **facts: Any
) -> CutoffBatch:
    batch = world.batch(city.east, ben, state="approved", opens=_ten(city, ahead), approved_at=timezone.now(), **facts)
    for code in codes:
        world.order(owing(city, code), batch, state="approved")
    return batch


def _ten(city: SmallCity, ahead: timedelta) -> datetime:
    """Ten in the morning of the day so far ahead."""
    return (world.today(city.east) + ahead).replace(hour=10, minute=0, second=0, microsecond=0)


def void(order_ids: Collection[int]) -> int:
    with transaction.atomic():
        return dunning.notices_void(order_ids=order_ids)


# --- reminders ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "step"), [(6, None), (7, 7), (19, 7), (20, 20), (39, 20), (40, 40), (90, 40)])
def test_the_latest_reminder_that_is_due_is_sent(city: SmallCity, days: int, step: int | None) -> None:
    owing(city, days=days)

    dunning.reminders_issue(actor=CLOCK)

    assert notices() == ([("1", step, "320.00")] if step else [])


def test_a_reminder_says_how_much_since_when_and_how_to_pay(city: SmallCity) -> None:
    account = owing(city, days=20)

    assert dunning.reminders_issue(actor=CLOCK) == 1

    due = account.oldest_due_on
    assert due is not None
    assert said("reminder") == [
        f"您尾号0001的用电账户有电费320.00元已过缴费期限，最早一笔的期限是{due.year}年{due.month}月{due.day}日。"
        "请尽快缴纳：手机应用、网上银行、银行代扣或就近营业厅均可。如已缴费，请忽略本通知。"
        "对账单有疑问或缴费有困难，请告诉我们。咨询电话95598。"
    ]
    notice = Notice.objects.get()
    assert (notice.kind, notice.lane, notice.mandatory, notice.author) == ("letter", 5, False, "cut-offs")


def test_issued_twice_it_is_said_once(city: SmallCity) -> None:
    owing(city, days=7)
    assert dunning.reminders_issue(actor=CLOCK) == 1
    assert dunning.reminders_issue(actor=CLOCK) == 0
    assert Letter.objects.count() == 1


def test_the_next_step_follows_and_a_missed_one_is_not_made_up_for(city: SmallCity) -> None:
    account = owing(city, days=7)
    today = world.today(city.east).date()

    for later in (0, 5, 33, 34, 60):
        dunning.reminders_issue(actor=CLOCK, today=today + timedelta(days=later))

    assert notices() == [("1", 7, "320.00"), ("1", 40, "320.00")]
    assert account.cases.get().notices.count() == 2


def test_a_payment_of_the_oldest_bill_does_not_bring_back_earlier_steps(city: SmallCity) -> None:
    account = owing(city, days=20)
    dunning.reminders_issue(actor=CLOCK)
    account.oldest_due_on = world.today(city.east).date() - timedelta(days=8)
    account.save(update_fields=["oldest_due_on"])
    account.bills.update(due_on=account.oldest_due_on)

    assert dunning.reminders_issue(actor=CLOCK) == 0


@pytest.mark.parametrize(
    ("kind", "is_reminded"),
    [("dispute", False), ("promise", False), ("medical", True), ("keep_power", True), ("other", True)],
)
def test_who_disputes_or_has_promised_is_left_alone(city: SmallCity, kind: str, is_reminded: bool) -> None:
    hold(owing(city), kind)
    assert dunning.reminders_issue(actor=CLOCK) == int(is_reminded)


def test_a_hold_that_is_over_or_not_begun_keeps_nobody(city: SmallCity) -> None:
    now, day = timezone.now(), timedelta(days=1)
    account = owing(city)
    hold(account, "promise", since=now - 2 * day, until=now - day)
    hold(account, "promise", since=now + day)
    hold(account, "dispute", released_at=now - day, released_by_name="otto")
    assert dunning.reminders_issue(actor=CLOCK) == 1


def test_a_payment_on_its_way_that_covers_the_debt_is_waited_for(city: SmallCity) -> None:
    account = owing(city)
    payment = Payment.objects.create(
        source_system="bank", payment_id="1", account_number="1000000001", account=account, amount=Decimal("319.99"),
        status="in_flight", paid_at=timezone.now(),
    )  # fmt: skip
    payment.amount = Decimal("320.00")
    payment.save(update_fields=["amount"])
    assert dunning.reminders_issue(actor=CLOCK) == 0
    payment.amount = Decimal("319.99")
    payment.save(update_fields=["amount"])
    assert dunning.reminders_issue(actor=CLOCK) == 1


def test_life_support_is_reminded_too(city: SmallCity) -> None:
    owing(city, "SP0003")
    assert dunning.reminders_issue(actor=CLOCK) == 1


def test_whoever_has_the_cut_off_letter_gets_no_reminder(city: SmallCity, ben: Actor) -> None:
    account = owing(city)
    order = world.order(account, world.batch(city.east, ben), state="eligible")
    CutoffOrder.objects.filter(pk=order.pk).update(state="approved")
    assert dunning.reminders_issue(actor=CLOCK) == 0
    CutoffOrder.objects.filter(pk=order.pk).update(state="cancelled")
    assert dunning.reminders_issue(actor=CLOCK) == 1


def test_at_night_nobody_is_reminded(city: SmallCity) -> None:
    owing(city)
    local = timezone.now().astimezone(ZoneInfo(city.east.time_zone))
    later = [(local + timedelta(hours=hours)).time() for hours in (2, 4)]
    Branch.objects.update(send_from=later[0], send_until=later[1])
    assert dunning.reminders_issue(actor=CLOCK) == 0


@pytest.mark.parametrize("number", [2, 30])
def test_statements_do_not_grow_with_debtors(
    city: SmallCity, number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    crowd_of_debtors(city, number)
    accounts_grade(actor=CLOCK)
    with django_assert_num_queries(14):
        assert dunning.reminders_issue(actor=CLOCK) == number
    assert Delivery.objects.count() == number


def test_a_reminder_of_a_debt_that_is_paid_meanwhile_is_taken_back(city: SmallCity) -> None:
    account = owing(city)
    dunning.reminders_issue(actor=CLOCK)
    assert dunning.reminders_void() == 0
    account.cases.update(closed_at=timezone.now())

    assert dunning.reminders_void() == 1
    assert Delivery.objects.get().state == DeliveryState.SUPERSEDED


# --- letters ------------------------------------------------------------------------------------------


def test_the_letter_names_amount_window_place_and_what_protects(city: SmallCity, ben: Actor) -> None:
    batch = approved(city, ben, "SP0001")

    assert dunning.letters_issue(batch_id=batch.pk, actor=CLOCK) == 1

    [text] = said("letter")
    day = batch.window_from.astimezone(ZoneInfo(city.east.time_zone))
    for words in (
        "尾号0001",
        "320.00元",
        f"{day.month}月{day.day}日上午10点到{day.month}月{day.day}日下午4点",
        "东风路12号3单元501室",
        "医疗设备",
        "异议",
        "分期",
        "营业厅",
        "95598",
    ):
        assert words in text
    notice = DebtNotice.objects.get(stage="letter")
    assert (notice.window_from, notice.window_until) == (batch.window_from, batch.window_until)
    sent = Notice.objects.get()
    # a home's letter must have arrived three days before
    assert (sent.mandatory, sent.expires_at) == (True, batch.window_from - timedelta(days=3))


def test_each_is_written_to_in_their_language(city: SmallCity, ben: Actor) -> None:
    account = owing(city, "SP0005")
    batch = approved(city, ben)
    world.order(account, batch, state="approved")

    dunning.letters_issue(batch_id=batch.pk, actor=CLOCK)

    [text] = said("letter")
    assert text.startswith("CNY 320.00 on your electricity account ending in 0004 has been overdue since ")
    assert "we will cut off 人民路68号商铺 between ten o'clock in the morning on " in text
    assert text.endswith("Call 95598.")


def test_letters_are_written_once_and_only_for_approved_orders(city: SmallCity, ben: Actor) -> None:
    batch = approved(city, ben, "SP0001", "SP0002")
    held = CutoffOrder.objects.get(service_point__code="SP0002")
    CutoffOrder.objects.filter(pk=held.pk).update(state="held", state_before_hold="approved")

    assert dunning.batches_without_letters() == [batch.pk]
    assert dunning.letters_issue(batch_id=batch.pk, actor=CLOCK) == 1
    assert dunning.letters_issue(batch_id=batch.pk, actor=CLOCK) == 0
    assert dunning.batches_without_letters() == []
    assert notices("letter") == [("1", None, "320.00")]


def test_no_letter_before_everybody_has_approved_or_after_the_window(city: SmallCity, ben: Actor) -> None:
    large = approved(city, ben, "SP0001", approved_count=201)
    late = approved(city, ben, "SP0002", ahead=timedelta(days=-1))
    returned = world.batch(city.east, ben, state="submitted", opens=_ten(city, timedelta(days=9)))

    for batch in (large, late, returned):
        assert dunning.letters_issue(batch_id=batch.pk, actor=CLOCK) == 0
    assert not DebtNotice.objects.exists()
    CutoffBatch.objects.filter(pk=large.pk).update(seconded_at=timezone.now())
    assert dunning.letters_issue(batch_id=large.pk, actor=CLOCK) == 1


def test_the_warning_goes_to_those_whose_letter_arrived_and_names_their_turn(city: SmallCity, ben: Actor) -> None:
    batch = world.batch(
        city.east, ben, state="running", opens=_ten(city, timedelta(days=1)), approved_at=timezone.now()
    )
    told = world.order(owing(city, "SP0001"), batch, state="noticed")
    untold = world.order(owing(city, "SP0002"), batch, state="approved")
    CutoffOrder.objects.filter(pk=told.pk).update(scheduled_at=batch.window_from + timedelta(hours=1, minutes=15))

    assert dunning.warnings_issue(order_ids=[told.pk, untold.pk], actor=CLOCK) == 1
    assert dunning.warnings_issue(order_ids=[told.pk, untold.pk], actor=CLOCK) == 0

    [text] = said("final_warning")
    assert "明天上午11点一刻到明天下午4点之间对东风路12号3单元501室停止供电" in text
    assert Notice.objects.get().expires_at == batch.window_until


def test_supply_is_back_is_told_to_those_who_were_off(city: SmallCity, ben: Actor) -> None:
    batch = world.batch(city.east, ben, state="running", approved_at=timezone.now())
    back = world.order(owing(city, "SP0001"), batch, state="reconnected")
    ended = world.order(owing(city, "SP0002"), batch, state="cancelled")

    assert dunning.reconnected_tell(order_ids=[back.pk, ended.pk], actor=CLOCK) == 1

    assert said("reconnected") == [
        "您尾号0001的用电账户已恢复供电（东风路12号3单元501室）。如果仍然没有电，请先检查总开关，再联系我们。联系电话95598。"
    ]


# --- taking back --------------------------------------------------------------------------------------


def test_an_order_that_ends_takes_its_letter_back(city: SmallCity, ben: Actor) -> None:
    batch = approved(city, ben, "SP0001", "SP0002")
    dunning.letters_issue(batch_id=batch.pk, actor=CLOCK)
    first, second = CutoffOrder.objects.order_by("pk")

    assert void([first.pk]) == 1
    assert void([first.pk]) == 0

    standing = DebtNotice.objects.filter(void_at=None, letter__withdrawn_at=None)
    assert list(standing.values_list("order", flat=True)) == [second.pk]
    assert sorted(Delivery.objects.values_list("customer_id", "state", "channel")) == sorted(
        [
            (city.customers["chen"].pk, DeliveryState.SUPERSEDED, "sms"),
            (city.customers["wang"].pk, DeliveryState.PENDING, "sms"),
            (city.customers["wang"].pk, DeliveryState.PENDING, "email"),
        ]
    )


def test_a_letter_for_another_window_follows_one_that_is_void(city: SmallCity, ben: Actor) -> None:
    batch = approved(city, ben, "SP0001")
    dunning.letters_issue(batch_id=batch.pk, actor=CLOCK)
    void(CutoffOrder.objects.values_list("pk", flat=True))
    assert dunning.letters_issue(batch_id=batch.pk, actor=CLOCK) == 1
    assert Letter.objects.count() == 2


# --- words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", NoticeStage.values)
@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("place", ["12 Oak Lane", "人民路" * 80])
def test_every_message_fits_a_text_message(stage: str, language: str, place: str) -> None:
    at = datetime(2026, 11, 20, 12, tzinfo=ZoneInfo("Asia/Shanghai"))
    subject, text = compose(
        Facts(
            stage=stage, language=language, at=at, account_number="1234567890123456", amount=Decimal("123456789.00"),
            due_on=at.date(), place=place, branch="", phone="+86 856 12345678", time_zone="Asia/Shanghai",
            rule_pack="cn-sgcc", begins=at + timedelta(days=8, minutes=7), ends=at + timedelta(days=8, hours=3),
        )
    )  # fmt: skip
    assert 0 < len(subject) <= 120
    assert sms_segments(text) <= SMS_LIMIT
    assert "3456" in text
    assert "123456789012" not in text


def test_money_is_named_in_the_currency_of_the_rules() -> None:
    at = datetime(2026, 11, 20, 12, tzinfo=ZoneInfo("Europe/London"))
    facts: dict[str, Any] = {
        "stage": "reminder", "at": at, "account_number": "1234", "amount": Decimal("5.50"), "due_on": at.date(),
        "place": "", "branch": "", "phone": "", "time_zone": "Europe/London",
    }  # fmt: skip
    assert compose(Facts(language="en", rule_pack="gb", **facts))[1].startswith("GBP 5.50 on")
    assert "GBP 5.50" in compose(Facts(language="zh-hans", rule_pack="gb", **facts))[1]
    assert "5.50元" in compose(Facts(language="zh-hans", rule_pack="cn-sgcc", **facts))[1]
