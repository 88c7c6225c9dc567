"""Every page of cut-offs: readable by everybody, in both languages and both schemes, and no wider than the screen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from playwright.sync_api import Page

from accounts.actor import Actor
from accounts.models import User
from billing_cutoffs.models import AccountHold, BillingAccount, CutoffBatch, CutoffOrder, DebtNotice, Grade
from billing_cutoffs.services import dunning, grades
from billing_cutoffs.services.guards import orders_guard
from tests.billing import world
from tests.billing.meters import account_of, meter, orders_for, pays, queue, turn
from tests.billing.proposing import approved, proposed, submitted
from tests.billing.world import CLOCK
from tests.e2e.test_pages_board import violations
from tests.e2e.test_pages_plans import A4, A4_LANDSCAPE, paper_of
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.clock import time_passes

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

SignIn = Callable[..., Page]
WANG = "1000000002"
IS_TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@pytest.fixture
def city(any_day_city: SmallCity) -> SmallCity:
    return any_day_city


@pytest.fixture
def clerk(city: SmallCity) -> User:
    return accounts.ben(city.bureau)


@pytest.fixture
def approver(city: SmallCity) -> User:
    return accounts.user_with("approver", city.bureau, username="otto")


@pytest.fixture
def batches(city: SmallCity, clerk: User, approver: User) -> dict[str, CutoffBatch]:
    """One batch in each state of its life, with orders in every state of theirs."""
    ben, otto = accounts.actor_of(clerk), accounts.actor_of(approver)
    debtors = world.crowd_of_debtors(city, 9)
    running = being_carried_out(city, ben, debtors[:7])
    for code in ("SP0001", "SP0002", "SP0003"):
        world.debtor(city, code)
    AccountHold.objects.create(
        account_id=city.customers["wang"].pk, kind="dispute", set_by_name="mei", reason="多计电量"
    )
    grades.accounts_grade(actor=CLOCK)
    ahead = approved(city.east, ben, otto, account_numbers=[number(debtors[7])])
    dunning.letters_issue(batch_id=ahead.pk, actor=CLOCK)
    waiting = submitted(city.east, ben, account_numbers=["1000000001", WANG])
    return {
        "running": running,
        "ahead": ahead,
        "waiting": waiting,
        "draft": proposed(city.east, ben, account_numbers=[number(debtors[8])]),
    }


def being_carried_out(city: SmallCity, ben: Actor, debtors: list[BillingAccount]) -> CutoffBatch:
    """Off, failed, wanted back and late, wanted back in time, in doubt, held, and waiting for its turn."""
    batch = world.batch(city.east, ben, state="running", approved_at=timezone.now() - timedelta(days=9))
    off, refused, late, back, silent, held, _waits = orders_for(debtors, batch)
    for order, behaviour in ((refused, "refuses"), (silent, "mute"), (late, "prompt"), (back, "prompt")):
        meter(order, behaviour)
    queue(off, refused, late, back, silent)
    turn()
    pays(account_of(late))
    time_passes(timedelta(hours=25))
    closes = timezone.now() + timedelta(hours=3)
    CutoffBatch.objects.filter(pk=batch.pk).update(window_until=closes)
    DebtNotice.objects.update(window_until=closes)
    CutoffOrder.objects.filter(pk=late.pk).update(state="reconnect_failed", escalated_at=timezone.now())
    until = timezone.now() + timedelta(days=2)
    AccountHold.objects.create(account=account_of(held), kind="promise", set_by_name="mei", until=until)
    with transaction.atomic():
        orders_guard(order_ids=[held.pk], stage="command", actor=CLOCK)
    pays(account_of(back))
    return batch


def number(account: BillingAccount) -> str:
    return account.customer.account_number


def addresses(batches: dict[str, CutoffBatch]) -> list[str]:
    """Every page that the clerk can open."""
    running = batches["running"].reference
    orders = list(batches["running"].orders.order_by("pk"))
    case = orders[0].case
    letter = batches["ahead"].orders.get().notices.get()
    hold = AccountHold.objects.earliest("pk")
    grade = Grade.objects.earliest("pk")
    held = batches["running"].orders.filter(state="held").first() or orders[-1]
    return [
        "", "batches/", "batches/new/", "accounts/", "reconnections/", "failures/", "slips/",
        "slips/?print=1", "holds/", "holds/new/", f"holds/{hold.pk}/", "forecasts/", "grades/",
        f"grades/{grade.pk}/", "files/",
        *[f"batches/{batch.reference}/" for batch in batches.values()],
        *[f"batches/{running}/steps/{step}/" for step in ("stop", "undo")],
        f"batches/{batches['draft'].reference}/steps/submit/", f"batches/{batches['draft'].reference}/steps/change/",
        f"batches/{running}/orders/{held.reference}/hold/",
        *[f"orders/{order.reference}/" for order in orders],
        f"orders/{orders[0].reference}/steps/on/", f"orders/{orders[0].reference}/steps/reconnect/",
        f"orders/{orders[0].reference}/evidence/", f"accounts/{case.account.customer.account_number}/",
        f"accounts/{case.account.customer.account_number}/evidence/", f"accounts/{WANG}/",
        f"letters/{batches['ahead'].reference}/",
        f"accounts/{letter.case.account.customer.account_number}/notices/{letter.pk}/",
    ]  # fmt: skip


# words and colours do not depend on each other: each language once, each scheme once
@pytest.mark.parametrize(("language", "scheme"), [("zh-hans", "light"), ("en", "dark")])
def test_every_page_is_readable_by_everybody_and_fits_the_screen(
    sign_in: SignIn, live_server: Any, clerk: User, approver: User, batches: dict[str, CutoffBatch], language: str,
    scheme: Any,
) -> None:  # fmt: skip
    wrong = []
    waiting = batches["waiting"].reference
    seen = {
        clerk: addresses(batches),
        approver: ["", f"batches/{waiting}/", f"batches/{waiting}/steps/approve/", f"batches/{waiting}/steps/return/",
                   "grades/new/"],
    }  # fmt: skip
    for user, paths in seen.items():
        page = sign_in(user, language=language)
        page.emulate_media(color_scheme=scheme)
        for path in paths:
            answer = page.goto(f"{live_server.url}/cutoffs/{path}")
            assert answer is not None
            found = violations(page)
            if answer.status != 200 or found or page.evaluate(IS_TOO_WIDE) or page.locator("h1").count() != 1:
                wrong.append((path, answer.status, found, page.evaluate(IS_TOO_WIDE), page.locator("h1").count()))
    assert wrong == []


def test_no_page_breaks_its_own_content_policy(
    sign_in: SignIn, live_server: Any, clerk: User, batches: dict[str, CutoffBatch]
) -> None:
    page = sign_in(clerk)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))

    for path in addresses(batches):
        page.goto(f"{live_server.url}/cutoffs/{path}")

    assert said == []


def test_sheets_and_slips_are_printed_on_a4(
    sign_in: SignIn, live_server: Any, clerk: User, batches: dict[str, CutoffBatch]
) -> None:
    page = sign_in(clerk)
    order = batches["running"].orders.earliest("pk")

    for path in (f"orders/{order.reference}/evidence/", f"letters/{batches['ahead'].reference}/", "slips/?print=1"):
        page.goto(f"{live_server.url}/cutoffs/{path}")
        assert (path, paper_of(page)) == (path, A4)
    page.goto(f"{live_server.url}/cutoffs/batches/{batches['running'].reference}/")
    assert paper_of(page) == A4_LANDSCAPE
