"""What stands in addresses, search boxes, headers and cookies: garbage finds nothing, and nothing fails."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.actor import Actor
from call_center.models import Call, Callback
from call_center.search import search
from call_center.services import call_start
from outages.faults.models import Fault, TroubleReport
from outages.faults.selectors import places_search
from outages.faults.services import fault_log
from outages.models import Outage
from tests.attack.conftest import sender
from tests.factories import accounts
from tests.factories.grid import SmallCity

GARBAGE = [
    "\x00",
    "a\x00b",
    "x" * 10_000,
    "9" * 400,
    "-1",
    "1e400",
    "NaN",
    "' OR 1=1 --",
    "'; DROP TABLE outages_outage; --",
    "%",
    "_",
    "\\",
    "%s %(x)s {0} {{7*7}} {% load x %}",
    "<script>alert(1)</script>",
    "\u202eevil\u200b",
    "＇ＯＲ １＝１",
    "😀" * 50,
    "٣٤٥٦٧٨٩",
    "1²",
    "+",
    "()[]*.?^$|",
    "last",
    "0",
]
READS = [  # page, its parameters
    ("board/", "q kind status level branch feeder min_customers open off critical overdue unassigned started_after "
     "started_before changed_after page view kiosk"),
    ("board/outages.csv", "q kind branch feeder min_customers started_after"),
    ("board/map.geojson", "q kind branch feeder min_customers started_after"),
    ("faults/new/", "q place token cause_code started_at etr level"),
    ("faults/new/place/", "q place"),
    ("faults/{}/reports/", "page"),
    ("faults/{}/crews/1/", "state"),
    ("live/since/", "v"),
    ("accounts/rules/", "pack"),
    ("accounts/login/", "next"),
]  # fmt: skip
AGENTS_READS = [
    ("console/", "q"),
    ("console/pop/", "ani callid queue"),
    ("console/calls/", "page"),
    ("console/callbacks/", "page"),
]
AUDITORS_READS = [("accounts/users/", "q page"), ("accounts/access-log/", "verb who page")]
MACHINES_READS = [
    ("outages/", "q kind status level branch feeder min_customers open off critical overdue unassigned started_after "
     "started_before changed_after cursor limit format"),
    ("events/", "after limit"),
    ("supply-status/", "account phone meter service_point"),
    ("schema/", "lang format version"),
]  # fmt: skip


def failures(client: Client, reads: list[tuple[str, str]], reference: str, **headers: Any) -> list[str]:
    found = []
    for page, names in reads:
        for name in names.split():
            for value in GARBAGE:
                status = client.get(f"/{page.format(reference)}", {name: value}, **headers).status_code
                if status >= 500:
                    found.append(f"{page} {name}={value[:20]!r} -> {status}")
    return found


def test_a_dispatchers_pages_bear_any_parameter(dispatcher: Client, fault: Outage) -> None:
    assert failures(dispatcher, READS, fault.reference) == []


def test_an_agents_pages_bear_any_parameter(agent: Client, fault: Outage) -> None:
    assert failures(agent, AGENTS_READS, fault.reference) == []


def test_an_auditors_pages_bear_any_parameter(auditor: Client) -> None:
    assert failures(auditor, AUDITORS_READS, "") == []


def test_the_interface_bears_any_parameter(city: SmallCity, fault: Outage) -> None:
    _token, key = accounts.client_token("outage:read", "event:read", "supply:read", branch=city.bureau)
    reads = [(f"api/v1/{page}", names) for page, names in MACHINES_READS]

    assert failures(Client(raise_request_exception=False), reads, "", HTTP_AUTHORIZATION=f"Token {key}") == []


def test_a_reference_may_be_anything(dispatcher: Client, agent: Client) -> None:
    found = []
    for value in ("%00", "a%00b", "x" * 2_000, "%27%20OR%201=1--", "%F0%9F%98%80", "..%5c..", "%0d%0aSet-Cookie:x=1"):
        for page in ("outages/{}/", "faults/{}/etr/", "faults/{}/reports/", "notifications/outages/{}/"):
            found += [(page, value, dispatcher.get(f"/{page.format(value)}").status_code)]
        found += [
            ("pins", value, agent.post("/console/pins/", {"reference": value.replace("%00", "\x00")}).status_code)
        ]

    assert [hit for hit in found if hit[2] not in (301, 302, 400, 404)] == []


def test_forms_bear_anything_in_any_field(dispatcher: Client, agent: Client, fault: Outage, city: SmallCity) -> None:
    call = call_start(actor=accounts.actor_of(accounts.mei()), service_point_id=city.service_points["SP0001"].pk)
    forms = [
        (dispatcher, f"/faults/{fault.reference}/{name}/", fields)
        for name, fields in {
            "etr": "etr etr_source etr_reason next_update_by version seen",
            "assign": "crew note version",
            "restore": "restored_at note version",
            "restore-part": "at elements customer note",
            "close": "cause_code cause_text equipment_code note",
            "merge": "survivor",
        }.items()
    ]
    forms += [
        (dispatcher, "/faults/new/", "place token started_at cause_text etr note"),
        (dispatcher, f"/outages/{fault.reference}/notes/", "text"),
        (agent, "/console/search/", "q call start_token"),
        (agent, "/console/call/start/", "service_point start_token"),
        (agent, f"/console/call/{call.key}/premises/", "service_point"),
        (agent, f"/console/call/{call.key}/draft/", "note reason scope"),
        (agent, f"/console/call/{call.key}/log/", "reason scope note language told wire_down"),
        (agent, "/console/pins/", "service_point reference call"),
    ]
    valid = {"version": str(fault.version), "etr_source": "crew", "reason": "billing", "scope": "unknown"}
    found = []
    for client, page, fields in forms:
        for field in fields.split():
            for value in GARBAGE:
                status = client.post(page, {**valid, field: value}).status_code
                if status >= 500:
                    found.append(f"{page} {field}={value[:20]!r} -> {status}")

    assert found == []


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(text=st.one_of(st.text(max_size=40), st.text("0123456789+-() '%_\\;*\u3000東风路", max_size=20)))
def test_a_search_never_fails_and_only_finds_what_is_there(text: str, asha: Actor, city: SmallCity) -> None:
    places_search(actor=asha, text=text)
    search(actor=asha, query=text)


def test_sql_in_a_search_is_text(asha: Actor, dispatcher: Client, fault: Outage) -> None:
    for text in ("' OR 1=1 --", "x' UNION SELECT 1 --", "L11%", "L1_", "'; DELETE FROM outages_outage; --"):
        shown = dispatcher.get("/board/", {"q": text}).content.decode()

        assert fault.reference not in re.findall(r'data-reference="([^"]+)"', shown)
        assert not search(actor=asha, query=text)
    assert Outage.objects.count() == 1


def test_only_the_listed_filters_filter(city: SmallCity, fault: Outage, asha: Actor) -> None:
    """``_connector``, lookups of the ORM and unknown orderings are no part of the interface (CVE-2025-64459)."""
    fault_log(actor=asha, element_ids=city.ids("T21"), started_at=timezone.now() - timedelta(hours=1))
    _token, key = accounts.client_token("outage:read", branch=city.bureau)
    asked = [
        "_connector=OR",
        "_negated=True",
        "id__in=1",
        "id=1",
        "branch__name=x",
        "branch__name__contains=x",
        "created_by__password__startswith=a",
        "ordering=created_at",
        "ordering=-branch__id",
        "search=x",
        "kind__ne=fault",
    ]
    plain = Client().get("/api/v1/outages/", headers={"Authorization": f"Token {key}"}).json()["results"]

    for query in asked:
        answer = Client().get(f"/api/v1/outages/?{query}", headers={"Authorization": f"Token {key}"})
        assert answer.status_code == 400 or answer.json()["results"] == plain
    assert len(plain) == 2


def test_what_a_client_may_not_set_is_not_set(city: SmallCity) -> None:
    send = sender(city, "outage:write", "report:create")
    chosen = {
        "id": 4711, "branch": "0102", "branch_id": city.west.pk, "status": "closed", "state": "closed", "version": 99,
        "is_public": False, "is_void": True, "reference": "F-2001-000001", "author": "ada", "actor": "ada",
        "source_system": "scada", "customers_out": 9, "kind": "non_payment", "merged_into": 1,
    }  # fmt: skip

    answer = send("faults/", {"elements": ["T11"], **chosen})

    assert answer.status_code == 201
    made = Outage.objects.select_related("branch").get()
    assert (made.pk != 4711, made.branch.code, made.status, made.kind) == (True, "0101", "active", "fault")
    assert (made.version < 99, made.is_public, made.is_void, made.customers_out) == (True, True, False, 2)
    assert made.reference != "F-2001-000001"
    assert set(made.events.values_list("actor_name", flat=True)) == {"machine-outage:write"}
    later = send(f"faults/{made.reference}/confirm/", {"status": "closed", "branch": "0102", "is_public": False})
    made.refresh_from_db()
    assert later.status_code in (409, 422)
    assert (made.branch.code, made.status, made.is_public) == ("0101", "active", True)


# --- once is once -----------------------------------------------------------------------------------


def test_a_fault_form_sent_twice_logs_one_fault(dispatcher: Client, city: SmallCity) -> None:
    typed = {"place": f"e{city.id('T11')}", "token": "one-form", "is_confirmed": "yes", "etr_source": "operator"}

    pages = [dispatcher.post("/faults/new/", typed).headers["Location"] for _click in range(2)]

    assert pages[0] == pages[1]
    assert Fault.objects.count() == 1


def test_a_call_logged_twice_is_one_call_one_report_one_promise(agent: Client, city: SmallCity) -> None:
    call = call_start(actor=accounts.actor_of(accounts.mei()), service_point_id=city.service_points["SP0001"].pk)
    typed = {"reason": "no_supply", "scope": "unknown", "callback_wanted": "on", "note": "dark"}

    answers = [agent.post(f"/console/call/{call.key}/log/", typed).status_code for _click in range(2)]

    assert answers == [302, 302]
    assert [m.objects.count() for m in (Call, TroubleReport, Callback)] == [1, 1, 1]


def test_a_replayed_request_with_a_key_gets_the_first_answer_and_does_nothing(city: SmallCity) -> None:
    send = sender(city, "report:create")
    body = {"service_point": "SP0001"}

    first, again = (send("trouble-reports/", body, **{"Idempotency-Key": "once"}) for _time in range(2))
    other = send("trouble-reports/", {"service_point": "SP0002"}, **{"Idempotency-Key": "once"})

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.json() == first.json()
    assert TroubleReport.objects.count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\x00b", "\u202e" * 3, "a\tb"])
def test_a_key_that_cannot_be_kept_is_refused(key: str, city: SmallCity) -> None:
    send = sender(city, "report:create")

    assert send("trouble-reports/", {"service_point": "SP0001"}, **{"Idempotency-Key": key}).status_code == 400
    assert TroubleReport.objects.count() == 0


# --- headers, cookies -------------------------------------------------------------------------------


def test_another_host_is_not_ours(dispatcher: Client) -> None:
    assert dispatcher.get("/board/", headers={"Host": "evil.example"}).status_code == 400
    assert b"evil.example" not in dispatcher.get("/board/", headers={"X-Forwarded-Host": "evil.example"}).content


@pytest.mark.parametrize("value", ["xx-yy", "../../etc/passwd", "zh-hans\x00", "a" * 600, "en;DROP", "{{7*7}}"])
def test_any_language_is_borne(value: str, dispatcher: Client) -> None:
    dispatcher.cookies["django_language"] = value.replace("\x00", "%00")

    assert dispatcher.get("/board/").status_code == 200
    assert dispatcher.get("/board/", headers={"Accept-Language": value.replace("\x00", "")}).status_code == 200
    assert (
        dispatcher.post("/i18n/setlang/", {"language": value, "next": "https://evil.example/"})
        .headers["Location"]
        .startswith("/")
    )


@pytest.mark.parametrize("cookie", ["sessionid", "csrftoken", "messages"])
def test_any_cookie_is_borne(cookie: str, db: None) -> None:
    client = Client(raise_request_exception=False)
    client.cookies[cookie] = "'%00{{}}" * 20

    assert client.get("/accounts/login/").status_code == 200
    assert client.get("/board/").status_code == 302


@pytest.mark.parametrize(
    "header", ["Token", "Token a b", "Token \x00", "Bearer é", "Basic Og==", "Token " + "x" * 9_000]
)
def test_any_authorization_is_refused(header: str, db: None) -> None:
    answer = Client(raise_request_exception=False).get("/api/v1/outages/", HTTP_AUTHORIZATION=header)

    assert answer.status_code == 401


def test_a_form_without_its_token_changes_nothing(
    city: SmallCity, fault: Outage, everything: Callable[[], dict[str, Any]]
) -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(accounts.asha(city.bureau), backend="django.contrib.auth.backends.ModelBackend")
    before = everything()
    pages = (
        f"/outages/{fault.reference}/notes/", f"/faults/{fault.reference}/restore/", "/faults/new/",
        "/console/search/", "/accounts/profile/", "/accounts/logout/", "/api/v1/faults/",
    )  # fmt: skip

    answers = {page: client.post(page, {"text": "x"}).status_code for page in pages}

    assert set(answers.values()) == {403}
    assert everything() == before


# --- what is shown ----------------------------------------------------------------------------------

NASTY = "<script>alert('x')</script>\"{{7*7}}{% load x %}\u202ecod\u200bexe"


def test_names_are_shown_escaped_everywhere(dispatcher: Client, agent: Client, city: SmallCity, asha: Actor) -> None:
    element, point = city.elements["T11"], city.service_points["SP0001"]
    element.name, point.address = NASTY[:60], NASTY
    element.save(update_fields=["name"])
    point.address, point.customer.name = f"{NASTY}12号", NASTY
    point.save(update_fields=["address"])
    point.customer.save(update_fields=["name"])
    outage = fault_log(
        actor=asha, element_ids=[element.pk], place=NASTY, cause_text=NASTY, note=NASTY,
        public_reason_zh=NASTY, public_reason_en=NASTY, started_at=timezone.now() - timedelta(hours=1),
    )  # fmt: skip
    call = call_start(actor=accounts.actor_of(accounts.mei()), service_point_id=point.pk)

    pages = [dispatcher.get(page).content.decode() for page in (
        "/board/", f"/outages/{outage.reference}/", f"/faults/{outage.reference}/etr/", "/faults/",
        f"/faults/{outage.reference}/reports/", "/faults/new/?q=T11",
    )]  # fmt: skip
    pages += [
        agent.get(page).content.decode() for page in (f"/console/call/{call.key}/", "/console/", "/console/calls/")
    ]

    for page in pages:
        assert "<script>alert(" not in page
        assert "49{%" not in page
    assert any("&lt;script&gt;alert(" in page for page in pages)


def test_a_name_of_five_thousand_characters_is_refused_where_it_is_typed(city: SmallCity) -> None:
    send = sender(city, "outage:write", "report:create")

    assert send("faults/", {"elements": ["T11"], "place": "x" * 5_000}).status_code == 400
    assert send("trouble-reports/", {"service_point": "SP0001", "caller_name": "x" * 5_000}).status_code == 400
    assert (Outage.objects.count(), TroubleReport.objects.count()) == (0, 0)


@pytest.mark.parametrize("start", ["=HYPERLINK(1)", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_that_begins_like_a_formula_is_text_in_the_export(start: str, dispatcher: Client, fault: Outage) -> None:
    with connection.cursor() as db:
        db.execute("UPDATE outages_outage SET place = %s WHERE id = %s", [start, fault.pk])
    sheet = b"".join(dispatcher.get("/board/outages.csv").streaming_content)  # type: ignore[attr-defined]

    rows = list(csv.reader(io.StringIO(sheet.decode("utf-8-sig"), newline="")))

    assert f"'{start}" in rows[1]
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "@", "\t", "\r"))]
