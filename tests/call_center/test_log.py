"""A call is logged once, keeps what was said, and becomes a report where supply is missing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.actor import Actor
from call_center import selectors, services
from call_center.models import Call, Callback
from outages.faults.models import TroubleReport
from outages.faults.services import fault_restore, fault_restore_part
from outages.models import Outage
from standards.errors import Conflict
from tests.factories import accounts
from tests.factories.grid import SmallCity

FaultAt = Callable[..., Outage]


def log(client: Client, call: Call, **answers: str) -> Call:
    client.post(reverse("call_center:log", args=[call.key]), {"reason": "no_supply", "scope": "unknown", **answers})
    call.refresh_from_db()
    return call


def test_a_report_on_a_known_outage_joins_it(client: Client, call: Call, fault_at: FaultAt) -> None:
    outage = fault_at("F1")

    log(client, call, callback_wanted="on", note="dog in the yard", scope="area")

    assert call.outage == outage
    assert call.report is not None
    assert (call.report.outage, call.report.note, call.report.wants_callback) == (outage, "dog in the yard", True)
    assert call.scope == "area"
    assert Outage.objects.count() == 1


def test_a_report_on_nothing_known_opens_a_suspected_outage_and_shows_which(client: Client, call: Call) -> None:
    log(client, call)

    assert call.outage is not None
    assert call.outage.status == "suspected"
    page = client.get(reverse("call_center:call", args=[call.key])).content.decode()
    assert call.outage.reference in page


def test_a_question_makes_no_report(client: Client, call: Call) -> None:
    log(client, call, reason="other")

    assert call.report is None
    assert call.outage is None
    assert TroubleReport.objects.count() == 0
    assert Outage.objects.count() == 0


def test_a_danger_is_reported_whatever_the_reason(client: Client, call: Call) -> None:
    log(client, call, reason="other", wire_down="yes", fire="no")

    assert call.dangers == ["wire_down"]
    assert call.safety == {"wire_down": True, "fire": False}
    assert call.report is not None
    assert call.report.is_hazard


def test_a_second_click_logs_nothing_more(client: Client, call: Call) -> None:
    log(client, call, callback_wanted="on")
    first = Call.objects.values().get()

    log(client, call, reason="other", note="again")

    assert Call.objects.values().get() == first
    assert TroubleReport.objects.count() == 1
    assert Callback.objects.count() == 1


def test_what_stood_on_the_screen_is_kept_word_for_word(client: Client, call: Call, fault_at: FaultAt) -> None:
    fault_at("F1", etr=timezone.now() + timedelta(hours=2), etr_source="operator")
    answer = client.get(reverse("call_center:call", args=[call.key])).context["answer"]

    log(client, call, told=answer.told)

    assert (call.said_zh, call.said_en) == (answer.verdict.sentence_zh, answer.verdict.sentence_en)
    assert call.told_etr == answer.verdict.quote
    assert call.said_at == answer.verdict.at


@pytest.mark.parametrize("forged", ["", "nonsense", "eyJ6aCI6IngifQ:1abc:def"])
def test_words_that_we_did_not_sign_are_not_kept(client: Client, call: Call, forged: str) -> None:
    log(client, call, told=forged)

    assert (call.said_zh, call.told_etr) == ("", None)
    assert not call.is_open


def test_an_unknown_reason_is_refused_and_nothing_is_lost(client: Client, call: Call) -> None:
    response = client.post(
        reverse("call_center:log", args=[call.key]), {"reason": "weather", "scope": "unknown", "note": "keep me"}
    )

    assert response.status_code == 422
    assert "keep me" in response.content.decode()
    call.refresh_from_db()
    assert call.is_open
    assert TroubleReport.objects.count() == 0


def test_save_and_ready_goes_back_to_the_search_box_with_a_receipt(client: Client, call: Call) -> None:
    response = client.post(
        reverse("call_center:log", args=[call.key]), {"reason": "no_supply", "scope": "unknown", "ready": "1"}
    )

    assert response["Location"] == "/console/?done"
    call.refresh_from_db()
    assert call.outage is not None
    page = client.get(response["Location"]).content.decode()
    assert 'id="console-search"' in page
    assert call.outage.reference in page


def test_still_off_is_one_button(client: Client, call: Call, fault_at: FaultAt, asha: Actor) -> None:
    outage = fault_at("F1")
    fault_restore(outage_id=outage.pk, actor=asha, restored_at=timezone.now())

    log(client, call, reason="still_out")

    assert call.report is not None
    assert call.report.still_out
    assert call.report.restored_outage == outage
    assert call.outage != outage


# --- drafts -----------------------------------------------------------------------------------------


def test_a_draft_comes_back_after_a_crash(client: Client, call: Call) -> None:
    draft = {"note": "half a sen", "reason": "voltage", "wire_down": "no", "told": "x"}
    answer = client.post(reverse("call_center:draft", args=[call.key]), draft)

    assert answer.status_code == 200
    form = client.get(reverse("call_center:call", args=[call.key])).context["form"]
    assert form.initial["note"] == "half a sen"
    assert form.initial["reason"] == "voltage"
    assert form.initial["wire_down"] == "no"
    assert form.initial["callback_wanted"] is False


def test_two_calls_keep_two_drafts(client: Client, call: Call, mei: Actor, city: SmallCity) -> None:
    other = services.call_start(actor=mei, service_point_id=city.service_points["SP0002"].pk)
    client.post(reverse("call_center:draft", args=[call.key]), {"note": "first"})
    client.post(reverse("call_center:draft", args=[other.key]), {"note": "second"})

    notes = [
        client.get(reverse("call_center:call", args=[c.key])).context["form"].initial["note"] for c in (call, other)
    ]
    assert notes == ["first", "second"]


def test_a_late_draft_does_not_touch_a_logged_call(client: Client, call: Call) -> None:
    log(client, call, reason="other", note="final")

    answer = client.post(reverse("call_center:draft", args=[call.key]), {"note": "late"})

    assert (answer.status_code, answer.json()["code"]) == (409, "call_already_logged")
    call.refresh_from_db()
    assert (call.note, call.draft) == ("final", {})


def test_a_draft_without_end_is_refused(client: Client, call: Call) -> None:
    answer = client.post(reverse("call_center:draft", args=[call.key]), {"note": "x" * 30_000})

    assert (answer.status_code, answer.json()["code"]) == (422, "draft_too_long")
    call.refresh_from_db()
    assert call.draft == {}


# --- callbacks --------------------------------------------------------------------------------------


def promised(client: Client, call: Call) -> Callback:
    log(client, call, callback_wanted="on")
    return Callback.objects.get()


def test_a_callback_is_due_once_the_power_is_back(
    client: Client, call: Call, fault_at: FaultAt, mei: Actor, asha: Actor
) -> None:
    outage = fault_at("F1")
    callback = promised(client, call)
    assert list(selectors.callbacks_due(actor=mei)) == []

    fault_restore(outage_id=outage.pk, actor=asha, restored_at=timezone.now())

    assert list(selectors.callbacks_due(actor=mei)) == [callback]
    assert "陈*" in client.get("/console/callbacks/").content.decode()


def test_a_callback_is_due_when_their_own_part_is_back(
    client: Client, call: Call, fault_at: FaultAt, mei: Actor, asha: Actor, city: SmallCity
) -> None:
    outage = fault_at("F1")
    callback = promised(client, call)

    fault_restore_part(outage_id=outage.pk, actor=asha, at=timezone.now(), element_ids=city.ids("T12"))
    assert list(selectors.callbacks_due(actor=mei)) == []
    fault_restore_part(outage_id=outage.pk, actor=asha, at=timezone.now(), element_ids=city.ids("T11"))

    assert list(selectors.callbacks_due(actor=mei)) == [callback]


def test_who_calls_twice_is_called_back_once(
    client: Client, call: Call, fault_at: FaultAt, mei: Actor, city: SmallCity
) -> None:
    fault_at("F1")
    promised(client, call)

    log(client, services.call_start(actor=mei, service_point_id=city.service_points["SP0001"].pk), callback_wanted="on")

    assert Callback.objects.count() == 1


def test_who_does_not_want_to_be_called_is_not(client: Client, call: Call, fault_at: FaultAt) -> None:
    fault_at("F1")

    log(client, call)

    assert Callback.objects.count() == 0


@pytest.mark.parametrize(
    ("result", "state"),
    [("restored", "done"), ("busy", "waiting"), ("no_answer", "waiting"), ("wrong_number", "given_up")],
)
def test_what_a_callback_brings(
    client: Client, call: Call, fault_at: FaultAt, asha: Actor, result: str, state: str
) -> None:
    outage = fault_at("F1")
    callback = promised(client, call)
    fault_restore(outage_id=outage.pk, actor=asha, restored_at=timezone.now())

    client.post(reverse("call_center:callback_record", args=[callback.pk]), {"result": result})

    callback.refresh_from_db()
    assert (callback.state, callback.result, callback.tries) == (state, result, 1)


def test_still_off_at_the_callback_opens_a_new_card(
    client: Client, call: Call, fault_at: FaultAt, asha: Actor, city: SmallCity
) -> None:
    outage = fault_at("F1")
    callback = promised(client, call)
    fault_restore(outage_id=outage.pk, actor=asha, restored_at=timezone.now())

    response = client.post(reverse("call_center:callback_record", args=[callback.pk]), {"result": "still_out"})

    fresh = Call.objects.exclude(pk=call.pk).get()
    assert response["Location"] == reverse("call_center:call", args=[fresh.key])
    assert fresh.service_point == city.service_points["SP0001"]


def test_a_callback_is_not_recorded_twice(client: Client, call: Call, fault_at: FaultAt, mei: Actor) -> None:
    fault_at("F1")
    callback = promised(client, call)
    services.callback_record(actor=mei, callback_id=callback.pk, result="restored")

    with pytest.raises(Conflict):
        services.callback_record(actor=mei, callback_id=callback.pk, result="wrong_number")

    callback.refresh_from_db()
    assert (callback.state, callback.result, callback.tries) == ("done", "restored", 1)


def test_a_foreign_callback_is_not_there(client: Client, call: Call, fault_at: FaultAt, city: SmallCity) -> None:
    fault_at("F1")
    callback = promised(client, call)
    west = accounts.user_with("agent", city.west)
    client.force_login(west, backend="django.contrib.auth.backends.ModelBackend")

    response = client.post(reverse("call_center:callback_record", args=[callback.pk]), {"result": "restored"})

    assert response.status_code == 404
    callback.refresh_from_db()
    assert (callback.state, callback.tries) == ("waiting", 0)
