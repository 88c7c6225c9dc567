"""Alive, ready, and the figures."""

from __future__ import annotations

import pytest
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from pytest_django import Settings

from outage_mgmt import health


@pytest.mark.django_db
def test_a_site_with_its_tables_is_ready(client: Client) -> None:
    assert client.get("/healthz").content == b"ok\n"
    assert client.get("/readyz").json() == {"ready": True, "problems": []}


def test_without_a_database_the_process_lives_and_is_not_ready(
    client: Client, django_db_blocker: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        connection = connections["default"]
        connection.close()
        monkeypatch.setitem(connection.settings_dict, "HOST", "/nowhere")

        answer = client.get("/readyz")

        assert (answer.status_code, answer.json()) == (503, {"ready": False, "problems": ["database"]})
        assert client.get("/healthz").status_code == 200
        connection.close()


@pytest.mark.django_db
def test_a_site_that_lacks_tables_is_not_ready(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health._Tables, "complete", False)
    monkeypatch.setattr(MigrationExecutor, "migration_plan", lambda self, targets: ["something"])

    assert client.get("/readyz").json() == {"ready": False, "problems": ["migrations"]}


def test_figures_are_for_this_machine_or_for_the_token(client: Client, settings: Settings) -> None:
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 404
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.1").status_code == 404

    settings.METRICS_TOKEN = "secret"

    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer secret"}).status_code == 200
