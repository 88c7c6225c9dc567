"""Every refusal of the API is a problem document with a stable code, and a failure of ours says nothing inside."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404
from django.urls import path
from django.utils import translation
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from accounts.models import AccessEvent
from standards.errors import Conflict, DomainError, NotFound
from tests.factories.accounts import mei


class Overlap(Conflict):
    code = "overlap"

    def __init__(self) -> None:
        super().__init__("It overlaps with %(other)s.", field="planned_start", other="P-1")


class ItemSerializer(serializers.Serializer[Any]):
    code = serializers.CharField(max_length=3)


class BodySerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    items = ItemSerializer(many=True)


ERRORS: dict[str, Exception] = {
    "overlap": Overlap(),
    "missing": NotFound(),
    "http404": Http404("secret"),
    "denied": PermissionDenied("secret"),
    "throttled": exceptions.Throttled(wait=17),
    "busy": OperationalError("password=secret host=db1"),
    "broken": RuntimeError("secret at /srv/app/x.py"),
}


class Raises(APIView):
    permission_classes = []

    def get(self, request: Request, what: str) -> Response:
        raise ERRORS[what]

    def post(self, request: Request, what: str) -> Response:
        BodySerializer(data=request.data).is_valid(raise_exception=True)
        return Response({})


urlpatterns = [path("raises/<str:what>/", Raises.as_view())]
pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


@pytest.fixture
def api() -> APIClient:
    client = APIClient(raise_request_exception=False)
    client.force_authenticate(mei())
    return client


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [
        ("overlap", 409, "overlap"),
        ("missing", 404, "not_found"),
        ("http404", 404, "not_found"),
        ("denied", 403, "permission_denied"),
        ("throttled", 429, "throttled"),
        ("busy", 503, "busy"),
        ("broken", 500, "internal"),
    ],
)
def test_every_error_is_a_problem(api: APIClient, what: str, status: int, code: str) -> None:
    answer = api.get(f"/raises/{what}/")
    body = answer.json()
    assert answer.status_code == status == body["status"]
    assert answer["Content-Type"] == "application/problem+json"
    assert body["code"] == code
    assert body["instance"] == f"/raises/{what}/"
    assert "secret" not in answer.content.decode()


def test_a_domain_error_names_its_field_and_fills_its_words(api: APIClient) -> None:
    body = api.get("/raises/overlap/").json()
    assert body["detail"] == "It overlaps with P-1."
    assert body["errors"] == [{"field": "planned_start", "code": "overlap", "detail": "It overlaps with P-1."}]


def test_waiting_times_are_headers(api: APIClient) -> None:
    assert api.get("/raises/throttled/")["Retry-After"] == "17"
    assert api.get("/raises/busy/")["Retry-After"] == "3"


def test_wrong_fields_are_a_flat_list_with_their_places(api: APIClient) -> None:
    answer = api.post("/raises/x/", {"items": [{"code": "ab"}, {"code": "abcd"}]}, format="json")
    assert answer.status_code == 400
    assert [(e["field"], e["code"]) for e in answer.json()["errors"]] == [
        ("at", "required"),
        ("items.1.code", "max_length"),
    ]


@pytest.mark.parametrize("body", ["{", "[1,", '{"a": NaN}', "\ufeff{}x"])
def test_a_body_that_is_no_json_is_400(api: APIClient, body: str) -> None:
    answer = api.post("/raises/x/", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["code"] == "parse_error"


def test_a_wrong_method_and_a_wrong_type(api: APIClient) -> None:
    assert api.delete("/raises/x/").json()["code"] == "method_not_allowed"
    assert api.post("/raises/x/", "a", content_type="text/plain").json()["code"] == "unsupported_media_type"


def test_a_denial_is_in_the_access_log(api: APIClient) -> None:
    api.get("/raises/denied/")
    event = AccessEvent.objects.get(verb="denied")
    assert (event.actor_name, event.object_ref, event.outcome) == ("Mei", "/raises/denied/", "refused")


def test_a_failure_of_ours_is_still_raised_to_whoever_watches(db: None) -> None:
    with pytest.raises(RuntimeError):
        APIClient().get("/raises/broken/")


def test_the_words_come_in_the_readers_language(api: APIClient) -> None:
    with translation.override("zh-hans"):
        assert DomainError().code == "invalid"
        assert api.get("/raises/missing/").json()["code"] == "not_found"
