"""A branch's spreadsheet on its way into the plan: kept, read, checked, corrected, imported.

The two long steps run in the background. Each holds an advisory lock while it works, so a task that comes twice does
nothing the second time, and one whose worker was killed is found by the sweep and simply done again: what it had not
finished was rolled back with it.
"""

from __future__ import annotations

from outages.planned.services.sheets.arriving import (
    MappingIncomplete,
    sheet_choose,
    sheet_discard,
    sheet_map,
    sheet_read,
    sheet_upload,
)
from outages.planned.services.sheets.correcting import row_edit, rows_replace
from outages.planned.services.sheets.importing import (
    MOST_TRIES,
    ImportDied,
    NothingToImport,
    sheet_import,
    sheet_import_start,
    sheets_left_behind,
)
from outages.planned.services.sheets.kept import RUNNING, SheetNotWaiting, editable_in, path_of, table_of

__all__ = [
    "MOST_TRIES", "RUNNING", "ImportDied", "MappingIncomplete", "NothingToImport", "SheetNotWaiting", "editable_in",
    "path_of", "row_edit", "rows_replace", "sheet_choose", "sheet_discard", "sheet_import", "sheet_import_start",
    "sheet_map", "sheet_read", "sheet_upload", "sheets_left_behind", "table_of",
]  # fmt: skip
