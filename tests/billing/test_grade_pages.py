"""The pages of grades: who sees them, who changes them, and what they point out."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from accounts.models import User
from billing_cutoffs.models import Grade, GradingRun
from billing_cutoffs.services.grades import accounts_grade, grades_default
from tests.billing.world import CLOCK, crowd_of_debtors, debtor
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.pages import client_of, text_of

PAGE = "/cutoffs/grades/"


@pytest.fixture
def vera_browser(city: SmallCity, vera_user: User) -> Client:
    return client_of(vera_user)


def typed(**more: Any) -> dict[str, Any]:
    rows = {
        "steps-TOTAL_FORMS": "2", "steps-INITIAL_FORMS": "0", "steps-0-after_days": "3", "steps-0-channels": ["sms"],
        "steps-1-after_days": "", "steps-1-channels": ["sms"],
    }  # fmt: skip
    return {
        "name_zh": "大额", "name_en": "Large", "code": "large", "rank": "5", "is_active": "on", "min_days": "1",
        "min_amount": "300.00", "min_late_payments": "0", "level": "station", "channels": ["sms"], **rows, **more,
    }  # fmt: skip


def test_the_list_says_who_falls_into_which_grade(city: SmallCity, ben_user: User) -> None:
    debtor(city, "SP0001")
    debtor(city, "SP0005")
    accounts_grade(actor=CLOCK)

    page = text_of(client_of(ben_user).get(PAGE))

    assert "Residential, small amount" in page
    assert "?grade=residential" in page
    assert "?grade=business" not in page  # that account is in the west
    assert "Grade all accounts now" not in page
    assert "2 in arrears" in page


def test_a_grade_is_added_with_its_reminders(vera_browser: Client) -> None:
    answer = vera_browser.post(f"{PAGE}new/", typed())

    assert (answer.status_code, answer["Location"]) == (302, PAGE)
    made = Grade.objects.get()
    assert (made.code, made.rank, f"{made.min_amount}", made.channels) == ("large", 5, "300.00", ["sms"])
    assert list(made.steps.values_list("after_days", "channels")) == [(3, ["sms"])]
    page = text_of(vera_browser.get(f"{PAGE}{made.pk}/"))
    assert "Vera" in page
    assert 'value="3"' in page


def test_the_history_says_who_changed_what(vera_browser: Client) -> None:
    grade = Grade.objects.create(code="large", name_zh="大额", name_en="Large", rank=5)

    vera_browser.post(f"{PAGE}{grade.pk}/", typed(name_en="Very large", min_days="10"))

    page = text_of(vera_browser.get(f"{PAGE}{grade.pk}/"))
    assert "English name: Large → Very large" in page
    assert "days overdue, at least: 1 → 10" in page


def test_a_dry_run_counts_and_saves_nothing(city: SmallCity, vera_browser: Client) -> None:
    grades_default()
    crowd_of_debtors(city, 3)
    debtor(city, "SP0001", amount="20.00")
    before = Grade.objects.count()

    answer = vera_browser.post(f"{PAGE}new/", typed(preview="1"))

    assert answer.status_code == 200
    assert [(name, fallen.accounts) for name, fallen in answer.context["preview"] if fallen] == [
        ("Large", 3), ("Residential, small amount", 1),
    ]  # fmt: skip
    assert "Nothing is saved yet." in text_of(answer)
    assert Grade.objects.count() == before


def test_a_grade_that_nobody_can_reach_is_pointed_out(vera_browser: Client) -> None:
    Grade.objects.create(code="all", name_zh="全部", name_en="Everybody", rank=1)

    answer = vera_browser.post(f"{PAGE}new/", typed(preview="1"))
    assert "“Everybody” takes them all first" in text_of(answer)
    vera_browser.post(f"{PAGE}new/", typed())
    assert "“Everybody” takes them all first" in text_of(vera_browser.get(PAGE))


@pytest.mark.parametrize(
    ("wrong", "status"),
    [({"rank": "1"}, 409), ({"code": ""}, 422), ({"min_amount": "-1"}, 422), ({"min_days": "0"}, 422),
     ({"channels": []}, 422), ({"steps-0-channels": []}, 422), ({"steps-0-after_days": "0"}, 422),
     ({"steps-1-after_days": "3"}, 422), ({"customer_classes": ["nobility"]}, 422)],
)  # fmt: skip
def test_nonsense_is_refused_on_the_form(vera_browser: Client, wrong: dict[str, Any], status: int) -> None:
    Grade.objects.create(code="first", name_zh="一", name_en="First", rank=1)

    answer = vera_browser.post(f"{PAGE}new/", typed(**wrong))

    assert answer.status_code == status
    assert 'value="Large"' in text_of(answer)
    assert Grade.objects.count() == 1


def test_a_grade_is_switched_off_and_used_again(vera_browser: Client) -> None:
    grade = Grade.objects.create(code="all", name_zh="全部", name_en="All", rank=1)
    for value in (False, True):
        assert vera_browser.post(f"{PAGE}{grade.pk}/use/", {"is_active": str(int(value))}).status_code == 302
        grade.refresh_from_db()
        assert grade.is_active is value


def test_a_station_reads_grades_and_changes_none(city: SmallCity, ben_user: User, otto_user: User) -> None:
    grade = Grade.objects.create(code="all", name_zh="全部", name_en="All", rank=1)
    for user in (ben_user, otto_user):
        browser = client_of(user)
        assert browser.get(PAGE).status_code == 200
        assert browser.get(f"{PAGE}{grade.pk}/").status_code == 200
        assert browser.get(f"{PAGE}new/").status_code == 403
        assert browser.post(f"{PAGE}{grade.pk}/", typed()).status_code == 403
        assert browser.post(f"{PAGE}{grade.pk}/use/", {"is_active": "0"}).status_code == 403
        assert browser.post(f"{PAGE}run/").status_code == 403
    grade.refresh_from_db()
    assert (grade.code, grade.is_active, GradingRun.objects.count()) == ("all", True, 0)


@pytest.mark.parametrize("role", ["agent", "dispatcher", "planner", "branch_lead"])
def test_who_reads_no_arrears_reads_no_grades(city: SmallCity, role: str) -> None:
    browser = client_of(accounts.user_with(role, city.bureau))
    assert browser.get(PAGE).status_code == 403


def test_grading_is_asked_for_and_the_page_says_so(vera_browser: Client) -> None:
    assert vera_browser.post(f"{PAGE}run/").status_code == 302
    run = GradingRun.objects.get()
    assert (run.by_name, run.done_at) == ("Vera", None)
    assert "Being graded" in text_of(vera_browser.get(PAGE))
    accounts_grade(actor=CLOCK)
    assert "Last graded" in text_of(vera_browser.get(PAGE))


@pytest.mark.parametrize("number", [1, 7])
def test_the_list_asks_a_constant_number_of_statements(
    city: SmallCity, ben_user: User, number: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for rank in range(number):
        Grade.objects.create(code=f"g{rank}", name_zh="级", name_en="G", rank=rank, min_days=100 - rank)
    browser = client_of(ben_user)
    browser.get(PAGE)
    with django_assert_num_queries(8):
        browser.get(PAGE)
