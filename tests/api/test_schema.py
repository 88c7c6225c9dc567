"""The interface in writing: complete, the same as its snapshot, and readable without the internet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client

from accounts.models import User
from tests.factories import accounts

SNAPSHOT = Path(settings.BASE_DIR) / "docs" / "openapi.yaml"


def test_the_schema_is_the_one_in_the_repository(tmp_path: Path) -> None:
    """After a change that is meant: ``manage.py spectacular --lang en --file docs/openapi.yaml``."""
    fresh = tmp_path / "openapi.yaml"

    call_command("spectacular", "--validate", "--fail-on-warn", "--lang", "en", "--file", str(fresh))

    assert fresh.read_text(encoding="utf-8") == SNAPSHOT.read_text(encoding="utf-8")


@pytest.fixture
def browser(db: None) -> Client:
    client = Client()
    user: User = accounts.ada()
    client.force_login(user)
    return client


def test_the_schema_is_served(browser: Client) -> None:
    response = browser.get("/api/v1/schema/")

    assert response.status_code == 200
    assert b"/api/v1/faults/{reference}/restore-part/" in response.content


def test_the_documentation_loads_nothing_from_elsewhere(browser: Client) -> None:
    page = browser.get("/api/v1/docs/").content.decode()

    assert "/static/drf_spectacular_sidecar/" in page
    assert not re.findall(r"""(?:src|href)=["']https?://""", page)
