"""The pages of plans, tables and the schedule, over HTTP: drawn up by one person, approved by another."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.actor import Actor
from accounts.models import User
from outages.load_shedding import selectors
from outages.load_shedding.models import Agreement, KeptOut, SheddingPlan, StageWindow
from outages.load_shedding.services import plans
from outages.load_shedding.services import schedule as services
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.pages import client_of, text_of
from tests.shedding.world import block, draft, every_day, everything_shed, plan

PLANS, KEPT_OUT, SCHEDULE = "/shedding/plans/", "/shedding/kept-out/", "/shedding/schedule/"
AGREEMENTS = "/shedding/agreements/"
LIMITS = {
    "slot_minutes": 120, "margin_minutes": 15, "max_run_minutes": 240, "max_day_minutes": 480, "min_rest_minutes": 240,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def desk(asha_user: User) -> Client:
    """Asha's."""
    return client_of(asha_user)


@pytest.fixture
def approver(otto_user: User) -> Client:
    """Otto's."""
    return client_of(otto_user)


def url(of: SheddingPlan, rest: str = "") -> str:
    return f"{PLANS}{of.pk}/{rest}"


def version(of: SheddingPlan) -> int:
    return SheddingPlan.objects.values_list("version", flat=True).get(pk=of.pk)


def cells(response: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text_of(response).removeprefix("\ufeff"))))


# --- drawing up ---------------------------------------------------------------------------------------


def test_a_plan_is_drawn_up_on_its_pages(city: SmallCity, desk: Client) -> None:
    facts = {"name": "2026 plan", "effective_from": timezone.localdate().isoformat(), "branch": city.bureau.pk}
    made = desk.post(PLANS, {**facts, **LIMITS})
    of = SheddingPlan.objects.get()
    assert (made.status_code, made["Location"]) == (302, url(of))

    desk.post(url(of, "stages/"), {"version": version(of), **{f"colour_{n}": "blue" for n in range(1, 9)}, "mw_1": 0.1})
    desk.post(
        url(of, "blocks/new/"),
        {"version": version(of), "code": "A", "elements": "L11, L21", "switchings": 1, "mw_by_hour": "0.2"},
    )
    desk.post(
        url(of, "turns/?stage=1"),
        {"version": version(of), "block": "A", "recurrence": "monthly", "days": "1, last", "hours": "22:00-00:30"},
    )

    assert [(one.number, one.mw) for one in of.stages.all()] == [(1, 0.1)]
    assert (block(of, "A").customers, block(of, "A").mw_by_hour) == (6, [0.2] * 24)
    assert [(row.day, f"{row.ends:%H:%M}") for row in selectors.rows_of(of)] == [(0, "00:30"), (1, "00:30")]
    answer = desk.get(url(of))
    page = text_of(answer)
    assert answer.context["totals"]["customers"] == 6
    assert "at worst (day 1, 00:30)" in page


def test_what_is_wrong_stands_beside_its_field(city: SmallCity, desk: Client, asha: Actor) -> None:
    made = draft(city, asha)
    before = everything_shed()
    typed = {"version": made.version, "code": "D", "switchings": 1}

    for elements, words in (("NOPE", "“NOPE” is not in the list."), ("L12", "T12 goes off with block A already")):
        answer = desk.post(url(made, "blocks/new/"), {**typed, "elements": elements})
        assert answer.status_code in (409, 422)
        assert words in text_of(answer)
    answer = desk.post(url(made, "blocks/new/"), {**typed, "elements": "L11", "mw_by_hour": "1 2 3"})
    assert "Write 24 loads in MW" in text_of(answer)
    limits = {**LIMITS, "slot_minutes": 300, "version": made.version, "name": "x", "effective_from": "2030-01-01"}
    answer = desk.post(url(made, "change/"), limits)
    assert (answer.status_code, "The limits contradict each other" in text_of(answer)) == (422, True)

    assert everything_shed() == before


def test_every_page_of_a_version_is_there_for_both_and_in_both_languages(
    city: SmallCity, desk: Client, approver: Client, asha: Actor
) -> None:
    made = draft(city, asha, turns=every_day("A", "08:00", "10:00"))
    pages = ["", f"blocks/{block(made, 'A').pk}/", "turns/", "turns/?stage=2", "blocks.csv", "table.csv",
             "table-template.xlsx"]  # fmt: skip
    for language in ("en", "zh-hans"):
        for client in (desk, approver):
            client.cookies["django_language"] = language
            assert [client.get(url(made, page)).status_code for page in pages] == [200] * len(pages)
        drawing = ("change/", "stages/", "blocks/new/", "table/")
        assert [desk.get(url(made, page)).status_code for page in drawing] == [200] * 4
        assert [approver.get(url(made, page)).status_code for page in drawing] == [403] * 4
        assert approver.get(url(made, "approve/")).status_code == 200


def test_the_lists_go_out_as_tables(city: SmallCity, desk: Client, asha: Actor) -> None:
    made = draft(city, asha, turns=every_day("A", "22:00", "00:30"))
    blocks, turns = cells(desk.get(url(made, "blocks.csv"))), cells(desk.get(url(made, "table.csv")))
    assert [row[:9] for row in blocks[1:2]] == [["A", "A区块", "Block A", "L11", "3", "1", "1", "4.5", "no"]]
    assert turns[1] == ["1", "", "1", "", "", "", "22:00", "00:30", "A", ""]
    assert len(turns) == 8


def test_a_turn_is_deleted(city: SmallCity, desk: Client, asha: Actor) -> None:
    made = draft(city, asha, turns=every_day("A", "08:00", "10:00"))
    gone = made.turns.get(day=3)
    answer = desk.post(url(made, f"turns/{gone.pk}/delete/"))
    assert (answer.status_code, sorted(made.turns.values_list("day", flat=True))) == (302, [1, 2, 4, 5, 6, 7])


# --- a table from a file ------------------------------------------------------------------------------


def upload(client: Client, of: SheddingPlan, text: str) -> Any:
    file = SimpleUploadedFile("table.csv", text.encode())
    return client.post(url(of, "table/"), {"file": file, "stage": 1})


def test_a_table_is_looked_at_and_then_taken(city: SmallCity, desk: Client, asha: Actor) -> None:
    made = draft(city, asha, turns=every_day("A", "08:00", "10:00"))

    answer = upload(desk, made, "stage,day,from,until,block\n1,1-31,00:00,12:00,A\n")
    assert (answer.status_code, made.turns.count()) == (302, 7)
    page = text_of(desk.get(answer["Location"]))
    assert "31 turns, all of them right" in page
    assert "At 31 times nobody has a turn" in page
    taken = desk.post(answer["Location"], {"version": version(made)})

    assert (taken.status_code, taken["Location"], made.turns.count()) == (302, url(made), 31)


def test_a_table_with_a_wrong_row_cannot_be_taken(city: SmallCity, desk: Client, asha: Actor) -> None:
    made = draft(city, asha, turns=every_day("A", "08:00", "10:00"))
    before = everything_shed()

    answer = upload(desk, made, "stage,day,from,until,block\n1,1,08:00,10:00,A\n1,40,08:00,10:00,Q\n")
    page = text_of(desk.get(answer["Location"]))
    taken = desk.post(answer["Location"], {"version": version(made)})

    assert "2 cells are wrong" in page
    assert "There is no block “Q” in this plan." in page
    assert "Take the table" not in page
    assert (taken.status_code, everything_shed()) == (422, before)


def test_a_file_that_is_no_table_is_refused_beside_its_field(city: SmallCity, desk: Client, asha: Actor) -> None:
    answer = upload(desk, draft(city, asha), "\x00\x01")
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == ["file"]


# --- deciding -----------------------------------------------------------------------------------------


def test_another_person_approves_with_a_tick_and_the_typed_number(
    city: SmallCity, desk: Client, approver: Client, asha: Actor
) -> None:
    made = draft(city, asha)
    right = {"version": made.version, "is_accepted": "on", "blocks": 3}
    assert desk.get(url(made, "approve/")).status_code == 403
    for wrong in ({**right, "blocks": 2}, {"version": made.version, "blocks": 3}, {**right, "version": 1}):
        answer = approver.post(url(made, "approve/"), wrong)
        assert (answer.status_code, SheddingPlan.objects.get().state) in ((422, "draft"), (409, "draft"))
    form = answer.context["form"]  # of a version that changed meanwhile: it is read anew, and then sent again
    assert [form[name].value() for name in ("version", "is_accepted", "blocks")] == [str(made.version), False, ""]

    assert approver.post(url(made, "approve/"), right).status_code == 302

    assert SheddingPlan.objects.get().state == "approved"
    assert "in force" in text_of(desk.get(PLANS))


def test_what_the_next_version_changes_is_shown_before_it_is_approved(
    city: SmallCity, desk: Client, approver: Client, asha: Actor
) -> None:
    made = plan(city, asha)
    copied = desk.post(url(made, "copy/"), {"effective_from": (timezone.localdate() + timedelta(days=1)).isoformat()})
    copy = SheddingPlan.objects.get(number=2)
    assert copied["Location"] == url(copy)
    desk.post(url(copy, f"blocks/{block(copy, 'B').pk}/delete/"))

    page = text_of(approver.get(url(copy, "approve/")))

    assert "Changes against version 1" in page
    assert "2 are in none any more" in page


def test_a_version_is_retired_by_the_approver(city: SmallCity, desk: Client, approver: Client, asha: Actor) -> None:
    made = plan(city, asha)
    assert desk.post(url(made, "retire/")).status_code == 403
    assert approver.get(url(made, "retire/")).status_code == 200
    assert approver.post(url(made, "retire/")).status_code == 302
    assert SheddingPlan.objects.get().state == "retired"


def test_a_draft_is_deleted(city: SmallCity, desk: Client, approver: Client, asha: Actor) -> None:
    made = draft(city, asha)
    assert approver.post(url(made, "delete/")).status_code == 403
    assert desk.post(url(made, "delete/")).status_code == 302
    assert not SheddingPlan.objects.exists()


# --- kept out -----------------------------------------------------------------------------------------


def test_an_element_is_kept_out_and_let_in_again(city: SmallCity, desk: Client, approver: Client) -> None:
    typed = {"element": "F2", "why": "ufls", "note": "49.0 Hz"}
    assert approver.post(KEPT_OUT, typed).status_code == 403
    assert desk.post(KEPT_OUT, typed).status_code == 302
    assert desk.post(KEPT_OUT, {**typed, "element": "NOPE"}).status_code == 422
    assert [(one.element.code, one.note) for one in KeptOut.objects.all()] == [("F2", "49.0 Hz")]
    assert "49.0 Hz" in text_of(approver.get(KEPT_OUT))
    assert cells(desk.get("/shedding/kept-out.csv"))[1][:1] == ["F2"]

    desk.post(f"{KEPT_OUT}{KeptOut.objects.get().pk}/delete/")

    assert not KeptOut.objects.exists()


def test_what_another_branch_keeps_out_is_not_there(city: SmallCity, desk: Client) -> None:
    desk.post(KEPT_OUT, {"element": "F2", "why": "ufls"})
    east = client_of(accounts.user_with("dispatcher", city.east, username="eva"))
    assert "F2" not in text_of(east.get(KEPT_OUT))
    assert east.post(f"{KEPT_OUT}{KeptOut.objects.get().pk}/delete/").status_code == 404
    assert east.post(KEPT_OUT, {"element": "T22", "why": "ufls"}).status_code == 422
    assert KeptOut.objects.count() == 1


# --- agreements ---------------------------------------------------------------------------------------


AGREED = {"customer": "1000000005", "kind": "shift", "mw": "0.4", "notice_minutes": "30", "valid_until": "2099-12-31"}


def test_an_agreement_is_entered_changed_and_ended(city: SmallCity, desk: Client, approver: Client) -> None:
    smith = city.customers["smith"]
    typed = {**AGREED, "customer": smith.account_number}
    assert approver.post(AGREEMENTS, typed).status_code == 403
    assert desk.post(AGREEMENTS, typed).status_code == 302
    assert desk.post(AGREEMENTS, {**typed, "mw": "0.6"}).status_code == 302

    (held,) = Agreement.objects.all()
    assert (held.customer, held.branch, held.kind, held.mw, held.notice_minutes) == (smith, city.west, "shift", 0.6, 30)
    seen, masked = text_of(desk.get(AGREEMENTS)), text_of(approver.get(AGREEMENTS))
    assert smith.account_number in masked
    assert (smith.name in seen, smith.name in masked) == (True, False)
    assert cells(desk.get("/shedding/agreements.csv"))[1][0] == smith.account_number

    desk.post(f"{AGREEMENTS}{held.pk}/end/")

    assert not Agreement.objects.exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [({"mw": "0"}, "mw"), ({"mw": "-1"}, "mw"), ({"mw": "nan"}, "mw"), ({"notice_minutes": "99999"}, "notice_minutes"),
     ({"customer": "nobody"}, "customer"), ({"kind": "beg"}, "kind"), ({"valid_until": "31/31"}, "valid_until")],
)  # fmt: skip
def test_wrong_terms_are_refused_beside_their_field(
    city: SmallCity, desk: Client, wrong: dict[str, str], field: str
) -> None:
    answer = desk.post(AGREEMENTS, {**AGREED, "customer": city.customers["smith"].account_number, **wrong})

    assert (answer.status_code, list(answer.context["form"].errors)) == (422, [field])
    assert not Agreement.objects.exists()


def test_what_was_agreed_in_another_branch_is_not_there(city: SmallCity, desk: Client) -> None:
    smith = city.customers["smith"].account_number
    desk.post(AGREEMENTS, {**AGREED, "customer": smith})
    east = client_of(accounts.user_with("dispatcher", city.east, username="eva"))
    planner = client_of(accounts.user_with("planner", city.west, username="pia"))

    assert smith not in text_of(east.get(AGREEMENTS))
    assert east.post(f"{AGREEMENTS}{Agreement.objects.get().pk}/end/").status_code == 404
    assert east.post(AGREEMENTS, {**AGREED, "customer": smith}).status_code == 422
    assert planner.get(AGREEMENTS).status_code == 403
    assert Agreement.objects.count() == 1


# --- the schedule -------------------------------------------------------------------------------------


def minute(hours: float) -> str:
    midnight = timezone.localtime().replace(hour=0, minute=0)
    return f"{midnight + timedelta(days=1, hours=hours):%Y-%m-%dT%H:%M}"


def test_a_stage_is_published_shown_and_withdrawn(city: SmallCity, desk: Client, asha: Actor) -> None:
    made = plan(city, asha, turns=every_day("A", "08:00", "10:00"))
    assert "Nothing is published." in text_of(desk.get(SCHEDULE))
    typed = {"stage": 1, "begins": minute(0), "until": minute(24), "certainty": "confirmed"}

    assert desk.post(f"{SCHEDULE}{made.pk}/publish/", typed).status_code == 302

    page = text_of(desk.get(SCHEDULE))
    assert "08:00–10:00" in page
    assert "00:00–24:00" in page
    assert page.count(">unknown<") == 6 * (1 + 3)  # the other days, for the stage and for each block
    assert cells(desk.get(f"{SCHEDULE}{made.pk}/schedule.csv"))[1][0] == "A"

    desk.post(f"{SCHEDULE}{made.pk}/withdraw/", {"withdraw-begins": minute(0), "withdraw-until": minute(24)})

    assert not StageWindow.objects.exists()


def test_what_cannot_be_published_is_said_beside_its_field(city: SmallCity, desk: Client, asha: Actor) -> None:
    made = plan(city, asha)
    typed = {"stage": 1, "begins": minute(5), "until": minute(4), "certainty": "confirmed"}
    answer = desk.post(f"{SCHEDULE}{made.pk}/publish/", typed)
    assert answer.status_code == 422
    assert "It must end after it begins" in text_of(answer)
    assert not StageWindow.objects.exists()


def test_the_page_says_that_the_schedule_runs_out(city: SmallCity, desk: Client, asha: Actor) -> None:
    made, now = plan(city, asha), timezone.now()
    services.stage_publish(
        actor=asha, plan_id=made.pk, stage=1, begins=now, until=now + timedelta(hours=2), certainty="forecast"
    )
    assert "The published schedule runs out at" in text_of(desk.get(SCHEDULE))


def test_without_a_plan_the_pages_say_so(city: SmallCity, desk: Client) -> None:
    assert "No plan is in force." in text_of(desk.get(SCHEDULE))
    assert "No plan has been drawn up yet." in text_of(desk.get(PLANS))
    assert desk.get(f"{SCHEDULE}?from=nonsense&plan=x").status_code == 200


def test_statements_of_a_version_do_not_grow_with_its_blocks(
    city: SmallCity, desk: Client, asha: Actor, django_assert_max_num_queries: Any
) -> None:
    before = plan(city, asha, turns=every_day("A", "08:00", "10:00"))
    copy = plans.plan_copy(actor=asha, plan_id=before.pk, effective_from=timezone.localdate() + timedelta(days=1))
    desk.get(url(copy))
    with django_assert_max_num_queries(45):
        desk.get(url(copy))
