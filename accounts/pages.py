"""What every page shares: fragment or page decided in one place, and times written in one way."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _


def wants_fragment(request: HttpRequest) -> bool:
    """True for htmx's own requests, never for a history restore or a boosted link: those need the whole page."""
    htmx = getattr(request, "htmx", None)
    return htmx is not None and bool(htmx) and not htmx.history_restore_request and not htmx.boosted


def page_or_fragment(
    request: HttpRequest,
    page_template: str,
    fragment_template: str,
    context: Mapping[str, Any],
    *,
    status: int = 200,
) -> HttpResponse:
    """The fragment for htmx, the page (which includes the same fragment) for everybody else.

    The answer always varies on ``HX-Request``, so no cache hands the one to somebody who asked for the other.
    """
    template = fragment_template if wants_fragment(request) else page_template
    response = render(request, template, dict(context), status=status)
    patch_vary_headers(response, ["HX-Request", "HX-History-Restore-Request"])
    return response


# --- times ------------------------------------------------------------------------------------------

_WEEKDAYS_ZH: Final = "一二三四五六日"


def moment(value: datetime | None) -> str:
    """The time alone today, otherwise with the day: 16:30, 11月24日(周二) 08:00, Tue 24 Nov 08:00."""
    if value is None:
        return ""
    local = timezone.localtime(value)
    if local.date() == timezone.localdate():
        return local.strftime("%H:%M")
    return f"{day(value)} {local:%H:%M}"


def day(value: datetime | None) -> str:
    """The day with its weekday; the year only where it is another one."""
    if value is None:
        return ""
    local = timezone.localtime(value)
    is_this_year = local.year == timezone.localdate().year
    if (get_language() or "").startswith("zh"):
        year = "" if is_this_year else f"{local.year}年"
        return f"{year}{local.month}月{local.day}日(周{_WEEKDAYS_ZH[local.weekday()]})"
    return f"{local:%a} {local.day} {local:%b}{'' if is_this_year else f' {local.year}'}"


def span(value: timedelta | None) -> str:
    """How long, in the two units that matter: 41 min, 2 h 05, 3 d 4 h."""
    if value is None:
        return ""
    minutes = max(0, int(value.total_seconds() // 60))
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    if days:
        return _("%(days)d d %(hours)d h") % {"days": days, "hours": hours}
    if hours:
        return _("%(hours)d h %(minutes)02d") % {"hours": hours, "minutes": minutes}
    return ngettext("%(minutes)d min", "%(minutes)d min", minutes) % {"minutes": minutes}


# --- exports ----------------------------------------------------------------------------------------


def cell_text(value: object) -> str:
    """A value as a spreadsheet shows it: times in the site's zone, and nothing that would run there as a formula."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return timezone.localtime(value).strftime("%Y-%m-%d %H:%M")
    text = str(value)
    is_number = isinstance(value, int | float)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) and not is_number else text


class _Echo:
    def write(self, text: str) -> str:
        return text


def csv_response(name: str, heads: Iterable[object], rows: Iterable[Iterable[object]]) -> StreamingHttpResponse:
    """A table as a spreadsheet would want it, row by row; the file is called by ``name`` and the time."""
    response = StreamingHttpResponse(_csv_lines(heads, rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{name}-{timezone.localtime():%Y%m%d-%H%M}.csv"'
    return response


def _csv_lines(heads: Iterable[object], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow([cell_text(head) for head in heads])  # the mark tells spreadsheets: this is UTF-8
    for row in rows:
        yield writer.writerow([cell_text(value) for value in row])
