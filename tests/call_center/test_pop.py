"""The softphone opens the caller's card by an address, once per call."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AccessEvent
from call_center.models import Call
from tests.factories import accounts
from tests.factories.grid import SmallCity


@pytest.mark.parametrize("name", ["ani", "cli", "from", "caller", "phone"])
@pytest.mark.parametrize("number", ["13800138002", "%2B8613800138002", "+8613800138002", "0086 138 0013 8002"])
def test_a_known_number_lands_on_the_card(client: Client, city: SmallCity, name: str, number: str) -> None:
    response = client.get(f"/console/pop/?{name}={number}&callid=c1")

    call = Call.objects.get()
    assert response["Location"] == reverse("call_center:call", args=[call.key])
    assert "13800138002" not in response["Location"]
    assert (call.ani, call.service_point) == ("+8613800138002", city.service_points["SP0002"])


def test_the_same_call_is_one_card(client: Client) -> None:
    first = client.get("/console/pop/?ani=13800138002&callid=c1")["Location"]

    assert client.get("/console/pop/?ani=13800138002&callid=c1")["Location"] == first
    assert client.get("/console/pop/?callid=c1")["Location"] == first
    assert Call.objects.count() == 1


def test_several_premises_give_the_chooser(client: Client, city: SmallCity) -> None:
    pop = client.get("/console/pop/?ani=13800138001&callid=c1")
    page = client.get(pop["Location"]).content.decode()

    assert 'data-key="2"' in page
    call = Call.objects.get()
    assert call.service_point is None

    client.post(reverse("call_center:choose", args=[call.key]), {"service_point": city.service_points["SP0004"].pk})

    call.refresh_from_db()
    assert call.service_point == city.service_points["SP0004"]


def test_an_unknown_number_stays_in_the_box(client: Client) -> None:
    page = client.get(client.get("/console/pop/?ani=13900139000&callid=c1")["Location"]).content.decode()

    assert 'value="+8613900139000"' in page
    assert "No customer has this number." in page


@pytest.mark.parametrize("query", ["", "?ani=", "?dnis=95598"])
def test_no_number_gives_the_search_box(client: Client, query: str) -> None:
    response = client.get(f"/console/pop/{query}")

    assert response["Location"] == "/console/"
    assert Call.objects.count() == 0


def test_a_withheld_number_is_a_call_all_the_same(client: Client) -> None:
    response = client.get(client.get("/console/pop/?ani=anonymous&callid=c9")["Location"])

    assert response.status_code == 200
    assert 'id="console-search"' in response.content.decode()


def test_the_pop_survives_the_login(client: Client) -> None:
    stranger = Client()

    response = stranger.get("/console/pop/?ani=13800138002&callid=c1")

    assert response["Location"] == "/accounts/login/?next=/console/pop/%3Fani%3D13800138002%26callid%3Dc1"
    assert Call.objects.count() == 0


def test_a_call_that_is_put_through_takes_its_draft_along(client: Client, city: SmallCity) -> None:
    client.get("/console/pop/?ani=13800138002&callid=c1")
    call = Call.objects.get()
    client.post(reverse("call_center:draft", args=[call.key]), {"note": "angry"})
    lan = accounts.user_with("agent", city.bureau, username="lan")
    client.force_login(lan, backend="django.contrib.auth.backends.ModelBackend")

    response = client.get(client.get("/console/pop/?callid=c1")["Location"])

    assert response.context["form"].initial["note"] == "angry"
    call.refresh_from_db()
    assert call.agent == lan


def test_who_may_not_take_calls_cannot_pop(client: Client) -> None:
    client.force_login(accounts.dora(), backend="django.contrib.auth.backends.ModelBackend")

    assert client.get("/console/pop/?ani=13800138002&callid=c1").status_code == 403
    assert Call.objects.count() == 0


def test_opening_somebodys_record_is_kept(client: Client) -> None:
    client.get("/console/pop/?ani=13800138002&callid=c1")

    event = AccessEvent.objects.get(verb="search")
    assert (event.object_type, event.object_ref) == ("service_point", "SP0002")


def test_a_double_click_opens_one_card(client: Client, city: SmallCity) -> None:
    choice = {"service_point": city.service_points["SP0002"].pk, "start_token": "abc"}

    first = client.post(reverse("call_center:start"), choice)["Location"]

    assert client.post(reverse("call_center:start"), choice)["Location"] == first
    assert Call.objects.count() == 1


def test_premises_of_another_branch_are_not_there(client: Client, city: SmallCity) -> None:
    west = accounts.user_with("agent", city.west)
    client.force_login(west, backend="django.contrib.auth.backends.ModelBackend")

    response = client.post(reverse("call_center:start"), {"service_point": city.service_points["SP0001"].pk})

    assert response.status_code == 404
    assert Call.objects.count() == 0


def test_premises_can_be_pinned_and_let_go(client: Client, city: SmallCity) -> None:
    choice = {"service_point": city.service_points["SP0003"].pk}

    client.post(reverse("call_center:pin"), choice)
    assert "Pinned" in client.get("/console/").content.decode()
    client.post(reverse("call_center:pin"), choice)

    assert "Pinned" not in client.get("/console/").content.decode()


def test_the_last_premises_are_at_hand(client: Client, call: Call) -> None:
    page = client.get("/console/").content.decode()

    assert "Last premises" in page
    assert "东风路12号…" in page
