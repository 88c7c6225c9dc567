"""Files from billing: read in any layout with known headings, checked, taken in once, handed back with the mistakes."""

from __future__ import annotations

import io
import zipfile
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from django.utils import timezone
from pytest_django import Settings

from accounts.actor import Actor
from billing_cutoffs.models import (
    AccountHold,
    Bill,
    BillingAccount,
    BillingFile,
    FeedKind,
    FeedState,
    Payment,
    TemperatureForecast,
)
from billing_cutoffs.services import files
from grid.spreadsheets.files import FileEmpty, FileTooBig
from standards.errors import Forbidden, NotFound
from tests.billing.told import SMITH, WANG
from tests.billing.world import debtor, today
from tests.factories.grid import SmallCity

ARREARS = "户号,统计时间,账单号,应缴日期,欠费金额（元）\n"
PAYMENTS = "流水号,户号,缴费金额,缴费时间,状态\n"
CHEN = "1000000001"


@pytest.fixture(autouse=True)
def _media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


def handed_in(actor: Actor, city: SmallCity, data: bytes | str, kind: str = FeedKind.ARREARS) -> BillingFile:
    raw = data if isinstance(data, bytes) else data.encode()
    file = files.file_upload(actor=actor, branch=city.east, kind=kind, name="欠费.csv", chunks=[raw])
    files.file_check(file_id=file.pk)
    file.refresh_from_db()
    return file


def taken_in(actor: Actor, file: BillingFile) -> BillingFile:
    files.file_confirm(actor=actor, file_id=file.pk)
    files.file_apply(file_id=file.pk)
    file.refresh_from_db()
    return file


def told(file: BillingFile) -> list[tuple[int, str, str]]:
    return [(one["row"], one["field"], one["code"]) for one in file.problems]


def stamp(minutes_ago: int = 5) -> str:
    return f"{timezone.now() - timedelta(minutes=minutes_ago):%Y-%m-%dT%H:%M:%S+00:00}"


def arrears(city: SmallCity, *rows: tuple[str, str, int, str]) -> str:
    """``rows`` are (account, bill, days since it was due, amount)."""
    day = today(city.east).date()
    at = stamp()
    return ARREARS + "".join(
        f"{account},{at},{bill},{day - timedelta(days=days)},{amount}\n" for account, bill, days, amount in rows
    )


def workbook(headings: list[str], *rows: list[Any]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"default_date_format": "yyyy-mm-dd hh:mm"}) as book:
        sheet = book.add_worksheet("欠费")
        sheet.write_row(0, 0, ["东城供电分局欠费清单"])
        for at, row in enumerate([headings, *rows], start=1):
            sheet.write_row(at, 0, row)
    return out.getvalue()


def test_checking_writes_nothing_and_says_what_would_happen(city: SmallCity, ben: Actor) -> None:
    file = handed_in(ben, city, arrears(city, (WANG, "B1", 40, "120.50"), (WANG, "B2", 9, "10"), (SMITH, "B1", 9, "1")))

    assert (file.state, file.rows, file.good, file.bad) == (FeedState.CHECKED, 3, 2, 1)
    assert told(file) == [(4, "account_number", "unknown_account")]  # smith lives in another branch
    assert file.problems[0]["detail"]["en"] == "There is no account of this number."
    assert files.answers_of(file).outcomes == {"applied": 1}
    assert not BillingAccount.objects.exists()


def test_what_is_right_is_taken_in(city: SmallCity, ben: Actor) -> None:
    file = handed_in(ben, city, arrears(city, (WANG, "B1", 40, "120.50"), (WANG, "B2", 9, "10"), (SMITH, "B1", 9, "1")))

    file = taken_in(ben, file)

    assert (file.state, file.good, file.bad, file.progress) == (FeedState.DONE, 2, 1, 100)
    assert file.finished_at is not None
    account = BillingAccount.objects.get()
    assert (account.overdue, account.bills_overdue, account.source_system) == (Decimal("130.50"), 2, "file:arrears")


def test_a_wrong_bill_keeps_the_other_rows_of_its_account_back(city: SmallCity, ben: Actor) -> None:
    rows = arrears(city, (WANG, "B1", 40, "120.50"), (CHEN, "C1", 8, "5.00"), (WANG, "B2", 9, "-10"))

    file = taken_in(ben, handed_in(ben, city, rows))

    assert told(file) == [(2, "", "other_row"), (4, "open_amount", "bad_amount")]
    assert file.problems[0]["detail"]["en"] == "Row 4 of the same account must be corrected first."
    assert list(Bill.objects.values_list("number", flat=True)) == ["C1"]


def test_rows_of_one_account_that_contradict_each_other_are_refused(city: SmallCity, ben: Actor) -> None:
    day = today(city.east).date()
    rows = ARREARS + f"{WANG},{stamp(9)},B1,{day},1\n{WANG},{stamp(5)},B2,{day},1\n"

    assert told(handed_in(ben, city, rows)) == [(2, "", "other_row"), (3, "as_of", "rows_differ")]


def test_an_account_without_a_bill_owes_nothing(city: SmallCity, ben: Actor) -> None:
    account = debtor(city, "SP0002")

    taken_in(ben, handed_in(ben, city, ARREARS + f"{WANG},{stamp()},,,\n"))

    account.refresh_from_db()
    assert account.overdue == 0


def test_a_workbook_with_numbers_and_days_is_understood(city: SmallCity, ben: Actor) -> None:
    """As a spreadsheet keeps them: 0.1 + 0.2 is 0.30, an account number is no amount, a time is the branch's."""
    day = datetime.combine(today(city.east).date() - timedelta(days=40), datetime.min.time())
    at = today(city.east).replace(tzinfo=None, microsecond=0) - timedelta(minutes=5)
    data = workbook(
        ["用户编号", "数据时间", "账单编号", "到期日", "欠费金额", "远程停复电"],
        [int(WANG), at, 77, day, 0.1 + 0.2, "是"],
    )

    file = taken_in(ben, handed_in(ben, city, data))

    assert file.problems == []
    account = BillingAccount.objects.get()
    assert (account.overdue, account.oldest_due_on, account.has_remote_switch) == (Decimal("0.30"), day.date(), True)
    assert abs(account.statement_at - today(city.east)) < timedelta(minutes=10)
    assert Bill.objects.get().number == "77"


def test_gbk_and_english_headings_are_read_too(city: SmallCity, ben: Actor) -> None:
    chinese = arrears(city, (WANG, "B1", 40, "￥1,120.50元".replace(",", ""))).encode("gb18030")
    english = f"Account Number,As of,Bill No.,Due date,Amount\n{CHEN},{stamp()},C1,2026/3/1,7.5\n"

    assert handed_in(ben, city, chinese).bad == 0
    file = handed_in(ben, city, english)
    assert (file.state, file.bad) == (FeedState.CHECKED, 0)


def test_payments_count_once_however_often_the_file_is_taken_in(city: SmallCity, ben: Actor) -> None:
    account = debtor(city, "SP0002")
    data = PAYMENTS + f"L1,{WANG},100.00,{stamp()},已到账\nL2,{WANG},50.00,{stamp()},在途\nL3,{WANG},0,{stamp()},到账\n"

    file = taken_in(ben, handed_in(ben, city, data, FeedKind.PAYMENTS))
    again = handed_in(ben, city, data, FeedKind.PAYMENTS)

    assert told(file) == [(4, "amount", "bad_amount")]
    assert files.same_file_before(again) == file
    assert files.answers_of(again).outcomes == {"already_known": 2}
    taken_in(ben, again)
    account.refresh_from_db()
    assert account.overdue == Decimal("220.00")
    assert list(Payment.objects.order_by("payment_id").values_list("payment_id", "status", "source_system")) == [
        ("L1", "settled", "file:payments"), ("L2", "in_flight", "file:payments"),
    ]  # fmt: skip


def test_a_payment_keeps_the_name_of_its_source(city: SmallCity, ben: Actor) -> None:
    debtor(city, "SP0002")
    data = PAYMENTS.replace("\n", ",来源系统\n") + f"L1,{WANG},100.00,{stamp()},已到账,bank\n"

    taken_in(ben, handed_in(ben, city, data, FeedKind.PAYMENTS))

    assert Payment.objects.get().source_system == "bank"


def test_holds_and_forecasts(city: SmallCity, ben: Actor) -> None:
    debtor(city, "SP0002")
    until = f"{timezone.now() + timedelta(days=9):%Y-%m-%d}"
    held = f"单号,户号,类型,有效期至,原因\nH1,{WANG},电费争议,{until},表计\n"
    weather = (
        f"单位编码,日期,最低气温(℃),最高气温(℃),发布时间\n0101,{until},-4℃,6.5,{stamp()}\n0102,{until},1,2,{stamp()}\n"
    )

    taken_in(ben, handed_in(ben, city, held, FeedKind.HOLDS))
    file = taken_in(ben, handed_in(ben, city, weather, FeedKind.FORECASTS))

    assert AccountHold.objects.get().kind == "dispute"
    assert told(file) == [(3, "branch", "unknown_branch")]
    forecast = TemperatureForecast.objects.get()
    assert (forecast.branch, forecast.low, forecast.high) == (city.east, -4, 6.5)


# --- what harms, or only looks like it ------------------------------------------------------------------------------


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(["户号"], ["1"]))) as book, zipfile.ZipFile(out, "w", 8) as made:
        for name in book.namelist():
            made.writestr(name, book.read(name))
        made.writestr("xl/worksheets/sheet9.xml", b" " * (201 * 1024**2))
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"%PDF-1.7 ...", "sheet_format"),
        (b"\x00\x01\x02" * 50, "sheet_format"),
        (b"\x00\x00\x00\x00", "sheet_empty"),
        (b"PK\x03\x04 this is no archive", "sheet_unreadable"),
        (b"<html><table><tr><td>1</td></tr></table></html>", "sheet_web_page"),
        (b"a,b\n1,2\n", "columns_missing"),
        (ARREARS.encode(), "sheet_no_table"),
        ("户号,欠费金额\n1000000002,5\n".encode(), "columns_missing"),
        (bomb(), "sheet_unpacks_too_big"),
    ],
    ids=["pdf", "binary", "zeros", "broken zip", "web page", "other table", "no rows", "no as-of", "bomb"],
)
def test_a_hostile_or_foreign_file_fails_with_its_reason(city: SmallCity, ben: Actor, data: bytes, code: str) -> None:
    file = handed_in(ben, city, data)

    assert (file.state, file.failure) == (FeedState.FAILED, code)
    assert file.problems[0]["code"] == code
    assert file.problems[0]["detail"].keys() == {"en", "zh-hans"}
    assert not BillingAccount.objects.exists()


def test_a_formula_is_no_amount(city: SmallCity, ben: Actor) -> None:
    rows = arrears(city, (WANG, "B1", 40, "=1+1"), (CHEN, "=cmd|'/c calc'!A1", 8, "5.00"))

    file = handed_in(ben, city, rows)

    assert told(file)[0] == (2, "open_amount", "bad_amount")


def test_a_file_that_is_empty_or_too_big_is_not_kept(city: SmallCity, ben: Actor) -> None:
    for chunks, refusal in (([], FileEmpty), ([b"x" * 1024**2] * 21, FileTooBig)):
        with pytest.raises(refusal):
            files.file_upload(actor=ben, branch=city.east, kind=FeedKind.ARREARS, name="x", chunks=chunks)

    assert not BillingFile.objects.exists()


# --- who, when, and what a dead worker leaves -----------------------------------------------------------------------


def test_nobody_hands_in_for_another_branch(city: SmallCity, ben: Actor, dora: Actor) -> None:
    file = handed_in(ben, city, arrears(city, (WANG, "B1", 40, "1.00")))

    with pytest.raises(Forbidden):
        files.file_upload(actor=dora, branch=city.east, kind=FeedKind.ARREARS, name="x", chunks=[b"x"])
    with pytest.raises(Forbidden):
        files.file_confirm(actor=dora, file_id=file.pk)
    with pytest.raises(Forbidden):
        files.file_discard(actor=dora, file_id=file.pk)

    file.refresh_from_db()
    assert file.state == FeedState.CHECKED


def test_a_second_click_finds_the_first_ones_work(city: SmallCity, ben: Actor) -> None:
    file = taken_in(ben, handed_in(ben, city, arrears(city, (WANG, "B1", 40, "1.00"))))

    assert files.file_confirm(actor=ben, file_id=file.pk).state == FeedState.DONE
    assert files.file_apply(file_id=file.pk) == {"run": 0}
    with pytest.raises(files.FileNotWaiting):
        files.file_discard(actor=ben, file_id=file.pk)


def test_a_file_without_a_right_row_is_not_taken_in(city: SmallCity, ben: Actor) -> None:
    file = handed_in(ben, city, arrears(city, (SMITH, "B1", 40, "1.00")))

    with pytest.raises(files.NothingRight):
        files.file_confirm(actor=ben, file_id=file.pk)

    file.refresh_from_db()
    assert file.state == FeedState.CHECKED


def test_a_file_thrown_away_leaves_nothing_behind(city: SmallCity, ben: Actor) -> None:
    file = handed_in(ben, city, arrears(city, (WANG, "B1", 40, "1.00")))

    files.file_discard(actor=ben, file_id=file.pk)

    assert not files.path_of(file).exists()
    assert files.file_check(file_id=file.pk) == {"run": 0}
    with pytest.raises(files.FileNotWaiting):
        files.file_confirm(actor=ben, file_id=file.pk)
    with pytest.raises(NotFound):
        files.table_kept(file)


def test_what_a_dead_worker_left_is_found_and_a_poisoned_file_is_given_up(city: SmallCity, ben: Actor) -> None:
    file = handed_in(ben, city, arrears(city, (WANG, "B1", 40, "1.00")))
    BillingFile.objects.update(state=FeedState.READING, touched_at=timezone.now() - timedelta(minutes=2))

    assert files.files_left_behind() == [(file.pk, "reading")]
    assert files.file_check(file_id=file.pk) == {"run": 1, "rows": 1, "bad": 0}
    assert files.files_left_behind() == []

    BillingFile.objects.update(state=FeedState.READING, tries=files.MOST_TRIES)
    assert files.file_check(file_id=file.pk) == {"run": 1, "failed": 1}
    file.refresh_from_db()
    assert (file.state, file.failure) == (FeedState.FAILED, "file_given_up")


def test_a_worker_killed_half_way_has_lost_and_doubled_nothing(city: SmallCity, ben: Actor) -> None:
    """The first chunk was taken in, the rest not: doing it again finds the first chunk known."""
    account = debtor(city, "SP0002")
    data = PAYMENTS + "".join(f"L{n},{WANG},10.00,{stamp()},已到账\n" for n in range(4))
    file = handed_in(ben, city, data, FeedKind.PAYMENTS)
    taken_in(ben, file)
    BillingFile.objects.update(state=FeedState.APPLYING, touched_at=timezone.now() - timedelta(minutes=2))
    Payment.objects.filter(payment_id="L3").delete()

    files.file_apply(file_id=file.pk)

    file.refresh_from_db()
    account.refresh_from_db()
    assert (file.state, files.answers_of(file).outcomes) == (FeedState.DONE, {"applied": 1, "already_known": 3})
    assert account.overdue == Decimal("280.00")
