"""A planned outage from the branch's spreadsheet to the execution report, in a real browser, with time travelled.

At every moment of it the agent reads to a caller what is true, in Chinese and in English.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.cache import cache
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django import Settings

from accounts.actor import Actor
from accounts.models import User
from grid.models import Branch
from notifications import tasks as clockwork
from outages.models import Outage, OutageStatus, SystemState
from outages.planned import tasks as planning
from outages.planned.models import PlannedWork, PlanPeriod, PlanSheet, WorkState
from outages.planned.services import sheets
from outages.wording import rounded_etr, spoken_time
from tests.factories import accounts
from tests.factories.grid import SmallCity, small_city
from tests.notifications.world import nothing_broken, told, turn
from tests.peers.sms_gateway import SmsGateway
from tests.peers.smtp import SmtpServer
from tests.planned.books import HEADINGS, book, good
from tests.planned.clock import time_passes
from tests.planned.world import plan_of

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

SignIn = Callable[..., Page]
WANG, LI = ("…0002", "13800138002"), ("…0003", "13800138003")  # behind T11, behind T12
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Scene:
    """Who is at work, and where the pages are."""

    site: str
    planner: Page
    lead: Page
    approver: Page
    desk: Page
    agent: Page


@pytest.fixture
def city(transactional_db: None, settings: Settings, tmp_path: Path) -> SmallCity:
    settings.MEDIA_ROOT = tmp_path
    cache.clear()
    SystemState.objects.get_or_create(pk=1)
    city = small_city()
    # equal hours mean the whole day, so that the story does not depend on when it is told
    Branch.objects.update(send_from="00:00", send_until="00:00", phone="95598")
    return city


@pytest.fixture
def pia(city: SmallCity) -> User:
    return accounts.user_with("planner", city.east, username="pia")


@pytest.fixture
def plan(city: SmallCity, pia: User) -> PlanPeriod:
    return plan_of(city, Actor.for_user(pia), 20)


@pytest.fixture
def scene(city: SmallCity, pia: User, sign_in: SignIn, live_server: Any) -> Scene:
    return Scene(
        site=live_server.url,
        planner=sign_in(pia, language="en"),
        lead=sign_in(accounts.user_with("branch_lead", city.east, username="lena"), language="en"),
        approver=sign_in(accounts.user_with("approver", city.bureau, username="otto"), language="en"),
        desk=sign_in(accounts.asha(city.bureau), language="en"),
        agent=sign_in(accounts.mei(city.bureau), language="zh-hans"),
    )


def test_from_a_messy_sheet_to_the_execution_report(
    scene: Scene, plan: PlanPeriod, smtp: SmtpServer, sms: SmsGateway
) -> None:
    sent_and_corrected(scene, plan)
    handed_in_and_endorsed(scene, plan)
    joint, other = joined_approved_and_published(scene, plan)

    # everybody concerned is told as soon as it is public, and the record knows that they were
    turn()
    assert told("announced") == {
        ("王伟", "sms", "announced"): "ACCEPTED",
        ("王伟", "email", "announced"): "ACCEPTED",
        ("陈静", "sms", "announced"): "ACCEPTED",
        ("李桂英", "sms", "announced"): "ACCEPTED",
    }
    texts = [call["body"]["text"] for call in sms.journal]
    assert sum(joint.reference in text for text in texts) == 3
    assert sum(other.reference in text for text in texts) == 1

    reminded_and_begun(scene, joint, sms)
    overrun_and_over(scene, joint, sms)
    moved_and_called_off(scene, other, sms)

    report_says_so(scene, joint, other)
    nothing_broken()


def sent_and_corrected(scene: Scene, plan: PlanPeriod) -> None:
    """Three rows of which two are wrong: both are mended on the page, and all three are imported."""
    page = scene.planner
    rows = [
        good("1", "L11"),
        good("2", "T1l", days=21),
        [*good("3", "T12", days=29)[:4], "25:00", "台区增容", "", ""],
    ]
    page.goto(f"{scene.site}/planned/sheets/?plan={plan.pk}")
    file: Any = {"name": "月计划.xlsx", "mimeType": "application/octet-stream", "buffer": book(HEADINGS, *rows)}
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_role("button", name="Upload and check").click()
    expect(page.get_by_role("heading", name="月计划.xlsx")).to_be_visible()
    sheet = PlanSheet.objects.get()
    planning.sheet_read(sheet.pk)
    expect(page.get_by_role("link", name="To correct 2")).to_be_visible()
    for label, words in (("停电设备名称, Row 3", "T11"), ("停电结束时间, Row 4", "12:00")):
        page.get_by_label(label).fill(words)
        page.get_by_label(label).press("Enter")
    page.get_by_role("button", name="Import 3 rows").click()
    expect(page.get_by_text("Importing")).to_be_visible()
    planning.sheet_import(sheet.pk)
    expect(page.get_by_text("3 rows are in the plan.")).to_be_visible()
    assert PlannedWork.objects.filter(period=plan).count() == 3
    assert sheets.sheet_import(sheet_id=sheet.pk) is not None  # a second run of the same task imports nothing
    assert PlannedWork.objects.filter(period=plan).count() == 3


def handed_in_and_endorsed(scene: Scene, plan: PlanPeriod) -> None:
    answer_everything(scene.planner, scene, plan)
    take(scene.planner, scene, plan, "Hand the plan in", "Hand in")
    answer_everything(scene.lead, scene, plan)
    take(scene.lead, scene, plan, "Endorse the plan", "Endorse")


def joined_approved_and_published(scene: Scene, plan: PlanPeriod) -> tuple[Outage, Outage]:
    """The approver makes one outage of the two that share supply, approves, and publishes."""
    page = scene.approver
    page.goto(f"{scene.site}/planned/plans/{plan.pk}/")
    page.get_by_role("link", name="Merge advice").click()
    page.get_by_role("button", name="Make it one outage").first.click()
    joint = PlannedWork.objects.get(children__isnull=False, children__key="1")
    assert {child.key for child in joint.children.all()} == {"1", "2"}
    assert set(joint.children.values_list("state", flat=True)) == {WorkState.JOINED}
    answer_everything(page, scene, plan)
    take(page, scene, plan, "Approve the plan", "Approve")
    assert not Outage.objects.exists()
    take(page, scene, plan, "Publish the plan", "Publish")
    other = Outage.objects.exclude(work_window__work=joint).get()
    return Outage.objects.get(work_window__work=joint), other


def reminded_and_begun(scene: Scene, joint: Outage, sms: SmsGateway) -> None:
    page = scene.desk
    says(scene, WANG, joint, zh="没有影响您这里的停电记录", en="We know of no outage")

    # a day before, and two hours before, everybody hears it again
    goes_by(joint, lambda: begins(joint) - DAY)
    assert clockwork.remind() == {"notices": 1}
    turn()
    assert len(told("reminder_early")) == 4
    window = "{begins}到{until}将因"
    says(scene, WANG, joint, zh=window, en="{begins} until {until}")
    goes_by(joint, lambda: begins(joint) - 2 * HOUR)
    assert clockwork.remind() == {"notices": 1}
    turn()
    assert len(told("reminder_late")) == 4

    # its time has come, and nothing starts by itself
    goes_by(joint, lambda: begins(joint) + 10 * MINUTE)
    joint.refresh_from_db()
    assert joint.status == OutageStatus.SCHEDULED
    page.goto(f"{scene.site}/board/")
    expect(page.get_by_role("row").filter(has_text=joint.reference)).to_contain_text("should have been off")
    says(scene, WANG, joint, zh="可能刚刚开始，也可能随时开始", en="may just have begun")

    # a person says that the switch is open
    page.goto(f"{scene.site}/outages/{joint.reference}/")
    page.get_by_role("link", name="It is off").click()
    page.get_by_role("button", name="It is off").click()
    is_told(page, "Supply is off for 3 customers.")
    says(scene, WANG, joint, zh="预计{back}前恢复供电", en="We expect it back by {back}")


def overrun_and_over(scene: Scene, joint: Outage, sms: SmsGateway) -> None:
    page = scene.desk

    # half an hour before the end: will it be late?
    goes_by(joint, lambda: ends(joint) - 29 * MINUTE)
    assert planning.ask_if_late() == {"asked": 1}
    page.goto(f"{scene.site}/outages/{joint.reference}/")
    expect(page.get_by_role("strong").filter(has_text="Will it be late?")).to_be_visible()
    page.get_by_role("link", name="It takes longer").click()
    page.get_by_label("Back by").fill(f"{timezone.localtime(ends(joint)) + HOUR:%Y-%m-%dT%H:%M}")
    page.get_by_label("Why it takes longer").fill("杆位土质坚硬")
    before = len(sms.journal)
    page.get_by_role("button", name="Extend and tell customers").click()
    is_told(page, "customers are being told")
    turn()
    assert len(sms.journal) == before + 3
    says(scene, WANG, joint, zh="预计{back}前恢复供电", en="We expect it back by {back}")

    # it overruns the new end too: nobody is told a time that has passed
    goes_by(joint, lambda: ends(joint) + 5 * MINUTE)
    says(scene, WANG, joint, zh="恢复时间比原先说的要晚", en="taking longer than we said")

    # back, everywhere
    page.goto(f"{scene.site}/outages/{joint.reference}/")
    page.get_by_role("link", name="Restore all").click()
    page.get_by_role("button", name="Supply is back").click()
    is_told(page, "Supply is back everywhere.")
    turn()
    assert {state for (_name, _channel, kind), state in told("restored").items()} == {"ACCEPTED"}
    says(scene, WANG, joint, zh="您这里的供电已于", en="was restored")
    page.get_by_role("link", name="Close the planned outage").click()
    page.get_by_role("button", name="Check the answers").click()
    page.locator("main form button.button--primary").click()
    is_told(page, "The planned outage is closed.")
    joint.refresh_from_db()
    assert joint.status == OutageStatus.CLOSED


def moved_and_called_off(scene: Scene, other: Outage, sms: SmsGateway) -> None:
    """The other work moves by a day and is called off in the end; only Li, who was told, is told."""
    page = scene.desk
    goes_by(other, lambda: begins(other) - 12 * HOUR)
    page.goto(f"{scene.site}/planned/windows/{other.reference}/move/")
    page.get_by_label("Off from").fill(f"{timezone.localtime(begins(other)) + 9 * DAY:%Y-%m-%dT%H:%M}")
    page.get_by_label("Back by").fill(f"{timezone.localtime(ends(other)) + 9 * DAY:%Y-%m-%dT%H:%M}")
    page.get_by_label("Why it is moved").fill("大雨")
    page.get_by_role("button", name="Move it").click()
    is_told(page, "the notice starts again")
    turn()
    assert told("moved") == {("李桂英", "sms", "moved"): "ACCEPTED"}
    says(scene, LI, other, zh="已改为{begins}到{until}", en="has been moved to {begins} until {until}")
    page.goto(f"{scene.site}/planned/windows/{other.reference}/cancel/")
    page.get_by_label("Why it is cancelled").fill("设备未到货")
    page.get_by_role("button", name="Cancel it").click()
    is_told(page, "The planned outage is cancelled.")
    turn()
    assert told("cancelled") == {("李桂英", "sms", "cancelled"): "ACCEPTED"}
    says(scene, LI, other, zh="已经取消", en="has been cancelled")


def report_says_so(scene: Scene, joint: Outage, other: Outage) -> None:
    """Plan against actual: the one took longer and ended late, the other moved and was called off."""
    page = scene.approver
    day = timezone.localdate(begins(joint))
    page.goto(f"{scene.site}/planned/reports/?since={day - DAY}&until={day + 30 * DAY}")
    windows = page.get_by_role("table", name="Windows with their four times")
    ran = windows.get_by_role("row").filter(has_text=joint.reference)
    for words in ("L11号设备", "extended to", "ended late"):
        expect(ran).to_contain_text(words)
    # times are entered to the minute
    for gap in (r"(9|10) min late", r"1 h 0[345] late"):
        expect(ran).to_contain_text(re.compile(gap))
    called_off = windows.get_by_role("row").filter(has_text=other.reference)
    for words in ("T12号设备", "moved to", "cancelled"):
        expect(called_off).to_contain_text(words)
    rate = page.locator(".report-tile").filter(has_text="Execution rate")
    expect(rate).to_contain_text("0 of 2")


# --- steps that come again ------------------------------------------------------------------------------


def begins(outage: Outage) -> datetime:
    outage.refresh_from_db()
    assert outage.planned_start is not None
    return outage.planned_start


def ends(outage: Outage) -> datetime:
    outage.refresh_from_db()
    assert outage.planned_end is not None
    return outage.planned_end


def goes_by(outage: Outage, until: Callable[[], datetime]) -> None:
    """Time passes until that moment, and a few seconds more."""
    time_passes(until() - timezone.now() + timedelta(seconds=5))
    cache.clear()


def is_told(page: Page, words: str) -> None:
    """The page says what has been done."""
    expect(page.locator("#main").get_by_text(words)).to_be_visible()


def says(scene: Scene, caller: tuple[str, str], outage: Outage, *, zh: str, en: str) -> None:
    """What the agent reads to this caller now, in both languages; the times as they are spoken."""
    page, now = scene.agent, timezone.now()
    zone = ZoneInfo("Asia/Shanghai")
    moments = {
        "begins": begins(outage), "until": ends(outage), "back": rounded_etr(ends(outage), now, zone),
    }  # fmt: skip
    words = [
        {name: spoken_time(moment, language, now, zone) for name, moment in moments.items()}
        for language in ("zh", "en")
    ]
    page.goto(f"{scene.site}/console/")
    account, telephone = caller
    page.fill("#console-search", telephone)
    page.locator("#results .hit").filter(has_text=account).locator("button.hit__main").click()
    expect(page.locator(".answer-card [data-script-text=zh-hans]").first).to_contain_text(zh.format(**words[0]))
    expect(page.locator(".answer-card [data-script-text=en]").first).to_contain_text(
        re.compile(re.escape(en.format(**words[1])), re.IGNORECASE)
    )


def answer_everything(page: Page, scene: Scene, plan: PlanPeriod) -> None:
    """Whatever the checks ask about this plan is answered on its page."""
    page.goto(f"{scene.site}/planned/plans/{plan.pk}/")
    forms = page.locator(".plan-finding__form")
    for left in range(forms.count(), 0, -1):
        forms.first.locator("input[name=reason]").fill("已核实，按要求执行")
        forms.first.get_by_role("button", name="Answer").click()
        expect(forms).to_have_count(left - 1)


def take(page: Page, scene: Scene, plan: PlanPeriod, door: str, button: str) -> None:
    page.goto(f"{scene.site}/planned/plans/{plan.pk}/")
    page.get_by_role("link", name=door).click()
    if door == "Approve the plan":
        page.get_by_label("I have gone through the works").check()
        page.get_by_label("Number of works in this plan").fill("2")  # one of two makes three works two
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_role("heading", name=re.compile(re.escape(plan.title)))).to_be_visible()
    expect(page.get_by_role("link", name=door)).to_have_count(0)
