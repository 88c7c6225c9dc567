"""The pages of files: hand in, look, take in, hand back; who may, in both languages, and how much it costs."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.actor import Actor
from accounts.models import User
from billing_cutoffs.intake.columns import COLUMNS
from billing_cutoffs.models import BillingAccount, BillingFile, FeedKind, FeedState
from billing_cutoffs.services import files
from tests.billing.test_files import arrears, handed_in
from tests.billing.told import SMITH, WANG
from tests.factories import accounts
from tests.factories.grid import SmallCity


@pytest.fixture(autouse=True)
def _media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def clerk(client: Client, ben_user: User) -> Client:
    client.force_login(ben_user)
    return client


def rows_of(answer: Any) -> list[list[str]]:
    text = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


def upload(clerk: Client, city: SmallCity, data: str, **more: Any) -> Any:
    facts = {"kind": "arrears", "branch": city.east.pk, "file": SimpleUploadedFile("欠费.csv", data.encode()), **more}
    return clerk.post("/cutoffs/files/", facts)


def test_a_clerk_hands_in_looks_and_takes_in(clerk: Client, city: SmallCity) -> None:
    answer = upload(clerk, city, arrears(city, (WANG, "B1", 40, "120.50"), (SMITH, "B1", 9, "1")))
    file = BillingFile.objects.get()
    assert "waiting" in clerk.get(f"/cutoffs/files/{file.pk}/").content.decode().lower()
    files.file_check(file_id=file.pk)
    assert answer["Location"] == f"/cutoffs/files/{file.pk}/"

    shown = clerk.get(f"/cutoffs/files/{file.pk}/").content.decode()
    assert "There is no account of this number." in shown
    assert "Take in 1 row" in shown

    clerk.post(f"/cutoffs/files/{file.pk}/confirm/")
    files.file_apply(file_id=file.pk)
    assert "1 row was taken in." in clerk.get(f"/cutoffs/files/{file.pk}/").content.decode()
    assert BillingAccount.objects.get().customer.account_number == WANG
    assert "欠费.csv" in clerk.get("/cutoffs/files/").content.decode()


def test_the_file_comes_back_with_what_is_wrong_and_runs_nothing(clerk: Client, city: SmallCity, ben: Actor) -> None:
    data = arrears(city, (WANG, "B1", 40, "120.50"), (SMITH, "=cmd|'/c calc'!A1", 9, "1"))
    file = handed_in(ben, city, data)

    [heads, good, bad] = rows_of(clerk.get(f"/cutoffs/files/{file.pk}/rows.csv"))
    only = rows_of(clerk.get(f"/cutoffs/files/{file.pk}/rows.csv?only=wrong"))

    assert heads[-1] == "problem"
    assert (good[-1], bad[-1]) == ("", "There is no account of this number.")
    assert bad[2] == "'=cmd|'/c calc'!A1"
    assert only == [heads, bad]


def test_what_came_back_can_be_handed_in_again(clerk: Client, city: SmallCity, ben: Actor) -> None:
    file = handed_in(ben, city, arrears(city, (WANG, "B1", 40, "120.50"), (SMITH, "B1", 9, "1")))
    back = b"".join(clerk.get(f"/cutoffs/files/{file.pk}/rows.csv").streaming_content)  # type: ignore[attr-defined]

    again = handed_in(ben, city, back)

    assert (again.state, again.good, again.bad) == (FeedState.CHECKED, 1, 1)


def test_the_same_file_again_warns(clerk: Client, city: SmallCity, ben: Actor) -> None:
    data = arrears(city, (WANG, "B1", 40, "120.50"))
    handed_in(ben, city, data)
    again = handed_in(ben, city, data)

    assert "The same file was handed in before" in clerk.get(f"/cutoffs/files/{again.pk}/").content.decode()


@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.parametrize("kind", FeedKind.values)
def test_every_template_is_understood_in_every_language(
    clerk: Client, city: SmallCity, ben: Actor, kind: str, language: str
) -> None:
    answer = clerk.get(f"/cutoffs/files/template/{kind}.csv", headers={"accept-language": language})
    data = b"".join(answer.streaming_content)  # type: ignore[attr-defined]

    file = handed_in(ben, city, data, kind)

    assert (file.state, file.rows) == (FeedState.CHECKED, 1)
    assert files.table_kept(file).places.keys() == {column.name for column in COLUMNS[kind]}


def test_a_wrong_upload_says_so_and_keeps_nothing(clerk: Client, city: SmallCity) -> None:
    empty = upload(clerk, city, "")
    foreign = upload(clerk, city, "x", branch=city.west.pk)
    strange = upload(clerk, city, "x", kind="bills")

    assert [answer.status_code for answer in (empty, foreign, strange)] == [422] * 3
    assert not BillingFile.objects.exists()


def test_a_failed_file_says_why(clerk: Client, city: SmallCity, ben: Actor) -> None:
    file = handed_in(ben, city, "户号,欠费金额\n1,2\n")

    shown = clerk.get(f"/cutoffs/files/{file.pk}/").content.decode()

    assert "These columns are missing: as billing stood at." in shown
    assert clerk.post(f"/cutoffs/files/{file.pk}/confirm/").status_code == 409
    assert clerk.post(f"/cutoffs/files/{file.pk}/discard/").status_code == 302


@pytest.mark.parametrize(
    ("role", "listed", "handed"),
    [("billing_clerk", 200, 302), ("approver", 200, 403), ("auditor", 200, 403), ("agent", 403, 403),
     ("dispatcher", 403, 403), ("planner", 403, 403)],
)  # fmt: skip
def test_who_may(client: Client, city: SmallCity, role: str, listed: int, handed: int) -> None:
    client.force_login(accounts.user_with(role, city.east, username=f"some-{role}"))

    assert client.get("/cutoffs/files/").status_code == listed
    assert upload(client, city, "x").status_code == handed


def test_another_branchs_file_is_missing(client: Client, city: SmallCity, ben: Actor, dora_user: User) -> None:
    file = handed_in(ben, city, arrears(city, (WANG, "B1", 40, "1.00")))
    client.force_login(dora_user)

    for path, method in (("", "get"), ("rows.csv", "get"), ("confirm/", "post"), ("discard/", "post")):
        assert getattr(client, method)(f"/cutoffs/files/{file.pk}/{path}").status_code == 404

    file.refresh_from_db()
    assert file.state == FeedState.CHECKED


def test_a_longer_list_costs_the_same_statements(clerk: Client, city: SmallCity, ben: Actor) -> None:
    counts = []
    for _turn in range(2):
        for n in range(3):
            handed_in(ben, city, arrears(city, (WANG, f"B{n}", 40, "1.00")))
        with CaptureQueriesContext(connection) as asked:
            clerk.get("/cutoffs/files/")
        counts.append(len(asked))

    assert counts[0] == counts[1]
