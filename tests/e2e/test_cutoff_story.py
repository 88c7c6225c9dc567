"""A batch of cut-offs from its proposal to the last reconnection, in a real browser, with time travelled.

The clerk proposes, another person approves, letters and warnings are served, meters switch, a payment brings back.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone, translation
from django.utils.translation import gettext, pgettext
from playwright.sync_api import Locator, Page, expect

from accounts.models import User
from billing_cutoffs.models import AccountHold, BillingAccount, CutoffBatch, CutoffOrder, ServedHow, SimulatedMeter
from billing_cutoffs.services import answers, dunning, proofs, sending
from billing_cutoffs.services.grades import accounts_grade
from billing_cutoffs.services.running import batches_turn
from billing_cutoffs.services.serving import notices_settle
from notifications.models import Delivery, DeliveryState
from tests.billing import world
from tests.billing.meters import meter, pays
from tests.billing.proposing import approved
from tests.billing.world import CLOCK
from tests.e2e.test_pages_plans import A4, paper_of
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.notifications.post import receipt
from tests.notifications.world import turn
from tests.peers.sms_gateway import SmsGateway
from tests.planned.clock import time_passes

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

SignIn = Callable[..., Page]
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
CHEN, WANG, LI = "1000000001", "1000000002", "1000000003"
ONE, TWO, THREE, FOUR = (f"3{n:09d}" for n in range(4))  # with meters of their own


@pytest.fixture
def city(any_day_city: SmallCity) -> SmallCity:
    """Seven debtors, of whom one disputes the bill and one needs the supply to live."""
    for code in ("SP0001", "SP0002", "SP0003"):
        world.debtor(any_day_city, code)
    world.crowd_of_debtors(any_day_city, 4)
    AccountHold.objects.create(account_id=any_day_city.customers["wang"].pk, kind="dispute", set_by_name="mei")
    accounts_grade(actor=CLOCK)
    return any_day_city


@pytest.fixture
def clerk(city: SmallCity) -> User:
    return accounts.ben(city.east)


@pytest.fixture
def approver(city: SmallCity) -> User:
    return accounts.user_with("approver", city.east, username="otto")


@dataclass
class Scene:
    """Who is at work, where, and in which language."""

    site: str
    language: str
    clerk: Page
    approver: Page

    def says(self, msgid: str, context: str = "") -> str:
        """The words of the product in the language of the scene."""
        with translation.override(self.language):
            return pgettext(context, msgid) if context else gettext(msgid)

    def button(self, page: Page, msgid: str, context: str = "") -> None:
        page.locator("main").get_by_role("button", name=self.says(msgid, context), exact=True).click()

    def door(self, page: Page, msgid: str, context: str = "") -> None:
        page.locator("main").get_by_role("link", name=self.says(msgid, context), exact=True).first.click()

    def batch(self, page: Page) -> None:
        page.goto(f"{self.site}/cutoffs/batches/{CutoffBatch.objects.latest('pk').reference}/")

    def shows(self, page: Page, group: str, count: int) -> None:
        """The strip of the batch says how many orders are there."""
        item = page.locator(".cutoff-strip .totals__item").filter(has=page.locator(f"a[href*='show={group}#']"))
        expect(item.locator(".totals__value")).to_have_text(str(count))


def row(page: Page, words: str) -> Locator:
    return page.locator("main tr[data-row]").filter(has_text=words)


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_from_the_proposal_to_the_last_reconnection(
    sign_in: SignIn, live_server: Any, clerk: User, approver: User, sms: SmsGateway, language: str
) -> None:
    scene = Scene(live_server.url, language, sign_in(clerk, language=language), sign_in(approver, language=language))
    proposed(scene)
    left_out_and_handed_in(scene)
    approved_by_another(scene)
    announced(scene, sms)
    carried_out(scene)
    stopped_and_resumed(scene)
    paid(scene)
    failed(scene)
    proved(scene)
    assert proofs.invariants_broken() == {}


def proposed(scene: Scene) -> None:
    page = scene.clerk
    page.goto(f"{scene.site}/cutoffs/")
    scene.door(page, "Propose a batch")
    preview = page.locator("#preview dl")
    expect(preview.locator("dd").first).to_have_text("7")
    page.get_by_label(scene.says("Accounts, one by one")).fill(f"{ONE} {LI}")
    page.get_by_label(scene.says("Accounts, one by one")).press("Tab")
    expect(preview.locator("dd").first).to_have_text("1")
    expect(page.locator(".cutoff-refused")).to_contain_text(LI)  # whoever is protected is not even asked for by name
    page.get_by_label(scene.says("Accounts, one by one")).fill("")
    page.get_by_label(scene.says("Accounts, one by one")).press("Tab")
    expect(preview.locator("dd").first).to_have_text("7")
    fill_window(page)
    scene.button(page, "Propose", "cut-off")
    scene.shows(page, "all", 7)
    scene.shows(page, "held", 2)


def fill_window(page: Page) -> None:
    page.locator("[name=day]").fill(f"{timezone.localdate() + 11 * DAY:%Y-%m-%d}")
    page.locator("[name=begins]").fill("09:00")
    page.locator("[name=ends]").fill("15:00")


def left_out_and_handed_in(scene: Scene) -> None:
    page = scene.clerk
    row(page, CHEN).get_by_role("link", name=scene.says("Leave out")).click()
    scene.button(page, "Leave this account out")
    expect(page.locator("[name=reason]")).to_be_focused()  # nothing happens without a reason
    assert CutoffOrder.objects.filter(state="cancelled").count() == 0
    page.locator("[name=reason]").fill("老人独居")
    scene.button(page, "Leave this account out")
    expect(row(page, CHEN)).to_have_count(0)
    scene.shows(page, "ended", 1)
    scene.door(page, "Hand in")
    scene.button(page, "Hand in")
    waiting = scene.says("Waiting for a second person: whoever had a hand in a batch does not approve it.")
    expect(page.get_by_text(waiting)).to_be_visible()
    expect(page.get_by_role("link", name=scene.says("Check and approve"))).to_have_count(0)


def approved_by_another(scene: Scene) -> None:
    page = scene.approver
    page.goto(f"{scene.site}/cutoffs/")
    row(page, CutoffBatch.objects.get().reference).locator("a.board-ref").click()
    with translation.override(scene.language):
        chips = {WANG: pgettext("guard", "disputed bill"), LI: pgettext("guard", "life support")}
    for account, chip in chips.items():
        expect(row(page, account).locator(".badge")).to_have_text(re.compile(re.escape(chip), re.IGNORECASE))
    scene.door(page, "Check and approve")
    page.locator("[name=is_confirmed]").check()
    page.locator("[name=typed_count]").fill("6")
    scene.button(page, "Approve")
    expect(page.locator(".errorlist").first).to_be_visible()
    batch = CutoffBatch.objects.get()
    assert (batch.state, batch.approved_by, set(batch.orders.values_list("state", flat=True))) == (
        "submitted", None, {"eligible", "held", "cancelled"},
    )  # fmt: skip
    page.locator("[name=typed_count]").fill("4")
    scene.button(page, "Approve")
    expect(
        page.locator("#main").get_by_text(scene.says("The batch is approved. Its letters go out now."))
    ).to_be_visible()


def announced(scene: Scene, sms: SmsGateway) -> None:
    """The letters arrive, and on the day the last warnings; only what provably arrived counts."""
    batch = CutoffBatch.objects.get()
    assert dunning.letters_issue(batch_id=batch.pk, actor=CLOCK) == 4
    messages_arrive()
    assert len(sms.journal) == 4
    scene.batch(scene.clerk)
    served = scene.clerk.locator(".facts div").filter(has_text=scene.says("Letters arrived"))
    expect(served.locator("dd")).to_have_text(re.compile(r"^4\D+4\D*$"))

    goes_by(batch.window_from - 44 * MINUTE - timezone.now())
    BillingAccount.objects.update(statement_at=timezone.now())
    batches_turn(actor=CLOCK)
    batch.refresh_from_db()
    for n, account in enumerate((ONE, TWO, THREE, FOUR)):
        order_of(account).update(scheduled_at=batch.window_from + n * 20 * MINUTE)
    batches_turn(actor=CLOCK)
    messages_arrive()
    assert len(sms.journal) >= 5
    scene.batch(scene.clerk)
    with translation.override(scene.language):
        expect(row(scene.clerk, ONE).locator("td").nth(5)).to_contain_text(str(ServedHow.SMS.label))


def carried_out(scene: Scene) -> None:
    """The first two have their turn; the page says so."""
    meter(order_of(FOUR).get(), "refuses")
    for _ in range(5):  # until 31 minutes after the window opened
        quarter_of_an_hour()
    scene.batch(scene.clerk)
    scene.shows(scene.clerk, "off", 2)
    scene.shows(scene.clerk, "ready", 2)


def stopped_and_resumed(scene: Scene) -> None:
    page = scene.clerk
    scene.door(page, "Stop", "batch")
    page.locator("[name=reason]").fill("投诉核查")
    scene.button(page, "Stop now")
    expect(page.locator(".banner--red")).to_contain_text("投诉核查")
    quarter_of_an_hour()
    assert CutoffOrder.objects.filter(state="disconnected").count() == 2
    scene.batch(scene.approver)
    scene.door(scene.approver, "Resume")
    scene.approver.locator("[name=reason]").fill("已核实")
    scene.button(scene.approver, "Resume")
    expect(scene.approver.locator(".banner--red")).to_have_count(0)


def paid(scene: Scene) -> None:
    """One pays before the turn and leaves the list; one pays while off and stands in the queue until power is back."""
    pays(account(THREE))
    scene.batch(scene.clerk)
    expect(row(scene.clerk, THREE)).to_have_count(0)
    scene.shows(scene.clerk, "ended", 2)

    SimulatedMeter.objects.filter(pk="MD00000").update(behaviour="slow")
    pays(account(ONE))
    sending.commands_turn(actor=CLOCK)
    page = scene.clerk
    page.goto(f"{scene.site}/cutoffs/reconnections/")
    due = timezone.localtime(order_of(ONE).get().reconnect_due_at)
    expect(row(page, ONE)).to_contain_text(f"{due:%H:%M}")
    goes_by(2 * MINUTE)
    meters_answer()
    page.reload()
    expect(row(page, ONE)).to_have_count(0)
    assert order_of(ONE).get().state == "reconnected"


def failed(scene: Scene) -> None:
    for _ in range(2):
        quarter_of_an_hour()
    page = scene.clerk
    page.goto(f"{scene.site}/cutoffs/failures/")
    expect(row(page, FOUR)).to_have_count(1)
    row(page, FOUR).locator("a.board-ref").click()
    scene.door(page, "End the order")
    page.locator("[name=reason]").fill("电表故障，另行处理")
    scene.button(page, "End the order")
    page.goto(f"{scene.site}/cutoffs/failures/")
    expect(row(page, FOUR)).to_have_count(0)


def proved(scene: Scene) -> None:
    """The evidence of one cut fills one sheet after the other, on A4."""
    page = scene.clerk
    page.goto(f"{scene.site}/cutoffs/orders/{order_of(TWO).get().reference}/evidence/")
    sheet = page.locator("main").inner_text()
    for msgid in ("Steps", "Protections checked"):
        assert scene.says(msgid) in sheet
    assert sheet.count("MD00001") >= 1
    assert paper_of(page) == A4


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_a_batch_is_taken_back_in_one_action(
    sign_in: SignIn, live_server: Any, city: SmallCity, clerk: User, approver: User, sms: SmsGateway, language: str
) -> None:
    batch = approved(city.east, accounts.actor_of(clerk), accounts.actor_of(approver))
    dunning.letters_issue(batch_id=batch.pk, actor=CLOCK)
    scene = Scene(live_server.url, language, sign_in(clerk, language=language), sign_in(approver))
    page = scene.clerk

    scene.batch(page)
    scene.door(page, "Take everything back")
    page.locator("[name=reason]").fill("系统数据有误")
    scene.button(page, "Take everything back")

    expect(page.locator("#receipt-title")).to_be_visible()
    expect(page.locator("section[aria-labelledby=receipt-title]")).to_contain_text("系统数据有误")
    scene.shows(page, "ended", 7)
    assert set(CutoffOrder.objects.values_list("state", "state_reason")) == {("cancelled", "undone")}
    turn()
    assert sms.journal == []  # the letters had not left


def test_without_scripts_a_batch_is_proposed_handed_in_and_approved(
    sign_in: SignIn, live_server: Any, city: SmallCity, clerk: User, approver: User
) -> None:
    plain = {"language": "en", "java_script_enabled": False}
    scene = Scene(live_server.url, "en", sign_in(clerk, **plain), sign_in(approver, **plain))
    page = scene.clerk

    page.goto(f"{scene.site}/cutoffs/batches/new/")
    fill_window(page)
    scene.button(page, "Preview", "cut-off")
    expect(page.locator("#preview dl dd").first).to_have_text("7")
    assert CutoffBatch.objects.count() == 0
    fill_window(page)
    scene.button(page, "Propose", "cut-off")
    scene.door(page, "Hand in")
    scene.button(page, "Hand in")
    page = scene.approver
    scene.batch(page)
    scene.door(page, "Check and approve")
    page.locator("[name=is_confirmed]").check()
    page.locator("[name=typed_count]").fill("5")
    scene.button(page, "Approve")

    expect(page.locator("#main").get_by_text("Its letters go out now.")).to_be_visible()
    assert CutoffBatch.objects.get().approved_count == 5


# --- what goes on behind the pages ----------------------------------------------------------------------


def messages_arrive() -> None:
    turn()
    for delivery in Delivery.objects.filter(channel="sms", state=DeliveryState.ACCEPTED):
        receipt(delivery, "DELIVRD")
    turn()
    notices_settle(actor=CLOCK)


def meters_answer() -> None:
    for _ in range(2):
        sending.commands_turn(actor=CLOCK)
        answers.simulator_turn(now=timezone.now() + timedelta(seconds=2))
        answers.answers_apply(actor=CLOCK)


def quarter_of_an_hour() -> None:
    goes_by(15 * MINUTE)
    batches_turn(actor=CLOCK)
    meters_answer()
    messages_arrive()


def goes_by(span: timedelta) -> None:
    time_passes(span)
    cache.clear()


def order_of(number: str) -> Any:
    return CutoffOrder.objects.filter(service_point__customer__account_number=number)


def account(number: str) -> BillingAccount:
    return BillingAccount.objects.get(customer__account_number=number)
