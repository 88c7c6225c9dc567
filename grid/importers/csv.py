"""Four CSV files: branches, elements, customers, service points; any of them alone is enough."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from grid.importers.staging import COLUMNS, REQUIRED, Problem, Staging

HEADING_LIMIT = 65_536

EXAMPLES: dict[str, tuple[tuple[str, ...], ...]] = {
    "branches": (
        ("010", "铜城供电局", "Tongcheng bureau", "", "urban", "Asia/Shanghai", "0856-95598"),
        ("0101", "城东供电分局", "East branch", "010", "urban", "Asia/Shanghai", ""),
    ),
    "elements": (
        ("S1", "substation", "110kV城东变", "010", "", "", "yes", "no", "109.19", "27.72", ""),
        ("F101", "feeder", "10kV东风线", "0101", "S1", "", "no", "no", "", "", ""),
        ("K1", "switch", "联络开关", "0101", "F101", "F102", "no", "yes", "", "", ""),
    ),
    "customers": (
        ("1000000001", "陈静", "", "residential", "normal", "zh-hans", "0101", "13800138000", "chen@example.com"),
    ),
    "service_points": (
        ("SP0001", "M0001", "1000000001", "T11", "", "东风路12号3单元501室", "109.19", "27.72", "4", "0.4"),
    ),
}


def template(table: str) -> str:
    """An empty file of one kind with its heading and an example row or two."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS[table])
    writer.writerows(EXAMPLES[table])
    return out.getvalue()


def read(staging: Staging, files: Sequence[tuple[str, Path]]) -> None:
    """Stage CSV files; what a file holds is told by its heading."""
    staging.source = staging.source or "csv"
    for number, (name, path) in enumerate(files):
        staging.progress(5 + 30 * number // max(len(files), 1), "reading")
        _read_one(staging, name, path)


def _read_one(staging: Staging, name: str, path: Path) -> None:
    encoding = _encoding_of(path)
    if encoding is None:
        staging.problems.append(Problem("bad_encoding", file=name))
        return
    with path.open("rb") as stream:
        if stream.read(3) != codecs.BOM_UTF8:
            stream.seek(0)
        heading = _heading(stream, encoding)
        table = _table_of(heading)
        if table is None:
            staging.problems.append(Problem("unknown_file", file=name, row=1))
            return
        problems = [
            *(Problem("unknown_column", name, 1, c, c) for c in heading if c not in COLUMNS[table]),
            *(Problem("missing_column", name, 1, c, c) for c in REQUIRED[table] if c not in heading),
            *(Problem("duplicate", name, 1, c, c) for c in set(heading) if heading.count(c) > 1),
        ]
        if problems:
            staging.problems.extend(problems)
            return
        staging.copy_csv(
            table, file=name, columns=heading, stream=stream, encoding="UTF8" if encoding == "utf-8" else "GB18030"
        )


def _heading(stream: IO[bytes], encoding: str) -> list[str]:
    line = stream.readline(HEADING_LIMIT).decode(encoding, errors="replace")
    return [cell.strip().lower() for cell in next(csv.reader([line]), [])]


def _table_of(heading: list[str]) -> str | None:
    columns = set(heading)
    if {"code", "kind"} <= columns:
        return "elements"
    if {"account_number", "element"} <= columns:
        return "service_points"
    if {"account_number", "name"} <= columns:
        return "customers"
    return "branches" if {"code", "name"} <= columns else None


def _encoding_of(path: Path) -> str | None:
    """UTF-8 if every byte fits, else GBK (in its widest form) if every byte fits that."""
    for encoding in ("utf-8", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with path.open("rb") as stream:
                while block := stream.read(1 << 20):
                    if b"\0" in block:
                        return None
                    decoder.decode(block)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    return None
