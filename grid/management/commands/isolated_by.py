"""Say which service points lose supply when elements open."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from grid.models import GridElement
from grid.topology import isolated_service_points


class Command(BaseCommand):
    help = 'For every case of a JSON file [{"open": ["code", ...]}, ...] print who loses supply.'

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.json")

    def handle(self, *args: Any, **options: Any) -> None:
        cases = _cases(options["file"])
        wanted = {code for case in cases for code in case}
        ids = dict(GridElement.objects.filter(code__in=wanted).values_list("code", "pk"))
        unknown = sorted(wanted - ids.keys())
        if unknown:
            raise CommandError("No grid element has the code: " + ", ".join(unknown))
        answers = [isolated_service_points([ids[code] for code in case]) for case in cases]
        self.stdout.write(json.dumps(answers, ensure_ascii=False))


def _cases(path: Path) -> list[list[str]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as broken:
        raise CommandError(f"{path} cannot be read: {broken}") from broken
    if not isinstance(data, list):
        raise CommandError('The file must hold a list of cases: [{"open": ["code", ...]}, ...]')
    cases = []
    for number, case in enumerate(data, start=1):
        codes = case.get("open") if isinstance(case, dict) else None
        if isinstance(codes, str):
            codes = [codes]
        if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
            raise CommandError(f'Case {number} has no list "open" of element codes.')
        cases.append(codes)
    return cases
