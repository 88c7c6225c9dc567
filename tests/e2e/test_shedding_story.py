"""An event of load shedding from the warning to the report, in a real browser, with time travelled.

Four blocks, and each has a story: A is let off when less is ordered, B is extended and comes back, C is skipped,
D does not come back on and becomes a fault. The agent always reads what is true, in Chinese and in English; whoever's
times did not change hears nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.utils import timezone, translation
from django.utils.translation import gettext, pgettext
from playwright.sync_api import Locator, Page, expect

from accounts.actor import Actor
from grid.models import Customer
from notifications.models import Delivery, DeliveryState, Notice
from outages.load_shedding.models import EventState, SheddingEvent, SheddingPlan, Slot, SlotState
from outages.load_shedding.services.clock import events_turn
from outages.load_shedding.services.events import UNDO
from outages.models import Outage, OutageStatus
from outages.services import outage_restore
from outages.wording import rounded_etr, spoken_time
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.notifications.conftest import city
from tests.notifications.world import nothing_broken, turn
from tests.peers.sms_gateway import SmsGateway
from tests.peers.smtp import SmtpServer
from tests.planned.clock import time_passes
from tests.shedding.happening import CLOCK, minute, plan_ready, slot_of

__all__ = ["city"]

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

SignIn = Callable[..., Page]
ZONE = ZoneInfo("Asia/Shanghai")
CHEN, WANG, LI, SMITH, HOSPITAL = "陈静", "王伟", "李桂英", "Anna Smith", "市第一人民医院"
# A: Chen and Wang. B: Chen's shop and Smith. C: the hospital. D: Li, on life support.
BLOCKS = {"A": ("T11",), "B": ("T21",), "C": ("U22",), "D": ("T12",)}
MW = {"A": 1.0, "B": 2.0, "C": 4.0, "D": 1.0}
ACCOUNTS = {WANG: ("…0002", "13800138002"), LI: ("…0003", "13800138003"), SMITH: ("…0004", "13800138004"),
            HOSPITAL: ("…0005", "13800138005")}  # fmt: skip


@dataclass
class Scene:
    """Who is at work, where, in which language, and what customers have heard so far."""

    site: str
    language: str
    city: SmallCity
    desk: Page
    approver: Page
    agent: Page
    sms: SmsGateway
    heard: int = field(default=0)

    def says(self, msgid: str, context: str = "") -> str:
        """The words of the product in the language of the scene."""
        with translation.override(self.language):
            return pgettext(context, msgid) if context else gettext(msgid)

    def button(self, page: Page, msgid: str) -> None:
        page.locator("main").get_by_role("button", name=self.says(msgid), exact=True).click()

    def door(self, page: Page, msgid: str) -> None:
        page.locator("main").get_by_role("link", name=self.says(msgid), exact=True).first.click()

    def event(self, page: Page) -> None:
        page.goto(f"{self.site}/shedding/events/{event().reference}/")

    def turn_of(self, page: Page, code: str) -> Locator:
        """The block's line on the monitor."""
        return page.locator("#monitor tr[data-row]").filter(
            has=page.locator("th", has_text=f"{code}区块" if self.language == "zh-hans" else f"Block {code}")
        )

    def is_now(self, page: Page, state: EventState) -> None:
        with translation.override(self.language):
            expect(page.locator("dl.facts--stats .badge").first).to_contain_text(str(state.label))


@pytest.fixture
def made(city: SmallCity) -> SheddingPlan:
    asha, otto = accounts.asha(city.bureau), accounts.user_with("approver", city.bureau, username="otto")
    return plan_ready(city, Actor.for_user(asha), Actor.for_user(otto), blocks=BLOCKS, mw=MW)


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_from_the_warning_to_the_report(
    sign_in: SignIn, live_server: Any, city: SmallCity, made: SheddingPlan, smtp: SmtpServer, sms: SmsGateway,
    language: str,
) -> None:  # fmt: skip
    otto = accounts.user_with("approver", city.bureau, username="otto")
    scene = Scene(
        live_server.url, language, city, desk=sign_in(accounts.asha(city.bureau), language=language),
        approver=sign_in(otto, language=language), agent=sign_in(accounts.mei(city.bureau), language=language), sms=sms,
    )  # fmt: skip
    warned_and_ordered(scene)
    proposed(scene)
    confirmed_by_another(scene)
    announced(scene)
    less_is_ordered(scene)
    switched_off(scene)
    longer(scene)
    skipped(scene)
    one_comes_back_and_one_does_not(scene)
    ended(scene)
    report_says_so(scene)
    nothing_broken()
    call_command("verify_counts", stdout=StringIO())


def warned_and_ordered(scene: Scene) -> None:
    page = scene.desk
    page.goto(f"{scene.site}/shedding/")
    scene.door(page, "Record a warning")
    page.locator("[name=branch]").select_option(str(scene.city.bureau.pk))
    page.locator("[name=colour]").select_option("orange")
    page.locator("[name=authority]").fill("省调")
    scene.button(page, "Record a warning")
    scene.is_now(page, EventState.ALERT)

    page.locator("#target summary").click()
    measure = page.locator("form[action*='/measures/']")
    measure.locator("[name=kind]").select_option("shift")
    measure.locator("[name=asked_mw]").fill("2")
    measure.locator("[name=relief_mw]").fill("1")
    scene.button(page, "Record the measure")
    expect(page.locator("#target table tbody tr")).to_have_count(1)

    order = page.locator("form[action*='/order/']")
    starts = timezone.localtime(minute() + timedelta(hours=2), ZONE)
    order.locator("[name=target_mw]").fill("9")
    order.locator("[name=starts_at]").fill(f"{starts:%Y-%m-%dT%H:%M}")
    order.locator("[name=ends_at]").fill(f"{starts + timedelta(hours=2):%Y-%m-%dT%H:%M}")
    order.locator("[name=order_number]").fill("省调令 7")
    scene.button(page, "Record the order")
    scene.is_now(page, EventState.ORDERED)
    assert (event().target_mw, event().starts_at, event().colour) == (9.0, starts, "orange")


def proposed(scene: Scene) -> None:
    """Three proposals stand side by side; one of them is handed in, and whoever does that does not confirm it."""
    page = scene.desk
    scene.button(page, "Compute the proposals")
    expect(page.locator(".shed-compare thead th")).to_have_count(4)
    page.locator("a[href='?choice=B#choice']").click()
    expect(page.locator("#effect dl dd").first).to_contain_text(re.compile(r"^\s*6\D"))
    page.locator("[name=reason]").last.fill("晚峰缺电")
    page.locator("[name=why_now]").fill("已无可避让负荷")
    scene.button(page, "Hand to the second person")
    scene.is_now(page, EventState.PROPOSED)
    expect(page.locator("form[action*='/confirm/']")).to_have_count(0)
    expect(page.locator("form[action*='/withdraw/']")).to_have_count(1)


def confirmed_by_another(scene: Scene) -> None:
    page = scene.approver
    scene.event(page)
    page.locator("[name=is_checked]").check()
    page.locator("[name=typed_blocks]").fill("3")
    scene.button(page, "Carry out")
    expect(page.locator("#execute .errorlist, #execute .error-summary").first).to_be_visible()
    assert (event().state, event().confirmed_by_id) == (EventState.PROPOSED, None)

    page.locator("[name=typed_blocks]").fill("4")
    scene.button(page, "Carry out")
    expect(page.locator("#undo")).to_be_visible()
    expect(page.locator("#undo button")).to_be_enabled()
    assert events_turn(actor=CLOCK)["announced"] == 0
    assert hears(scene) == {}


def announced(scene: Scene) -> None:
    # the ten seconds pass for the clock alone: a proposal is kept as written and does not grow older with the rows
    assert events_turn(actor=CLOCK, at=timezone.now() + UNDO)["announced"] == 1
    assert hears(scene) == {
        (CHEN, "announced"): 2, (WANG, "announced"): 1, (SMITH, "announced"): 1, (HOSPITAL, "announced"): 1,
        (LI, "announced"): 1,
    }  # fmt: skip
    texts = {call["body"]["to"]: call["body"]["text"] for call in scene.sms.journal}
    assert "有序用电（D区块）" in texts["+8613800138003"]
    assert "load shedding, Block B" in texts["+8613800138004"]
    reads(scene, LI, "D", zh="{begins}到{until}将因有序用电（D区块）停电", en="{begins} until {until}")
    reads(scene, SMITH, "B", zh="{begins}到{until}将因有序用电（B区块）停电", en="load shedding, Block B")


def less_is_ordered(scene: Scene) -> None:
    """A megawatt less, and A need not be off: only they hear of it."""
    page = scene.desk
    scene.event(page)
    scene.door(page, "Other load or end")
    page.locator("[name=target_mw]").fill("8")
    page.locator("[name=reason]").fill("省调下调")
    scene.button(page, "Change")
    expect(scene.turn_of(page, "A")).to_have_count(0)
    assert states() == {"A": "dropped", "B": "planned", "C": "planned", "D": "planned"}
    assert hears(scene) == {(CHEN, "cancelled"): 1, (WANG, "cancelled"): 1}
    reads(scene, WANG, "A", zh="因有序用电（A区块）停电已经取消", en="has been cancelled")


def switched_off(scene: Scene) -> None:
    """Its time has come and nothing switches by itself; a person says what is off, with the load measured."""
    page = scene.desk
    goes_by(123)
    events_turn(actor=CLOCK)
    assert states() == {"A": "dropped", "B": "planned", "C": "planned", "D": "planned"}
    reads(scene, LI, "D", zh="可能刚刚开始，也可能随时开始", en="may just have begun")
    for code, mw in (("B", "1.8"), ("D", "0.9")):
        take(scene, code, "Is off", "It is off", mw=mw)
        shows(scene, page, code, SlotState.OFF, mw)
    scene.is_now(page, EventState.SHEDDING)
    reads(scene, LI, "D", zh="预计{back}前恢复供电", en="We expect it back by {back}")
    assert hears(scene) == {}  # whoever knows the time is not told that it has come


def longer(scene: Scene) -> None:
    """An hour more is asked for by one and decided by another; then those who are off hear the new end."""
    page, ends_at = scene.desk, event().ends_at
    assert ends_at is not None
    scene.event(page)
    scene.door(page, "Other load or end")
    page.locator("[name=until]").fill(f"{timezone.localtime(ends_at, ZONE) + timedelta(hours=1):%Y-%m-%dT%H:%M}")
    page.locator("[name=reason]").fill("缺口持续")
    scene.button(page, "Change")
    expect(page.locator("#monitor .banner--amber").first).to_contain_text("缺口持续")
    expect(page.locator("a[href*='change-confirm']")).to_have_count(0)
    assert event().ends_at == ends_at
    assert hears(scene) == {}

    page = scene.approver
    scene.event(page)
    scene.door(page, "Compare and decide")
    page.locator("[name=is_checked]").check()
    page.locator("[name=typed_blocks]").fill("3")
    scene.button(page, "Carry out")
    expect(page.locator("#monitor")).to_be_visible()
    assert event().ends_at == ends_at + timedelta(hours=1)
    assert {slot_of(event(), code).ends_at for code in "BCD"} == {ends_at + timedelta(hours=1)}
    # C should be off already and is not: nothing is announced whose time has come
    assert hears(scene) == dict.fromkeys(
        [(CHEN, "estimate_changed"), (SMITH, "estimate_changed"), (LI, "estimate_changed")], 1
    )
    reads(scene, LI, "D", zh="预计{back}前恢复供电", en="We expect it back by {back}")


def skipped(scene: Scene) -> None:
    page = scene.desk
    take(scene, "C", "Skip", "Skip the turn", reason="急诊手术")
    shows(scene, page, "C", SlotState.SKIPPED, "急诊手术")
    assert hears(scene) == {(HOSPITAL, "cancelled"): 1}
    reads(scene, HOSPITAL, "C", zh="停电已经取消", en="has been cancelled")


def one_comes_back_and_one_does_not(scene: Scene) -> None:
    page = scene.desk
    goes_by(179)
    take(scene, "B", "Is on again", "It is on again")
    shows(scene, page, "B", SlotState.ON, "1.8")
    take(scene, "D", "Will not come on", "Make it a fault", reason="开关拒合")
    fault = slot_of(event(), "D").fault
    assert fault is not None
    shows(scene, page, "D", SlotState.STUCK, fault.reference)
    told = hears(scene)
    assert {key: n for key, n in told.items() if key[0] != LI} == {(CHEN, "restored"): 1, (SMITH, "restored"): 1}
    assert {key: n for key, n in told.items() if key[0] == LI} == {(LI, "new"): 1}
    reads(scene, SMITH, "B", zh="您这里的供电已于", en="was restored")
    # the fault leads: Li is counted once, in it and no longer in the turn
    off = Outage.objects.filter(status__in=[OutageStatus.ACTIVE, OutageStatus.PARTIALLY_RESTORED])
    assert list(off.values_list("reference", "customers_out")) == [(fault.reference, 1)]
    card = asked(scene, LI)
    expect(card.locator("[data-script-text=zh-hans]").first).not_to_contain_text("有序用电")
    expect(card.locator("[data-script-text=en]").first).to_contain_text("has been off")


def ended(scene: Scene) -> None:
    page = scene.desk
    scene.event(page)
    scene.door(page, "End the event")
    scene.button(page, "End")
    scene.is_now(page, EventState.ENDED)
    fault = slot_of(event(), "D").fault
    assert fault is not None
    # repairing it is the story of a fault, told elsewhere
    outage_restore(outage_id=fault.pk, actor=Actor.for_user(accounts.asha()), restored_at=timezone.now())
    assert events_turn(actor=CLOCK)["handed_back"] == 1
    assert hears(scene)[LI, "restored"] == 1
    reads(scene, LI, "D", zh="您这里的供电已于", en="was restored")
    assert states() == {"A": "dropped", "B": "on", "C": "skipped", "D": "on"}


def report_says_so(scene: Scene) -> None:
    """Seven megawatts were ordered beyond what was relieved, 2.7 were measured: 4.3 short."""
    page = scene.desk
    scene.event(page)
    scene.door(page, "After-action report")
    rounds = page.locator("section[aria-labelledby=load-title] table tbody tr")
    expect(rounds).to_have_count(1)
    expect(rounds.locator("td.number")).to_have_text(["7", "2.7", "0", "4.3"])
    expect(rounds).to_contain_text("B, C, D")
    turns = page.locator("section[aria-labelledby=turns-title] tbody tr")
    expect(turns.filter(has_text="急诊手术").locator("th")).to_have_text("C")
    fault = slot_of(event(), "D").fault
    expect(turns.filter(has_text=str(fault)).locator("th")).to_have_text("D")


# --- steps that come again ------------------------------------------------------------------------------


def event() -> SheddingEvent:
    return SheddingEvent.objects.select_related("plan").get()


def states() -> dict[str, str]:
    return dict(Slot.objects.order_by("block__code").values_list("block__code", "state"))


def goes_by(minutes: int) -> None:
    """Whole minutes, so that times stay such as one can type."""
    time_passes(timedelta(minutes=minutes))
    cache.clear()


def take(scene: Scene, code: str, door: str, button: str, **typed: str) -> None:
    """A step of one turn, through its button on the monitor and the page that says what it means."""
    page = scene.desk
    scene.event(page)
    scene.turn_of(page, code).get_by_role("link", name=scene.says(door), exact=True).click()
    for name, words in typed.items():
        page.locator(f"[name={name}]").fill(words)
    scene.button(page, button)


def shows(scene: Scene, page: Page, code: str, state: SlotState, words: str) -> None:
    with translation.override(scene.language):
        expect(scene.turn_of(page, code)).to_contain_text(str(state.label))
    expect(scene.turn_of(page, code)).to_contain_text(words)


def hears(scene: Scene) -> dict[tuple[str, str], int]:
    """Who has got how many text messages of which kind since the last time; every one was accepted."""
    turn()
    rows = list(Delivery.objects.filter(id__gt=scene.heard, channel="sms").order_by("id"))
    if not rows:
        return {}
    scene.heard = rows[-1].id
    assert {row.state for row in rows} <= {DeliveryState.ACCEPTED, DeliveryState.DELIVERED}
    kinds = dict(Notice.objects.values_list("pk", "kind"))
    names = dict(Customer.objects.values_list("pk", "name"))
    return Counter((names[row.customer_id], str(kinds[row.notice_id])) for row in rows)


def asked(scene: Scene, name: str) -> Locator:
    """The agent's card while this customer is on the telephone."""
    page, (account, telephone) = scene.agent, ACCOUNTS[name]
    page.goto(f"{scene.site}/console/")
    page.fill("#console-search", telephone)
    page.locator("#results .hit").filter(has_text=account).locator("button.hit__main").click()
    return page.locator(".answer-card")


def reads(scene: Scene, name: str, code: str, *, zh: str, en: str) -> None:
    """What the agent reads to this customer now, in both languages; the times as they are spoken."""
    slot = Slot.objects.filter(block__code=code).latest("pk")
    card, now = asked(scene, name), timezone.now()
    moments: dict[str, datetime] = {
        "begins": slot.starts_at, "until": slot.ends_at, "back": rounded_etr(slot.ends_at, now, ZONE)
    }  # fmt: skip
    for language, script, words in (("zh", "zh-hans", zh), ("en", "en", en)):
        spoken = {key: spoken_time(moment, language, now, ZONE) for key, moment in moments.items()}
        pattern = re.compile(re.escape(words.format(**spoken)), re.IGNORECASE)
        expect(card.locator(f"[data-script-text={script}]").first).to_contain_text(pattern)
