"""Two workers, two tabs, one file: it is imported once, and each correction is kept."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from accounts.actor import Actor
from outages.planned.models import PlannedWork, PlanSheet
from outages.planned.services import sheets
from tests.concurrency.test_outage_writers import together
from tests.factories.grid import SmallCity
from tests.planned.books import HEADINGS, book, good, uploaded
from tests.planned.world import plan_of

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

WORKERS = 4


@pytest.fixture(autouse=True)
def _own_media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def sheet(city: SmallCity, pia: Actor) -> PlanSheet:
    rows = [good(f"{n}", "T1l" if n % 2 else "T11", days=20 + n % 5, start=n, end=n + 1) for n in range(10)]
    return uploaded(pia, book(HEADINGS, *rows), branch=city.east, period=plan_of(city, pia, 20))


def test_several_workers_import_a_file_once(sheet: PlanSheet, pia: Actor) -> None:
    sheets.sheet_import_start(actor=pia, sheet_id=sheet.pk)

    runs = together(*[lambda: sheets.sheet_import(sheet_id=sheet.pk)["run"]] * WORKERS)

    assert sorted(runs) == [0, 0, 0, 1]
    assert (PlannedWork.objects.count(), PlanSheet.objects.get().counts["imported"]) == (5, 5)


def test_the_same_form_from_several_tabs_is_one_file(city: SmallCity, pia: Actor) -> None:
    period, data = plan_of(city, pia, 20), book(HEADINGS, good("1"))

    def send() -> int:
        return sheets.sheet_upload(
            actor=pia, branch=city.east, period=period, chunks=[data], file_name="a.xlsx", token="same"
        ).pk

    assert len(set(together(*[send] * WORKERS))) == PlanSheet.objects.count() == 1


def test_corrections_from_several_tabs_are_all_kept(sheet: PlanSheet, pia: Actor) -> None:
    def correct(number: int) -> Any:
        return lambda: sheets.row_edit(actor=pia, sheet_id=sheet.pk, number=number, field="elements", text="T12")

    together(*[correct(number) for number in (3, 5, 7, 9, 11)])

    found = PlanSheet.objects.get()
    assert (found.counts["wrong"], found.rows.filter(edits={"elements": "T12"}).count()) == (0, 5)


def test_progress_is_seen_while_the_transaction_runs(sheet: PlanSheet) -> None:
    """The page that asks every two seconds reads on another connection than the one that works."""
    PlanSheet.objects.filter(pk=sheet.pk).update(state="queued", progress=0)
    seen: list[int] = []

    def watch() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not is_over.is_set():
            seen.append(PlanSheet.objects.values_list("progress", flat=True).get(pk=sheet.pk))

    def work() -> None:
        sheets.sheet_read(sheet_id=sheet.pk)
        is_over.set()

    is_over = threading.Event()
    together(watch, work)

    assert len({percent for percent in seen if 0 < percent < 100}) >= 2
    assert PlanSheet.objects.get().state == "checked"
