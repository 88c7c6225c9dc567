"""The administrators' page: upload, compare, confirm."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from grid.models import GridElement, GridImport, ServicePoint
from grid.services import import_confirm, imports_left_behind, uploaded_import_run
from tests.factories.accounts import ada, dora
from tests.grid.conftest import CITY

pytestmark = pytest.mark.django_db


@pytest.fixture
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.fixture
def admin_client(client: Client) -> Client:
    client.force_login(ada(), backend="django.contrib.auth.backends.ModelBackend")
    return client


def upload(client: Client, files: dict[str, str]) -> GridImport:
    answer = client.post(
        "/grid/imports/",
        {"source_format": "csv", "files": [SimpleUploadedFile(n, t.encode()) for n, t in files.items()]},
    )
    assert answer.status_code == 302, answer.content.decode()
    return GridImport.objects.get()


def test_an_upload_is_compared_shown_and_made_when_confirmed(admin_client: Client, media: Path) -> None:
    grid_import = upload(admin_client, CITY)
    page = f"/grid/imports/{grid_import.pk}/"
    assert "hx-get" in admin_client.get(page).content.decode()

    uploaded_import_run(import_id=grid_import.pk, apply=False)
    preview = admin_client.get(page).content.decode()
    assert "Make these changes" in preview
    assert "SP1" in preview
    assert not GridElement.objects.exists()

    import_confirm(import_id=grid_import.pk)
    assert uploaded_import_run(import_id=grid_import.pk, apply=True) == {"run": 1, "errors": 0}
    assert uploaded_import_run(import_id=grid_import.pk, apply=True) == {"run": 0}
    assert ServicePoint.objects.count() == 3
    assert "done" in admin_client.get(page).content.decode()
    assert list((media / "grid-imports").iterdir()) == []


def test_errors_are_shown_by_row_and_column(admin_client: Client, media: Path) -> None:
    grid_import = upload(admin_client, {**CITY, "s.csv": CITY["s.csv"] + "SP4,M4,A9,T1,,1\n"})
    uploaded_import_run(import_id=grid_import.pk, apply=False)

    page = admin_client.get(f"/grid/imports/{grid_import.pk}/").content.decode()

    assert "No customer has the account number “A9”." in page
    assert "account_number" in page


def test_a_discarded_preview_cannot_be_confirmed(admin_client: Client, media: Path) -> None:
    grid_import = upload(admin_client, CITY)
    uploaded_import_run(import_id=grid_import.pk, apply=False)

    admin_client.post(f"/grid/imports/{grid_import.pk}/discard/")

    grid_import.refresh_from_db()
    assert grid_import.status == GridImport.Status.DISCARDED
    assert uploaded_import_run(import_id=grid_import.pk, apply=True) == {"run": 0}
    assert not GridElement.objects.exists()


def test_a_file_that_is_not_what_it_says_is_refused(admin_client: Client, media: Path) -> None:
    answer = admin_client.post(
        "/grid/imports/", {"source_format": "cim", "files": [SimpleUploadedFile("a.xml", b"code,name\n")]}
    )

    assert answer.status_code == 422
    assert not GridImport.objects.exists()


def test_templates_can_be_downloaded(admin_client: Client) -> None:
    answer = admin_client.get("/grid/imports/templates/service_points.csv")

    assert answer["Content-Disposition"] == 'attachment; filename="service_points.csv"'
    assert answer.content.decode("utf-8-sig").startswith("code,meter_number,account_number,element")


def test_only_administrators_may_import(client: Client) -> None:
    client.force_login(dora(), backend="django.contrib.auth.backends.ModelBackend")

    assert client.get("/grid/imports/").status_code == 403
    assert client.post("/grid/imports/", {"source_format": "csv"}).status_code == 403
    assert not GridImport.objects.exists()


def test_what_was_never_begun_is_called_again(admin_client: Client, media: Path) -> None:
    grid_import = upload(admin_client, CITY)
    assert imports_left_behind() == []  # its task may still come

    GridImport.objects.update(started_at=timezone.now() - timedelta(minutes=3))

    assert imports_left_behind() == [(grid_import.pk, False)]
    uploaded_import_run(import_id=grid_import.pk, apply=False)
    import_confirm(import_id=grid_import.pk)
    assert imports_left_behind() == [(grid_import.pk, True)]


def test_an_import_whose_worker_died_ends_with_a_reason(admin_client: Client, media: Path) -> None:
    grid_import = upload(admin_client, CITY)
    GridImport.objects.update(status="applying", started_at=timezone.now() - timedelta(minutes=3))

    assert imports_left_behind() == []

    assert "The import was interrupted" in admin_client.get(f"/grid/imports/{grid_import.pk}/").content.decode()
    assert list((media / "grid-imports").iterdir()) == []
    assert not GridElement.objects.exists()
