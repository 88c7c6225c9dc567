"""The work calendar: who may keep a day free, for whom it holds, and what the page says."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from accounts.actor import Actor
from accounts.models import User
from grid.models import Branch, CalendarDay
from outages.planned.agenda import days_visible_to
from outages.planned.services.days import DayKnown, calendar_day_add, calendar_day_delete
from standards.errors import DomainError, Forbidden, NotFound
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.pages import client_of, text_of

EXAM = date(2027, 6, 7)
PAGE = "/planned/days/"


def days() -> list[tuple[Any, ...]]:
    return list(CalendarDay.objects.order_by("pk").values_list("day", "kind", "name", "name_en", "branch__code"))


def typed(**more: Any) -> dict[str, Any]:
    return {"day": "2027-06-07", "kind": "exam", "name": "高考", "name_en": "Entrance exams", **more}


# --- who may ------------------------------------------------------------------------------------------


def test_the_lead_keeps_a_day_free_for_the_own_branch(city: SmallCity, lena_user: User) -> None:
    answer = client_of(lena_user).post(PAGE, typed(branch=city.east.pk))

    assert (answer.status_code, answer["Location"]) == (302, "/planned/days/?year=2027")
    assert days() == [(EXAM, "exam", "高考", "Entrance exams", "0101")]


def test_the_lead_of_one_branch_decides_neither_for_all_nor_for_another(city: SmallCity, lena_user: User) -> None:
    browser = client_of(lena_user)

    for branch in ("", city.west.pk, city.bureau.pk, "x"):
        answer = browser.post(PAGE, typed(branch=branch))
        assert answer.status_code == 422
        assert 'value="高考"' in text_of(answer)
    assert days() == []


def test_who_decides_everywhere_keeps_a_day_free_for_everybody(city: SmallCity) -> None:
    chief = accounts.user_with("approver", username="chief")

    client_of(chief).post(PAGE, typed(branch=""))

    assert days() == [(EXAM, "exam", "高考", "Entrance exams", None)]


@pytest.mark.parametrize("role", ["planner", "agent", "dispatcher", "auditor"])
def test_other_roles_read_and_change_nothing(city: SmallCity, role: str) -> None:
    kept = CalendarDay.objects.create(day=EXAM, kind="exam", name="高考", branch=city.east)
    browser = client_of(accounts.user_with(role, city.bureau))
    before = days()

    page = text_of(browser.get(PAGE, {"year": "2027"}))

    assert "高考" in page
    assert "Add a day" not in page
    assert "/delete/" not in page
    assert browser.post(PAGE, typed(day="2027-06-08", branch=city.east.pk)).status_code == 403
    assert browser.post(f"{PAGE}{kept.pk}/delete/").status_code == 403
    assert days() == before


def test_services_refuse_what_the_page_does_not_offer(city: SmallCity, pia: Actor, lena: Actor, otto: Actor) -> None:
    everywhere = CalendarDay.objects.create(day=EXAM, kind="holiday", name="端午")
    before = days()

    for actor, branch in ((pia, city.east), (lena, None), (lena, city.west), (otto, None)):
        with pytest.raises(Forbidden):
            calendar_day_add(actor=actor, day=date(2027, 6, 8), kind="exam", name="高考", branch=branch)
    with pytest.raises(Forbidden):
        calendar_day_delete(actor=lena, day_id=everywhere.pk)
    with pytest.raises(NotFound):
        calendar_day_delete(actor=lena, day_id=everywhere.pk + 1)
    assert days() == before


# --- what a day is ------------------------------------------------------------------------------------


def test_the_same_day_twice_says_so_on_the_field(city: SmallCity, lena: Actor, lena_user: User) -> None:
    calendar_day_add(actor=lena, day=EXAM, kind="exam", name="高考", branch=city.east)
    before = days()

    answer = client_of(lena_user).post(PAGE, typed(name="又一次", branch=city.east.pk))

    assert answer.status_code == 409
    assert "This day is in the work calendar already." in text_of(answer)
    assert 'value="又一次"' in text_of(answer)
    with pytest.raises(DayKnown):
        calendar_day_add(actor=lena, day=EXAM, kind="exam", name="again", branch=city.east)
    assert days() == before


def test_one_day_may_be_unwelcome_for_two_reasons(city: SmallCity, lena: Actor) -> None:
    for kind, name in (("exam", "高考"), ("blackout", "封网")):
        calendar_day_add(actor=lena, day=EXAM, kind=kind, name=name, branch=city.east)

    assert [row[1] for row in days()] == ["exam", "blackout"]


def test_a_sunday_is_worked_but_a_monday_is_not_made_a_working_day(
    city: SmallCity, lena: Actor, lena_user: User
) -> None:
    browser = client_of(lena_user)

    refused = browser.post(PAGE, typed(kind="working", name="调休上班", branch=city.east.pk))
    assert refused.status_code == 422
    assert "Only a Saturday or a Sunday is made a working day." in text_of(refused)
    assert days() == []

    browser.post(PAGE, typed(day="2027-06-06", kind="working", name="调休上班", name_en="", branch=city.east.pk))
    assert days() == [(date(2027, 6, 6), "working", "调休上班", "", "0101")]
    assert "working day" in text_of(browser.get(PAGE, {"year": "2027"}))


@pytest.mark.parametrize(
    "wrong",
    [{"day": "2027-02-30"}, {"day": "1999-12-31"}, {"day": "2101-01-01"}, {"kind": "party"}, {"name": "  "},
     {"name": "x" * 65}, {"name": "\x00"}, {"day": ""}],
)  # fmt: skip
def test_nonsense_is_refused_on_the_form(city: SmallCity, lena_user: User, wrong: dict[str, str]) -> None:
    assert client_of(lena_user).post(PAGE, typed(branch=city.east.pk, **wrong)).status_code == 422
    assert days() == []


def test_the_service_refuses_nonsense_too(city: SmallCity, lena: Actor) -> None:
    for day, name in ((EXAM, " "), (date(1999, 12, 31), "x"), (date(2101, 1, 1), "x")):
        with pytest.raises(DomainError):
            calendar_day_add(actor=lena, day=day, kind="exam", name=name, branch=city.east)
    assert days() == []


# --- deleting -----------------------------------------------------------------------------------------


def test_a_day_is_taken_out_again(city: SmallCity, lena_user: User) -> None:
    kept = CalendarDay.objects.create(day=EXAM, kind="exam", name="高考", branch=city.east)
    browser = client_of(lena_user)

    assert f"{PAGE}{kept.pk}/delete/" in text_of(browser.get(PAGE, {"year": "2027"}))
    answer = browser.post(f"{PAGE}{kept.pk}/delete/")

    assert (answer.status_code, answer["Location"]) == (302, "/planned/days/?year=2027")
    assert days() == []


def test_the_lead_cannot_take_out_what_holds_for_everybody(city: SmallCity, lena_user: User) -> None:
    everywhere = CalendarDay.objects.create(day=EXAM, kind="holiday", name="端午")
    browser = client_of(lena_user)

    assert f"{PAGE}{everywhere.pk}/delete/" not in text_of(browser.get(PAGE, {"year": "2027"}))
    assert browser.post(f"{PAGE}{everywhere.pk}/delete/").status_code == 403
    assert [row[2] for row in days()] == ["端午"]


def test_another_branchs_day_is_not_there(city: SmallCity, lena_user: User) -> None:
    theirs = CalendarDay.objects.create(day=EXAM, kind="blackout", name="西区封网", branch=city.west)
    browser = client_of(lena_user)

    assert "西区封网" not in text_of(browser.get(PAGE, {"year": "2027"}))
    assert browser.post(f"{PAGE}{theirs.pk}/delete/").status_code == 404
    assert [row[2] for row in days()] == ["西区封网"]


# --- for whom it holds, and how it reads --------------------------------------------------------------


def test_a_day_holds_in_its_branch_below_it_and_seen_from_above(city: SmallCity, lena: Actor, otto: Actor) -> None:
    for name, branch in (("all", None), ("bureau", city.bureau), ("east", city.east), ("west", city.west)):
        CalendarDay.objects.create(day=EXAM, kind="exam", name=name, branch=branch)

    def names(actor: Actor, branch: Branch | None = None) -> list[str]:
        return [day.name for day in days_visible_to(actor, first=EXAM, last=EXAM, branch=branch)]

    assert names(lena) == ["all", "bureau", "east"]
    assert names(otto) == ["all", "bureau", "east", "west"]
    assert names(otto, city.west) == ["all", "bureau", "west"]


def test_a_year_at_a_time_in_the_readers_language(city: SmallCity, lena_user: User) -> None:
    CalendarDay.objects.create(day=EXAM, kind="exam", name="高考", name_en="Entrance exams")
    CalendarDay.objects.create(day=date(2028, 6, 7), kind="exam", name="下一年")
    browser = client_of(lena_user)

    page = text_of(browser.get(PAGE, {"year": "2027"}))

    assert "Entrance exams" in page
    assert "下一年" not in page
    assert 'href="?year=2026"' in page
    assert "No day is entered for 2029." in text_of(browser.get(PAGE, {"year": "2029"}))
    browser.cookies["django_language"] = "zh-hans"
    assert "高考" in text_of(browser.get(PAGE, {"year": "2027"}))


@pytest.mark.parametrize("year", ["", "x", "99999", "0", "-1", "２０２７", "2027.5"])
def test_a_year_that_is_none_is_this_one(city: SmallCity, lena_user: User, year: str) -> None:
    assert client_of(lena_user).get(PAGE, {"year": year}).status_code == 200
