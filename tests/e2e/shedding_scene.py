"""Who is at work in the story of load shedding, what they do again and again, and what customers hear and are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.core.cache import cache
from django.utils import timezone, translation
from django.utils.translation import gettext
from playwright.sync_api import Locator, Page, expect

from notifications.models import Delivery, DeliveryState
from outages.load_shedding.models import Colour, EventState, SheddingEvent, Slot, SlotState
from outages.wording import rounded_etr, spoken_time
from tests.factories.grid import SmallCity
from tests.notifications.world import turn
from tests.peers.sms_gateway import SmsGateway
from tests.peers.smtp import SmtpServer
from tests.planned.clock import time_passes

ZONE = ZoneInfo("Asia/Shanghai")
CHEN, WANG, LI, SMITH, HOSPITAL = "陈静", "王伟", "李桂英", "Anna Smith", "市第一人民医院"
ACCOUNTS = {WANG: "…0002", LI: "…0003", SMITH: "…0004", HOSPITAL: "…0005"}
PHONES = {CHEN: "13800138001", WANG: "13800138002", LI: "13800138003", SMITH: "13800138004", HOSPITAL: "13800138005"}
BEHIND = {"A": (CHEN, WANG), "B": (CHEN, SMITH), "C": (HOSPITAL,), "D": (LI,)}


@dataclass(frozen=True)
class Said:
    """What is said of a block: to everybody in Chinese, to Smith in English."""

    zh: str
    en: str


ANNOUNCED = Said(
    "您这里{begins}到{until}将因有序用电（{block}区块）停电",
    "From {begins} until {until} the power at your premises will be off because of load shedding, Block {block}",
)
CALLED_OFF = Said(
    "原定您这里{begins}到{until}因有序用电（{block}区块）的停电已取消",
    "The outage at your premises because of load shedding, Block {block} announced for {begins} until {until} has been",
)
OFF = Said(
    "您这里{off}起，因有序用电（{block}区块）停电。预计{back}前恢复供电",
    "The power at your premises has been off since {off} because of load shedding, Block {block}."
    " We expect it back by {back}",
)
CHANGED = Said(f"恢复时间有变。{OFF.zh}", f"The time has changed. {OFF.en}")
BACK = Said("您这里的供电已于{on}恢复", "Your supply was restored at {on}")
FAULT = Said("{block}区块一带{end}起，因线路故障停电", "The power around {block}区块 has been off since {end}")
AHEAD = Said(
    "另外提醒您：{begins}到{until}将因有序用电（{block}区块）停电",
    "from {begins} until {until} the power will be off because of load shedding, Block {block}",
)
ANY_MOMENT = Said(
    "按计划，{begins}到{until}因有序用电（{block}区块）停电，可能刚刚开始，也可能随时开始",
    "From {begins} until {until} the power is to be off because of load shedding, Block {block};"
    " this may just have begun",
)
STAYS_ON = Said(
    "原先通知的{begins}到{until}因有序用电（{block}区块）停电已经取消，您这里照常供电",
    "The outage announced for {begins} until {until} because of load shedding, Block {block} has been cancelled;"
    " your power stays on",
)


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
    smtp: SmtpServer
    heard: int = field(default=0)
    written: int = field(default=0)

    def says(self, msgid: str) -> str:
        """The words of the product in the language of the scene."""
        with translation.override(self.language):
            return gettext(msgid)

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

    def is_stage(self, page: Page, number: int, colour: Colour) -> None:
        summary = page.locator("dl.facts--stats").first
        with translation.override(self.language):
            expect(summary.locator("dd").first).to_contain_text(str(colour.label))
            expect(summary).to_contain_text(gettext("stage %(n)s") % {"n": number})


def event() -> SheddingEvent:
    return SheddingEvent.objects.select_related("plan").get()


def states() -> dict[str, str]:
    return dict(Slot.objects.order_by("block__code", "pk").values_list("block__code", "state"))


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


def asks(scene: Scene, reason: str, **typed: str) -> None:
    """The desk asks for another stage or another end."""
    page = scene.desk
    scene.event(page)
    scene.door(page, "Other load, stage or end")
    if "stage" in typed:
        page.locator("[name=stage]").select_option(typed["stage"])
    if "until" in typed:
        page.locator("[name=until]").fill(typed["until"])
    page.locator("[name=reason]").fill(reason)
    scene.button(page, "Change")
    expect(page.locator("#monitor")).to_be_visible()


def decided(scene: Scene, *, blocks: str, number: int) -> None:
    """What the desk asked for waits; another person compares it and agrees."""
    waiting = scene.desk.locator("#monitor .banner--amber").first
    expect(waiting).to_be_visible()
    expect(waiting.locator("a[href*='change-confirm']")).to_have_count(0)
    page = scene.approver
    scene.event(page)
    scene.door(page, "Compare and decide")
    expect(page.locator(".check-answers")).to_contain_text(blocks)
    page.locator("[name=is_checked]").check()
    page.locator("[name=typed_blocks]").fill(str(number))
    scene.button(page, "Carry out")
    expect(page.locator("#monitor")).to_be_visible()


def slot(code: str) -> Slot:
    """The newest turn of the block."""
    return Slot.objects.select_related("fault", "outage").filter(block__code=code).latest("pk")


def times(codes: str) -> dict[str, tuple[datetime, datetime]]:
    return {code: (slot(code).starts_at, slot(code).ends_at) for code in codes}


def spoken(code: str, said: Said, language: str, until: datetime | None = None) -> str:
    """What is said of the block now, with the times as one says them."""
    turn, now = slot(code), timezone.now()
    moments = {
        "begins": turn.starts_at, "until": until or turn.ends_at, "off": turn.off_at, "on": turn.on_at,
        "end": turn.fault.started_at if turn.fault else None, "back": rounded_etr(turn.ends_at, now, ZONE),
    }  # fmt: skip
    words = {key: spoken_time(moment, language, now, ZONE) for key, moment in moments.items() if moment}
    return (said.zh if language == "zh" else said.en).format(block=code, **words)


def hears(scene: Scene, said: Mapping[str, Said], *, until: datetime | None = None) -> None:
    """Since the last time customers of these blocks got one text message each, nobody else any; and all were accepted.

    Whoever has an e-mail address reads the same there.
    """
    turn()
    texts, scene.heard = scene.sms.journal[scene.heard :], len(scene.sms.journal)
    letters, scene.written = scene.smtp.messages[scene.written :], len(scene.smtp.messages)
    got = sorted((call["body"]["to"].removeprefix("+86"), call["body"]["text"]) for call in texts)
    due = sorted(
        (PHONES[name], spoken(code, words, "en" if name == SMITH else "zh", until))
        for code, words in said.items()
        for name in BEHIND[code]
    )
    assert [phone for phone, _text in got] == [phone for phone, _text in due]
    for (_phone, text), (_same, words) in zip(got, due, strict=True):
        assert words.casefold() in text.casefold()
    by_address = {"wang@example.com": PHONES[WANG], "anna@example.com": PHONES[SMITH]}
    mailed = sorted((by_address[letter["To"]], letter.get_content()) for letter in letters)
    also = [(phone, text) for phone, text in got if phone in by_address.values()]
    assert [phone for phone, _letter in mailed] == [phone for phone, _text in also]
    for (_phone, letter), (_same, text) in zip(mailed, also, strict=True):
        assert text in letter
    assert set(Delivery.objects.values_list("state", flat=True)) <= {DeliveryState.ACCEPTED, DeliveryState.DELIVERED}


def asked(scene: Scene, name: str) -> Locator:
    """The agent's card while this customer is on the telephone."""
    page = scene.agent
    page.goto(f"{scene.site}/console/")
    page.fill("#console-search", PHONES[name])
    page.locator("#results .hit").filter(has_text=ACCOUNTS[name]).locator("button.hit__main").click()
    return page.locator(".answer-card")


def reads(scene: Scene, name: str, code: str, said: Said) -> Locator:
    """What the agent reads to this customer now, in both languages."""
    card = asked(scene, name)
    for language, script in (("zh", "zh-hans"), ("en", "en")):
        pattern = re.compile(re.escape(spoken(code, said, language)), re.IGNORECASE)
        expect(card.locator(f"[data-script-text={script}]").first).to_contain_text(pattern)
    return card
