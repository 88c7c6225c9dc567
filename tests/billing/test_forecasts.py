"""The forecasts page: every branch and day, what is barred by it, and a day entered by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from billing_cutoffs.models import TemperatureForecast
from grid.models import Branch
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.pages import client_of, text_of

PAGE = "/cutoffs/forecasts/"


def forecast(branch: Branch, ahead: int = 0, *, low: float = 5, high: float = 15, hours_old: float = 1) -> None:
    now = timezone.now()
    TemperatureForecast.objects.create(
        branch=branch, day=timezone.localdate() + timedelta(days=ahead), low=low, high=high,
        issued_at=now - timedelta(hours=hours_old),
    )  # fmt: skip


def cells(user: User) -> dict[str, list[tuple[float | None, bool, bool, str]]]:
    page = client_of(user).get(PAGE)
    assert page.status_code == 200
    return {
        line.branch.code: [
            (cell.forecast and cell.forecast.low, cell.is_own, cell.is_old, cell.bar) for cell in line.cells[:3]
        ]
        for line in page.context["lines"]
    }


def test_a_branch_has_its_own_forecast_or_the_one_above_it(city: SmallCity, vera_user: User) -> None:
    forecast(city.bureau, 0)
    forecast(city.bureau, 1, low=-7)
    forecast(city.east, 1, low=2, high=36)
    forecast(city.east, 0, low=3, hours_old=30)

    assert cells(vera_user) == {
        "010": [(5, True, False, ""), (-7, True, False, "cold"), (None, False, False, "")],
        "0101": [(5, False, False, ""), (2, True, False, "heat"), (None, False, False, "")],
        "0102": [(5, False, False, ""), (-7, False, False, "cold"), (None, False, False, "")],
    }


def test_an_old_forecast_is_shown_as_old_and_bars_nothing(city: SmallCity, ben_user: User) -> None:
    forecast(city.east, 0, low=-20, hours_old=30)

    assert cells(ben_user) == {"0101": [(-20, True, True, ""), *[(None, False, False, "")] * 2]}
    assert "1 d 6 h old" in text_of(client_of(ben_user).get(PAGE))


def test_a_clerk_enters_a_day_and_replaces_it(city: SmallCity, ben_user: User) -> None:
    browser, day = client_of(ben_user), timezone.localdate().isoformat()

    for low in ("-3", "-6.5"):
        answer = browser.post(PAGE, {"branch": city.east.pk, "day": day, "low": low, "high": "4"})
        assert (answer.status_code, answer["Location"]) == (302, PAGE)

    assert list(TemperatureForecast.objects.values_list("branch__code", "low", "high")) == [("0101", -6.5, 4.0)]
    assert "too cold" in text_of(browser.get(PAGE))


@pytest.mark.parametrize(
    "changed",
    [
        {"low": "9", "high": "3"},
        {"low": "cold"},
        {"day": "1066-10-14"},
        {"low": "-300"},
        {"branch": "west"},
        {"day": ""},
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(city: SmallCity, ben_user: User, changed: dict[str, Any]) -> None:
    typed = {"branch": city.east.pk, "day": timezone.localdate().isoformat(), "low": "1", "high": "4", **changed}
    if typed["branch"] == "west":
        typed["branch"] = city.west.pk

    answer = client_of(ben_user).post(PAGE, typed)

    assert answer.status_code == 422
    assert answer.context["form"].errors
    assert not TemperatureForecast.objects.exists()


def test_an_auditor_reads_and_others_see_nothing(city: SmallCity) -> None:
    auditor = client_of(accounts.user_with("auditor", city.east))

    assert auditor.get(PAGE).status_code == 200
    assert auditor.post(PAGE, {}).status_code == 403
    assert client_of(accounts.mei(city.east)).get(PAGE).status_code == 403


def test_more_days_take_as_many_statements(city: SmallCity, vera_user: User) -> None:
    browser = client_of(vera_user)
    counted = []
    for ahead in ((0,), (1, 2, 3)):
        for n in ahead:
            forecast(city.bureau, n)
            forecast(city.east, n)
        with CaptureQueriesContext(connection) as asked:
            browser.get(PAGE)
        counted.append(len(asked))

    assert counted[0] == counted[1]
