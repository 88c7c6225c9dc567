"""The calendar over HTTP: what stands on which day, who sees what, what is coloured, what goes into the export."""

from __future__ import annotations

import csv
import io
import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from accounts.pages import moment
from grid.models import CalendarDay
from outages.models import Outage
from outages.planned import agenda, services
from outages.planned.agenda import entries_of, windows_visible_to
from outages.planned.models import PlannedWork, WorkWindow
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.pages import text_of
from tests.planned.world import ahead, plan_of, published_alone, window, work_in

BACKEND = "django.contrib.auth.backends.ModelBackend"
VIEWS = ("", "week/", "list/", "feeders/", "list.csv")


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend=BACKEND)
    return client


@pytest.fixture
def browser(pia_user: User) -> Client:
    """Pia's, the planner of the east."""
    return signed_in(pia_user)


def month_of(days: float) -> str:
    return f"{ahead(days):%Y-%m}"


def cell(page: str, day: datetime) -> str:
    """The month's cell of a day; of two (a day of the month before) the one that is inside."""
    found = re.findall(r"<td class=\"day([^\"]*)\">(.*?)</td>", page, re.S)
    return str(next(body for _classes, body in found if f'aria-label="{day:%Y-%m-%d}"' in body))


def references(page: str) -> list[str]:
    return re.findall(r'data-reference="([^"]+)"', page)


# --- days -------------------------------------------------------------------------------------------


def test_a_window_stands_on_its_day_with_what_it_takes_off(browser: Client, city: SmallCity, pia: Actor) -> None:
    work_in(city, pia, "L11", scope="科学园", crews=2, windows=[window(20, 8, 9)])

    page = text_of(browser.get("/planned/", {"month": month_of(20)}))

    here = cell(page, ahead(20))
    assert "08–17" in here
    assert "科学园" in here
    assert "3 customers · draft" in here
    assert "3 off · 4 kW · 2 crews" in here


def test_a_window_over_midnight_stands_on_every_day_it_touches(browser: Client, city: SmallCity, pia: Actor) -> None:
    start = ahead(20, 22)
    work_in(city, pia, "T11", windows=[(start, start + timedelta(hours=34))])

    pages = {
        day: cell(text_of(browser.get("/planned/", {"month": f"{start + timedelta(days=day):%Y-%m}"})), ahead(20 + day))
        for day in range(4)
    }

    assert ["22→" in pages[0], "all day" in pages[1], "→08" in pages[2], "slot" in pages[3]] == [True] * 3 + [False]


def test_back_at_midnight_is_back_the_day_before(city: SmallCity, pia: Actor) -> None:
    work_in(city, pia, "T11", windows=[(ahead(20, 20), ahead(21, 0))])

    (entry,) = entries_of(windows_visible_to(pia), actor=pia)

    assert entry.days == (ahead(20).date(),)
    assert entry.hours_on(ahead(20).date()) == "20–24"


def test_half_hours_are_written_out(city: SmallCity, pia: Actor) -> None:
    start = ahead(20, 8) + timedelta(minutes=30)
    work_in(city, pia, "T11", windows=[(start, start + timedelta(hours=2))])

    (entry,) = entries_of(windows_visible_to(pia), actor=pia)

    assert entry.hours_on(start.date()) == "08:30–10:30"


def test_a_window_has_the_day_of_its_own_branch(city: SmallCity, pia: Actor) -> None:
    city.east.time_zone = "America/New_York"
    city.east.save(update_fields=["time_zone"])
    start = ahead(20, 8)  # in Shanghai; still the evening before in New York
    work_in(city, pia, "T11", windows=[(start, start + timedelta(hours=2))])

    (entry,) = entries_of(windows_visible_to(pia), actor=pia)

    assert entry.days == (start.astimezone(ZoneInfo("America/New_York")).date(),)
    assert entry.days != (start.date(),)


def test_more_than_fits_is_a_link_to_the_day_in_the_list(browser: Client, city: SmallCity, pia: Actor) -> None:
    for hour in range(8, 15):
        work_in(city, pia, "T11", windows=[window(20, hour, 1)])

    here = cell(text_of(browser.get("/planned/", {"month": month_of(20)})), ahead(20))
    day = f"{ahead(20):%Y-%m-%d}"

    assert here.count('class="slot ') == 4
    assert f'href="/planned/list/?since={day}&amp;until={day}&amp;"' in here
    assert ">+3<" in here
    assert len(references(text_of(browser.get("/planned/list/", {"since": day, "until": day})))) == 7


def test_customers_of_two_works_of_a_day_count_once(browser: Client, city: SmallCity, pia: Actor) -> None:
    work_in(city, pia, "T11", windows=[window(20, 8, 2)])
    work_in(city, pia, "L11", windows=[window(20, 13, 2)])

    assert "3 off · 4 kW · 2 crews" in cell(text_of(browser.get("/planned/", {"month": month_of(20)})), ahead(20))


def test_unwelcome_days_are_named_where_they_hold(browser: Client, city: SmallCity) -> None:
    day = ahead(20).date()
    CalendarDay.objects.create(day=day, kind="exam", name="高考", name_en="Entrance exams", branch=city.bureau)
    CalendarDay.objects.create(day=day, kind="blackout", name="西区封网", branch=city.west)

    here = cell(text_of(browser.get("/planned/", {"month": month_of(20)})), ahead(20))

    assert "Entrance exams" in here
    assert "高考" not in here
    assert "西区封网" not in here


def test_a_worked_sunday_is_named_and_is_no_weekend(browser: Client, city: SmallCity) -> None:
    sunday = date(2027, 1, 10)
    worked = CalendarDay.objects.create(day=sunday, kind="working", name="调休上班", name_en="Worked Sunday")

    assert "Worked Sunday" in text_of(browser.get("/planned/", {"month": "2027-01"}))
    assert (agenda.Day(sunday).is_weekend, agenda.Day(sunday).kind) == (True, "")
    assert (agenda.Day(sunday, names=[worked]).is_weekend, agenda.Day(sunday, names=[worked]).kind) == (False, "")


def test_the_month_turns_over_the_year_and_nonsense_is_this_month(browser: Client) -> None:
    december = text_of(browser.get("/planned/", {"month": "2026-12"}))

    assert 'href="?month=2026-11&amp;"' in december
    assert 'href="?month=2027-01&amp;"' in december
    for nonsense in ("2026-13", "0000-01", "9999-12", "x", "2026-12-01", "２０２６-12", "-"):
        page = text_of(browser.get("/planned/", {"month": nonsense}))
        assert f'value="{timezone.localdate():%Y-%m}"' in page
    assert browser.get("/planned/week/", {"week": "9999-12-31"}).status_code == 200


# --- what is wrong ----------------------------------------------------------------------------------


def test_only_a_clash_and_short_notice_have_colour(browser: Client, city: SmallCity, pia: Actor) -> None:
    one = work_in(city, pia, "T11", windows=[window(20, 8, 4)])
    other = work_in(city, pia, "L11", windows=[window(20, 10, 4)])
    calm = work_in(city, pia, "T12", windows=[window(21, 8, 4)])
    soon = work_in(city, pia, "T12", windows=[window(2, 8, 4)])

    entries = {entry.work.pk: entry for entry in entries_of(windows_visible_to(pia), actor=pia)}

    assert {pk: entry.tone for pk, entry in entries.items()} == {
        one.pk: "red", other.pk: "red", calm.pk: "quiet", soon.pk: "amber"
    }  # fmt: skip
    page = text_of(browser.get("/planned/", {"month": month_of(20)}))
    assert page.count("slot--red") == 2
    assert cell(page, ahead(20)).count("clash · ") == 2


def test_what_was_answered_for_is_grey_again(city: SmallCity, pia: Actor) -> None:
    one = work_in(city, pia, "T11", windows=[window(20, 8, 4)])
    other = work_in(city, pia, "L11", windows=[window(20, 10, 4)])
    services.answer_give(actor=pia, work_id=one.pk, code="overlap", reason="同一班组一并施工")

    entries = {entry.work.pk: entry.tone for entry in entries_of(windows_visible_to(pia), actor=pia)}

    assert entries == {one.pk: "quiet", other.pk: "red"}


def test_works_that_touch_only_in_time_or_only_in_place_do_not_clash(city: SmallCity, pia: Actor) -> None:
    work_in(city, pia, "T11", windows=[window(20, 8, 4)])
    work_in(city, pia, "T12", windows=[window(20, 8, 4)])
    work_in(city, pia, "L11", windows=[window(20, 12, 2)])

    assert {entry.tone for entry in entries_of(windows_visible_to(pia), actor=pia)} == {"quiet"}


# --- who sees what ----------------------------------------------------------------------------------


def test_who_does_not_plan_sees_what_is_published(
    city: SmallCity, pia: Actor, lena: Actor, otto: Actor, mei: Actor
) -> None:
    published = published_alone(city, pia, lena, otto, "T11", windows=[window(20, 8, 4)])
    draft = work_in(city, pia, "T11", windows=[window(20, 9, 4)])
    agent = signed_in(User.objects.get(username="mei"))

    pages = {view: text_of(agent.get(f"/planned/{view}", {"month": month_of(20)})) for view in VIEWS}

    assert all(draft.reference not in page for page in pages.values())
    assert references(pages["list/"]) == [published.work.reference]
    assert published.work.reference in pages[""]
    # what clashes with a draft would tell of the draft
    assert "slot--red" not in pages[""]
    assert "/planned/plans/" not in pages[""]
    assert "New work" not in pages[""]


def test_another_branchs_works_are_not_there(browser: Client, city: SmallCity) -> None:
    wes = accounts.actor_of(accounts.user_with("planner", city.west, username="wes"))
    theirs = work_in(city, wes, "L21", branch=city.west, windows=[window(20)])

    for view in VIEWS:
        assert theirs.reference not in text_of(browser.get(f"/planned/{view}", {"month": month_of(20)}))


def test_who_may_read_nothing_sees_nothing(city: SmallCity, dora: Actor) -> None:
    outsider = signed_in(User.objects.get(username="dora"))

    assert {outsider.get(f"/planned/{view}").status_code for view in VIEWS} == {403}


def test_the_room_is_open_to_whoever_may_read(city: SmallCity, mei: Actor) -> None:
    page = text_of(signed_in(User.objects.get(username="mei")).get("/planned/"))

    assert '<a href="/planned/" aria-current="page" data-go="p">Plans</a>' in page


# --- filters ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "ABC"),
        ("branch=0101", "ABC"),
        ("branch=010", "ABC"),
        ("branch=0102", ""),
        ("branch=nowhere", ""),
        ("work_class=temporary", "B"),
        ("state=draft", "ABC"),
        ("state=published", ""),
        ("state=cancelled", "D"),
        ("feeder=F1", "ABC"),
        ("feeder=F2", ""),
        ("area=科学园", "A"),
        ("area=T12号", "C"),
        ("q=熔断器", "B"),
        ("q=2026-A", "A"),
        ("plan=x", ""),
        ("plan=99999999999999999999", ""),
        ("since=not-a-day", "ABC"),
        ("since=9999-12-31", ""),
        ("until=0001-01-01", ""),
        ("since=0001-01-01&until=9999-12-31", "ABC"),
    ],
)
def test_every_filter_is_in_the_url(browser: Client, city: SmallCity, pia: Actor, query: str, expected: str) -> None:
    works = {
        "A": work_in(city, pia, "T11", scope="科学园", key="2026-A", windows=[window(20)]),
        "B": work_in(
            city, pia, "L11", title="更换熔断器", work_class="temporary", temporary_reason="缺陷", windows=[window(21)]
        ),
        "C": work_in(city, pia, "T12", windows=[window(22)]),
        "D": work_in(city, pia, "T12", windows=[window(23)]),
    }
    PlannedWork.objects.filter(pk=works["D"].pk).update(state="cancelled")

    shown = references(text_of(browser.get(f"/planned/list/?{query}")))

    assert shown == [works[name].reference for name in expected]


def test_a_plan_alone(browser: Client, city: SmallCity, pia: Actor) -> None:
    period = plan_of(city, pia, 20)
    inside = work_in(city, pia, "T11", period=period, windows=[window(20)])
    work_in(city, pia, "T12", work_class="temporary", temporary_reason="缺陷", windows=[window(20)])

    page = text_of(browser.get("/planned/list/", {"plan": period.pk}))

    assert references(page) == [inside.reference]
    assert f"Only the works of the plan {period.title}" in page


def test_the_list_begins_with_what_has_not_ended(browser: Client, city: SmallCity, pia: Actor) -> None:
    over, still = work_in(city, pia, "T11"), work_in(city, pia, "T12", windows=[window(1)])
    WorkWindow.objects.filter(work=over).update(starts_at=ahead(-3, 8), ends_at=ahead(-3, 9))

    assert references(text_of(browser.get("/planned/list/"))) == [still.reference]
    day = f"{ahead(-3):%Y-%m-%d}"
    assert references(text_of(browser.get("/planned/list/", {"since": day, "until": day}))) == [over.reference]


def test_the_list_has_planned_and_actual_times_side_by_side(
    browser: Client, city: SmallCity, pia: Actor, lena: Actor, otto: Actor
) -> None:
    ahead_of_it = published_alone(city, pia, lena, otto, "T12", windows=[window(20)])
    line = published_alone(city, pia, lena, otto, "T11", windows=[window(20)])
    begun = (timezone.now() - timedelta(hours=2)).replace(second=0, microsecond=0)
    Outage.objects.filter(work_window=line).update(planned_start=begun, planned_end=begun + timedelta(hours=1))
    services.window_start(window_id=line.pk, actor=pia, started_at=begun + timedelta(minutes=5))

    off = actual_times(browser)
    services.window_restore(window_id=line.pk, actor=pia, restored_at=begun + timedelta(minutes=75))
    back = actual_times(browser)

    began, ended = (moment(begun + timedelta(minutes=n)) for n in (5, 75))
    assert off == {ahead_of_it.work.reference: "–", line.work.reference: f"{began} still off"}
    assert back[line.work.reference].startswith(f"{began} until ")
    assert back[line.work.reference].endswith(ended[-5:])


def actual_times(browser: Client) -> dict[str, str]:
    """The third column of the list, by the number in the first."""
    page = text_of(browser.get("/planned/list/?since=2000-01-01"))
    rows = re.findall(r'data-reference="([^"]+)".*?</th>\s*<td.*?</td>\s*<td[^>]*>(.*?)</td>', page, re.S)
    return {reference: " ".join(re.sub(r"<[^>]+>", " ", cell).split()) for reference, cell in rows}


def test_an_empty_month_and_an_empty_list_say_so(browser: Client) -> None:
    assert "No planned outages in this month." in text_of(browser.get("/planned/"))
    assert "No planned outage matches in this month." in text_of(browser.get("/planned/?branch=0101"))
    assert "No planned outages in this week." in text_of(browser.get("/planned/week/"))
    assert "No planned outages ahead." in text_of(browser.get("/planned/list/"))


# --- week and feeders -------------------------------------------------------------------------------


def test_the_week_has_a_row_for_each_part_of_the_day(browser: Client, city: SmallCity, pia: Actor) -> None:
    work_in(city, pia, "T11", windows=[window(20, 8, 2), window(20, 20, 8)])

    page = text_of(browser.get("/planned/week/", {"week": f"{ahead(20):%Y-%m-%d}"}))

    rows = re.findall(r'<th scope="row">([^<]+)</th>', page)
    assert [row for row in rows if row != "The day"][-2:] == ["6:00 to 12:00", "after 18:00"]
    assert "08–10" in page
    assert "20→" in page


def test_a_feeder_is_a_row_and_a_day_a_column(browser: Client, city: SmallCity, pia: Actor) -> None:
    work_in(city, pia, "L11", windows=[window(20, 8, 4)])

    page = text_of(browser.get("/planned/feeders/", {"month": month_of(20)}))

    assert 'href="/planned/list/?feeder=F1&amp;' in page
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page.split("F1号设备")[1].split("</tr>")[0], re.S)
    assert [n for n, body in enumerate(cells, 1) if "08–12" in body] == [ahead(20).day]


# --- export -----------------------------------------------------------------------------------------


def test_the_export_is_what_the_list_shows_and_no_cell_is_a_formula(
    browser: Client, city: SmallCity, pia: Actor
) -> None:
    work_in(city, pia, "T11", scope="=1+1", title="@SUM(A1)", key="-3", windows=[window(20, 8, 4)])
    work_in(city, pia, "T12", scope="东区", windows=[window(21)])

    response = browser.get("/planned/list.csv", {"feeder": "F1"})
    rows = list(csv.DictReader(io.StringIO(text_of(response).lstrip("\ufeff"))))

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert [row["place"] for row in rows] == ["'=1+1", "东区"]
    assert (rows[0]["works"], rows[0]["the branch's own number"]) == ("'@SUM(A1)", "'-3")
    assert (rows[0]["off from"], rows[0]["back by"]) == (f"{ahead(20):%Y-%m-%d} 08:00", f"{ahead(20):%Y-%m-%d} 12:00")
    assert (rows[0]["customers"], rows[0]["load (kW)"], rows[0]["state"]) == ("2", "3.5", "draft")


# --- statements -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("view", "expected"), [("", 11), ("week/", 11), ("feeders/", 11), ("list/", 9)])
def test_statements_do_not_grow_with_windows(
    browser: Client, city: SmallCity, pia: Actor, view: str, expected: int
) -> None:
    def statements() -> int:
        asked = {"month": month_of(20), "week": f"{ahead(20):%Y-%m-%d}"}
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(f"/planned/{view}", asked).status_code == 200
        return len(queries)

    work_in(city, pia, "T11", windows=[window(20, 8, 1)])
    few = statements()
    for hour in range(9, 20):
        work_in(city, pia, "T12" if hour % 2 else "L11", windows=[window(20, hour, 2)])

    assert (few, statements()) == (expected, expected)
