"""The main job from end to end, in a real browser: a fault, everyone who is off, the caller, the messages, the record.

Told on the generated city always, and on the IEEE 8500-node feeder imported from CIM where the data folder is present.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from playwright.sync_api import Page, expect

from grid import topology
from grid.models import Branch, ContactKind, ContactPoint, ElementKind, GridElement, ServicePoint
from outages.models import Outage, OutageStatus, SystemState
from tests.conftest import DATA, needs_data
from tests.factories import accounts
from tests.factories.grid import phone_create
from tests.notifications.world import nothing_broken, turn
from tests.peers.sms_gateway import SmsGateway
from tests.peers.smtp import SmtpServer

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

PHONE, EMAIL = "+8613912345678", "caller@example.com"


@dataclass(frozen=True)
class Scene:
    """A real line, who hangs on it, and the caller among them."""

    line: GridElement
    off: int
    caller: ServicePoint
    first_part: GridElement  # comes back first
    stays_off: int  # then


@pytest.fixture(params=["city", pytest.param("ieee8500", marks=needs_data)])
def scene(request: pytest.FixtureRequest, transactional_db: None) -> Scene:
    SystemState.objects.get_or_create(pk=1)
    if request.param == "city":
        call_command("generate_grid", service_points=1500, seed=3, verbosity=0)
    else:
        call_command("import_grid", str(DATA / "networks/cim_xml/ieee8500u_cim100.xml.gz"), format="cim", verbosity=0)
    # equal hours mean the whole day, so that the story does not depend on when it is told
    Branch.objects.update(send_from="00:00", send_until="00:00")
    return _scene()


def _scene() -> Scene:
    """The first line with 20 to 400 customers in several places, of which one part can come back before the rest."""
    for line in GridElement.objects.filter(kind=ElementKind.SECTION, customers__range=(20, 400)).order_by("pos"):
        places = GridElement.objects.filter(
            pk__in=topology.isolated_by([line.pk]), own_customers__gt=0
        ).order_by("pos")  # fmt: skip
        if len(places) < 3:
            continue
        caller = ServicePoint.objects.filter(element=places[1]).order_by("code")[0]
        caller.customer.contacts.all().delete()
        phone_create(caller.customer, PHONE)
        ContactPoint.objects.create(customer=caller.customer, kind=ContactKind.EMAIL, value=EMAIL)
        off = sum(place.own_customers for place in places)
        return Scene(line, off, caller, places[0], off - places[0].own_customers)
    raise AssertionError("no line of this network fits the story")


def test_from_the_fault_to_the_closed_record(
    scene: Scene,
    sign_in: Callable[..., Page],
    live_server: Any,
    smtp: SmtpServer,
    sms: SmsGateway,
) -> None:
    site = live_server.url
    desk = sign_in(accounts.asha(), language="en")

    # a dispatcher logs a fault on a real line and sees who would be off before saving
    desk.goto(f"{site}/faults/new/")
    desk.fill("#place-search", scene.line.code)
    choice = desk.locator("#place label").filter(has_text=re.compile(rf"(?<!\S){re.escape(scene.line.code)}(?!\S)"))
    expect(choice.or_(desk.locator("#place dl"))).to_be_visible()
    if choice.count():
        choice.first.locator("input").check()
    expect(desk.locator("#place dl dd").first).to_have_text(re.compile(rf"^{grouped(scene.off)}\s*\d+ places?"))
    now = timezone.localtime()
    desk.fill("[name=started_at]", f"{now - timedelta(minutes=40):%Y-%m-%dT%H:%M}")
    desk.select_option("[name=cause_code]", "tree_fall")
    desk.fill("[name=etr]", f"{now + timedelta(hours=2):%Y-%m-%dT%H:%M}")
    desk.get_by_role("button", name="Log the fault").click()

    # everyone who is off is known
    expect(desk).to_have_url(re.compile(r"/outages/F-\d{4}-\d{6}/"))
    outage = Outage.objects.get()
    assert (outage.status, outage.customers_out) == (OutageStatus.ACTIVE, scene.off)
    board = sign_in(accounts.asha(), language="en")
    board.goto(f"{site}/board/")
    expect(board.get_by_role("row").filter(has_text=outage.reference)).to_contain_text(grouped(scene.off))

    # the agent finds the caller by telephone and reads the sentence in both languages
    console = sign_in(accounts.mei(), language="zh-hans")
    console.goto(f"{site}/console/")
    console.fill("#console-search", PHONE.removeprefix("+86"))
    expect(console.locator("#results .hit")).to_have_count(1)
    console.locator("#results button.hit__main").click()
    chinese = console.locator(".answer-card [data-script-text=zh-hans]").first
    expect(chinese).to_contain_text("停电")
    expect(chinese).to_contain_text("前恢复供电")
    console.keyboard.press("s")
    english = console.locator(".answer-card [data-script-text=en]").first
    expect(english).to_contain_text("We expect it back by")

    # the customer gets the e-mail and the text message
    turn()
    assert [EMAIL] in smtp.recipients
    (text,) = [call["body"]["text"] for call in sms.journal if call["body"]["to"] == PHONE]
    assert outage.reference in text

    # power comes back in two steps
    desk.goto(f"{site}/faults/{outage.reference}/restore-part/")
    desk.locator(f"input[name=elements][value='{scene.first_part.pk}']").check()
    desk.locator("main form button.button--primary").first.click()
    expect(desk).to_have_url(re.compile(rf"/outages/{outage.reference}/"))
    outage.refresh_from_db()
    assert (outage.status, outage.customers_out) == (OutageStatus.PARTIALLY_RESTORED, scene.stays_off)
    desk.goto(f"{site}/faults/{outage.reference}/restore/")
    desk.locator("main form button.button--primary").first.click()
    expect(desk).to_have_url(re.compile(rf"/outages/{outage.reference}/"))
    outage.refresh_from_db()
    assert (outage.status, outage.customers_out) == (OutageStatus.RESTORED, 0)
    turn()
    assert sum(call["body"]["to"] == PHONE for call in sms.journal) == 2
    assert smtp.recipients.count([EMAIL]) == 2

    # the record closes with its history complete
    desk.goto(f"{site}/faults/{outage.reference}/close/")
    desk.select_option("[name=cause_code]", "tree_fall")
    desk.select_option("[name=equipment_code]", "overhead_line")
    desk.select_option("[name=remedy_code]", "repaired")
    desk.locator("main form button.button--primary").first.click()
    desk.locator("main form button.button--primary").first.click()
    expect(desk).to_have_url(re.compile(rf"/outages/{outage.reference}/"))
    outage.refresh_from_db()
    assert outage.status == OutageStatus.CLOSED
    history = list(outage.events.order_by("sequence").values_list("verb", flat=True))
    assert history == ["start", "restore_part", "restore", "close", "findings"]
    expect(desk.locator(".timeline")).to_contain_text(re.compile("asha", re.IGNORECASE))
    nothing_broken()


def grouped(number: int) -> str:
    """A count as the pages write it: a narrow space between thousands."""
    return f"{number:,}".replace(",", r"\s") if number >= 1000 else str(number)
