"""A create that is sent twice happens once, also when both arrive at the same moment."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Event, Thread
from typing import Any, ClassVar

import pytest
from django.db import connection
from django.urls import path
from django.utils import timezone
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from accounts import services
from accounts.api.idempotency import ABANDONED_AFTER, idempotent
from accounts.models import AccessEvent, IdempotencyKey, User
from grid.models import Branch
from tests.factories.accounts import mei, user_with


class Make(APIView):
    permission_classes = []
    inside: ClassVar[Event | None] = None
    go_on: ClassVar[Event | None] = None

    @idempotent
    def post(self, request: Request) -> Response:
        code = str(dict(request.data)["code"])
        if code == "broken":
            raise RuntimeError
        if code == "refused":
            raise exceptions.ValidationError({"code": "no"})
        if code == "throttled":
            raise exceptions.Throttled(wait=1)
        if self.inside is not None and self.go_on is not None:
            self.inside.set()
            assert self.go_on.wait(20)
        branch = Branch.objects.create(code=code, name=code)
        return Response({"id": branch.pk, "code": code}, status=201, headers={"Location": f"/b/{code}/"})


class MakeElsewhere(Make):
    pass


urlpatterns = [path("make/", Make.as_view()), path("elsewhere/", MakeElsewhere.as_view())]
pytestmark = pytest.mark.urls(__name__)


def client_of(user: User) -> APIClient:
    api = APIClient(raise_request_exception=False)
    api.force_authenticate(user)
    return api


@pytest.fixture
def api(db: None) -> APIClient:
    return client_of(mei())


def make(api: APIClient, code: str, key: str = "k1", where: str = "/make/") -> Any:
    return api.post(where, {"code": code}, format="json", HTTP_IDEMPOTENCY_KEY=key)


def made() -> list[str]:
    return list(Branch.objects.order_by("code").values_list("code", flat=True))


def test_the_second_request_gets_the_first_answer(api: APIClient) -> None:
    first, second = make(api, "B1"), make(api, "B1")
    assert made() == ["B1"]
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second["Location"] == "/b/B1/"
    assert second["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first


def test_without_a_key_nothing_is_kept(api: APIClient) -> None:
    api.post("/make/", {"code": "B1"}, format="json")
    assert not IdempotencyKey.objects.exists()


def test_another_key_is_another_request(api: APIClient) -> None:
    make(api, "B1", "k1")
    make(api, "B2", "k2")
    assert made() == ["B1", "B2"]


def test_the_same_key_of_another_client_is_another_request(api: APIClient) -> None:
    make(api, "B1")
    make(client_of(user_with("agent", username="other")), "B2")
    assert made() == ["B1", "B2"]


@pytest.mark.parametrize(("code", "where"), [("B2", "/make/"), ("B1", "/elsewhere/")])
def test_a_key_used_for_another_request_is_422(api: APIClient, code: str, where: str) -> None:
    make(api, "B1")
    answer = make(api, code, where=where)
    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_key_reused"
    assert made() == ["B1"]


def test_a_refusal_is_kept_like_any_answer(api: APIClient) -> None:
    first, second = make(api, "refused"), make(api, "refused")
    assert first.status_code == second.status_code == 400
    assert first.json() == second.json()
    assert second["Content-Type"] == "application/problem+json"
    assert second["Idempotency-Replayed"] == "true"


@pytest.mark.parametrize(("code", "status"), [("broken", 500), ("throttled", 429)])
def test_what_may_pass_is_not_kept(api: APIClient, code: str, status: int) -> None:
    assert make(api, code).status_code == status
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_an_unreadable_key_is_400(api: APIClient, key: str) -> None:
    answer = make(api, "B1", key)
    assert answer.status_code == 400
    assert made() == []


def test_a_request_that_died_blocks_its_key_only_for_a_while(api: APIClient) -> None:
    make(api, "B1")
    Branch.objects.all().delete()
    IdempotencyKey.objects.update(status=None, created_at=timezone.now())
    assert make(api, "B1").json()["code"] == "idempotency_running"
    IdempotencyKey.objects.update(created_at=timezone.now() - ABANDONED_AFTER - timedelta(seconds=1))
    assert make(api, "B1").status_code == 201
    assert made() == ["B1"]


def test_old_answers_are_forgotten(api: APIClient) -> None:
    make(api, "B1", "old")
    IdempotencyKey.objects.update(created_at=timezone.now() - timedelta(hours=49))
    make(api, "B2", "new")
    assert services.idempotency_keys_forget() == 1
    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["new"]


@pytest.mark.concurrency
@pytest.mark.django_db(transaction=True)
def test_eight_at_once_make_one() -> None:
    user = mei()
    barrier, answers = Barrier(8), []

    def post() -> None:
        try:
            api = client_of(user)
            barrier.wait(timeout=20)
            answers.append(make(api, "B1"))
        finally:
            connection.close()

    threads = [Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert made() == ["B1"]
    assert len(answers) == 8
    created = [a for a in answers if a.status_code == 201]
    assert len({a.content for a in created}) == 1
    assert {a.json()["code"] for a in answers if a.status_code != 201} <= {"idempotency_running"}
    assert sum("Idempotency-Replayed" not in a for a in created) == 1
    assert AccessEvent.objects.count() == 0


@pytest.mark.concurrency
@pytest.mark.django_db(transaction=True)
def test_while_the_first_runs_the_second_is_409(monkeypatch: pytest.MonkeyPatch) -> None:
    user = mei()
    inside, go_on = Event(), Event()
    monkeypatch.setattr(Make, "inside", inside)
    monkeypatch.setattr(Make, "go_on", go_on)
    first: list[Any] = []

    def post() -> None:
        try:
            first.append(make(client_of(user), "B1"))
        finally:
            connection.close()

    thread = Thread(target=post)
    thread.start()
    try:
        assert inside.wait(20)
        second = make(client_of(user), "B1")
    finally:
        go_on.set()
        thread.join(timeout=30)

    assert second.status_code == 409
    assert second.json()["code"] == "idempotency_running"
    assert first[0].status_code == 201
    assert made() == ["B1"]
