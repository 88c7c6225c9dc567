"""The steps of a published window, over HTTP: who sees them, what they do, what they refuse without losing a word."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.actor import Actor
from accounts.models import User
from outages.models import Outage
from outages.planned import services
from outages.planned.models import WorkWindow
from tests.factories import accounts
from tests.factories.grid import SmallCity
from tests.planned.pages import text_of
from tests.planned.world import everything_planned, published_alone, window

FAR = [window(20, hours=6)]


@pytest.fixture
def browser(pia_user: User) -> Client:
    """Pia's: the planner runs what her branch has published."""
    client = Client()
    client.force_login(pia_user)
    return client


@pytest.fixture
def ahead(city: SmallCity, pia: Actor, lena: Actor, otto: Actor) -> WorkWindow:
    """A published window in three weeks."""
    return published_alone(city, pia, lena, otto, "L11", windows=FAR)


@pytest.fixture
def due(ahead: WorkWindow, now: datetime) -> WorkWindow:
    """The same window, but its time has come."""
    outage = ahead.outage
    assert outage is not None
    begins = (now - timedelta(hours=1)).replace(second=0, microsecond=0)
    times = {"planned_start": begins, "planned_end": begins + timedelta(hours=6)}
    Outage.objects.filter(pk=outage.pk).update(**times)
    WorkWindow.objects.filter(pk=ahead.pk).update(starts_at=times["planned_start"], ends_at=times["planned_end"])
    ahead.refresh_from_db()
    return ahead


@pytest.fixture
def running(due: WorkWindow, pia: Actor, now: datetime) -> WorkWindow:
    services.window_start(window_id=due.pk, actor=pia, started_at=now - timedelta(minutes=50))
    due.refresh_from_db()
    return due


def outage_of(window: WorkWindow) -> Outage:
    return Outage.objects.get(work_window=window)


def minute(moment: datetime) -> str:
    return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M")


def step_url(window: WorkWindow, name: str) -> str:
    return f"/planned/windows/{outage_of(window).reference}/{name}/"


def filled(window: WorkWindow, **typed: Any) -> dict[str, Any]:
    outage = outage_of(window)
    newest = outage.events.order_by("-sequence").values_list("sequence", flat=True).first()
    return {"version": outage.version, "seen": newest, **typed}


def everything(window: WorkWindow) -> Any:
    outage = outage_of(window)
    return (
        everything_planned(),
        Outage.objects.filter(pk=outage.pk).values().get(),
        list(outage.interruptions.order_by("pk").values()),
        outage.events.count(),
    )


# --- the panel of the outage page ---------------------------------------------------------------------


def test_the_outage_page_shows_the_work_and_its_next_steps(browser: Client, ahead: WorkWindow) -> None:
    page = text_of(browser.get(f"/outages/{outage_of(ahead).reference}/"))

    assert f'href="/planned/works/{ahead.work.reference}/"' in page
    assert step_url(ahead, "start") in page
    assert step_url(ahead, "move") in page
    assert step_url(ahead, "restore") not in page
    assert "not off yet" in page


def test_somebody_who_may_not_run_it_sees_no_steps(city: SmallCity, ahead: WorkWindow) -> None:
    client = Client()
    client.force_login(accounts.mei(city.bureau))

    page = text_of(client.get(f"/outages/{outage_of(ahead).reference}/"))

    assert ahead.work.title in page
    assert "/planned/windows/" not in page


def test_planned_and_actual_times_stand_side_by_side(browser: Client, running: WorkWindow, pia: Actor) -> None:
    outage = outage_of(running)
    services.window_restore(window_id=running.pk, actor=pia, restored_at=timezone.now())

    page = text_of(browser.get(f"/outages/{outage.reference}/"))

    assert "<dt>Planned</dt>" in page
    assert "<dt>Off since</dt>" in page
    assert "10 min late" in page
    assert "early)" in page


def test_the_question_stands_on_the_page_until_it_is_answered(browser: Client, running: WorkWindow) -> None:
    outage = outage_of(running)
    url = f"/outages/{outage.reference}/"
    assert "Will it be late?" not in text_of(browser.get(url))
    soon = timezone.now() + timedelta(minutes=20)
    Outage.objects.filter(pk=outage.pk).update(planned_end=soon)
    WorkWindow.objects.filter(pk=running.pk).update(ends_at=soon)
    assert "Will it be late?" in text_of(browser.get(url))

    answered = browser.post(step_url(running, "on-time"), {"version": outage_of(running).version})

    assert answered.status_code == 302
    running.refresh_from_db()
    assert running.on_time_for == soon
    assert "Will it be late?" not in text_of(browser.get(url))


# --- every step ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["start", "extend", "on-time", "restore-part", "restore", "close", "move", "cancel"])
def test_every_step_has_its_page(browser: Client, city: SmallCity, running: WorkWindow, name: str) -> None:
    mei, west = Client(), Client()
    mei.force_login(accounts.mei(city.bureau))
    west.force_login(accounts.user_with("planner", city.west, username="west"))

    assert browser.get(step_url(running, name)).status_code == 200
    assert mei.get(step_url(running, name)).status_code == 403
    assert west.get(step_url(running, name)).status_code == 404


def test_an_unknown_step_is_missing(browser: Client, ahead: WorkWindow) -> None:
    assert browser.get(step_url(ahead, "explode")).status_code == 404


def test_it_is_off_at_the_time_that_somebody_says(browser: Client, due: WorkWindow, now: datetime) -> None:
    at = (now - timedelta(minutes=40)).replace(second=0, microsecond=0)

    assert browser.post(step_url(due, "start"), filled(due, started_at=minute(at))).status_code == 302

    outage = outage_of(due)
    due.refresh_from_db()
    assert (outage.status, outage.started_at, outage.customers_out, due.state) == ("active", at, 3, "in_progress")


def test_it_cannot_have_been_off_tomorrow(browser: Client, due: WorkWindow, now: datetime) -> None:
    before = everything(due)

    response = browser.post(
        step_url(due, "start"), filled(due, started_at=minute(now + timedelta(days=1)), note="typed")
    )

    assert response.status_code == 422
    assert 'value="typed"' in text_of(response)
    assert everything(due) == before


def test_what_runs_cannot_start_again(browser: Client, running: WorkWindow, now: datetime) -> None:
    before = everything(running)

    response = browser.post(step_url(running, "start"), filled(running, started_at=minute(now)))

    assert response.status_code == 409
    assert everything(running) == before


def test_it_takes_longer(browser: Client, running: WorkWindow) -> None:
    outage = outage_of(running)
    assert outage.planned_end is not None
    end = outage.planned_end + timedelta(hours=1)
    assert "3 customers who are off are told the new time." in text_of(browser.get(step_url(running, "extend")))

    typed = filled(running, planned_end=minute(end), reason="电缆头受潮")
    assert browser.post(step_url(running, "extend"), typed).status_code == 302

    running.refresh_from_db()
    assert (running.ends_at, running.extensions, outage_of(running).planned_end) == (end, 1, end)


def test_an_extension_without_a_reason_is_refused(browser: Client, running: WorkWindow) -> None:
    before = everything(running)
    typed = filled(running, planned_end=minute(timezone.now() + timedelta(hours=9)), reason="")

    response = browser.post(step_url(running, "extend"), typed)

    assert response.status_code == 422
    assert typed["planned_end"] in text_of(response)
    assert everything(running) == before


def test_parts_come_back_from_the_tree_and_by_customer(
    browser: Client, running: WorkWindow, city: SmallCity, now: datetime
) -> None:
    url = step_url(running, "restore-part")
    page = text_of(browser.get(url))
    assert f'value="{city.id("T12")}"' in page
    assert f'value="{city.id("T21")}"' not in page

    assert browser.post(url, filled(running, at=minute(now), elements=[city.id("T12")])).status_code == 302
    assert browser.post(url, filled(running, at=minute(now), customer="1000000001")).status_code == 302

    outage = outage_of(running)
    running.refresh_from_db()
    assert (outage.status, outage.customers_out, running.state) == ("partially_restored", 1, "partially_restored")


@pytest.mark.parametrize("typed", [{"customer": "M0006"}, {}])
def test_nothing_comes_back_that_is_not_off(
    browser: Client, running: WorkWindow, now: datetime, typed: dict[str, str]
) -> None:
    before = everything(running)

    response = browser.post(step_url(running, "restore-part"), filled(running, at=minute(now), **typed))

    assert response.status_code == 422
    assert everything(running) == before


def test_it_is_back_everywhere_and_closed_after_a_look_at_planned_against_actual(
    browser: Client, running: WorkWindow, now: datetime
) -> None:
    back = now.replace(second=0, microsecond=0)
    assert browser.post(step_url(running, "restore"), filled(running, restored_at=minute(back))).status_code == 302
    typed = filled(running, remedy="更换绝缘子 3 支")

    check = browser.post(step_url(running, "close"), typed)

    running.refresh_from_db()
    assert (check.status_code, running.state) == (200, "restored")
    assert "10 min late" in text_of(check)
    assert "early" in text_of(check)
    assert "更换绝缘子 3 支" in text_of(check)
    assert browser.post(step_url(running, "close"), {**typed, "change": "1"}).status_code == 200
    assert browser.post(step_url(running, "close"), {**typed, "checked": "1"}).status_code == 302
    running.refresh_from_db()
    assert (running.state, outage_of(running).cause_text) == ("closed", "更换绝缘子 3 支")


def test_closing_says_what_was_done(browser: Client, running: WorkWindow, pia: Actor, now: datetime) -> None:
    services.window_restore(window_id=running.pk, actor=pia, restored_at=now)
    before = everything(running)

    response = browser.post(step_url(running, "close"), filled(running, remedy=" ", checked="1"))

    assert response.status_code == 422
    assert everything(running) == before


# --- move and cancel ----------------------------------------------------------------------------------


def test_a_move_tells_and_starts_the_notice_again(browser: Client, ahead: WorkWindow) -> None:
    begins, ends = window(25)
    assert "3 customers are concerned" in text_of(browser.get(step_url(ahead, "move")))

    typed = filled(ahead, planned_start=minute(begins), planned_end=minute(ends), reason="大风", tell="on")
    assert browser.post(step_url(ahead, "move"), typed).status_code == 302

    ahead.refresh_from_db()
    assert (ahead.starts_at, ahead.ends_at, ahead.moves, ahead.state) == (begins, ends, 1, "published")


@pytest.mark.parametrize("name", ["move", "cancel"])
def test_nothing_that_was_announced_changes_silently(browser: Client, ahead: WorkWindow, name: str) -> None:
    before = everything(ahead)
    begins, ends = window(25)
    typed = filled(ahead, planned_start=minute(begins), planned_end=minute(ends), reason="大风")

    response = browser.post(step_url(ahead, name), typed)

    page = text_of(response)
    assert response.status_code == 422
    assert "say that they are to be told" in page
    assert 'value="大风"' in page
    assert everything(ahead) == before


def test_a_move_backwards_is_refused(browser: Client, ahead: WorkWindow) -> None:
    before = everything(ahead)
    begins, ends = window(25)
    typed = filled(ahead, planned_start=minute(ends), planned_end=minute(begins), reason="大风", tell="on")

    assert browser.post(step_url(ahead, "move"), typed).status_code == 422

    assert everything(ahead) == before


def test_a_cancelled_window_is_gone(browser: Client, ahead: WorkWindow) -> None:
    typed = filled(ahead, reason="物资未到", tell="on")

    assert browser.post(step_url(ahead, "cancel"), typed).status_code == 302

    ahead.refresh_from_db()
    assert (ahead.state, outage_of(ahead).status) == ("cancelled", "cancelled")
    assert not ahead.claims.exists()


def test_the_second_of_two_sees_what_changed_and_keeps_what_was_typed(
    browser: Client, ahead: WorkWindow, pia: Actor
) -> None:
    typed = filled(ahead, reason="mine", tell="on")
    begins, ends = window(25)
    services.window_move(
        window_id=ahead.pk, actor=pia, planned_start=begins, planned_end=ends, reason="theirs", tell=True
    )
    before = everything(ahead)

    response = browser.post(step_url(ahead, "cancel"), typed)

    page = text_of(response)
    assert response.status_code == 409
    assert "Somebody else changed this" in page
    assert "theirs" in page
    assert 'value="mine"' in page
    assert f'name="version" value="{outage_of(ahead).version}"' in page
    assert everything(ahead) == before
