"""Import a network and its customers from files."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from grid.importers.staging import problem_text
from grid.services import READERS, format_guess, import_create, import_run


class Command(BaseCommand):
    help = "Import a network and its customers: CSV, CIM XML or OpenDSS files. Importing again applies the difference."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        parser.add_argument("--format", choices=sorted(READERS), help="told by the files' endings when left out")
        parser.add_argument("--dry-run", action="store_true", help="only show what would change")
        parser.add_argument("--branch", default="", help="branch of a CIM or OpenDSS network")
        parser.add_argument("--source", default="", help="name of the origin, when it is not the network's own name")

    def handle(self, *args: Any, **options: Any) -> None:
        paths: list[Path] = options["files"]
        for path in paths:
            if not path.is_file():
                raise CommandError(f"There is no file {path}.")
        names = [path.name for path in paths]
        source_format = options["format"] or format_guess(names)
        if source_format is None:
            raise CommandError("The files' endings do not tell their format; give it with --format csv, cim or dss.")
        grid_import = import_create(
            file_names=names,
            source_format=source_format,
            by=getpass.getuser(),
            source=options["source"],
            branch_code=options["branch"],
            is_dry_run=options["dry_run"],
        )
        changes = import_run(grid_import=grid_import, paths=paths, apply=not options["dry_run"])
        for warning in grid_import.warnings:
            self.stderr.write(self.style.WARNING(_line(warning)))
        if changes is None:
            for problem in grid_import.errors:
                self.stderr.write(_line(problem))
            raise CommandError(f"Nothing was changed: {len(grid_import.errors)} problems (import {grid_import.pk}).")
        for table, counts in changes.counts.items():
            self.stdout.write(
                f"{table:15} added {counts['added']:>9}  changed {counts['changed']:>9}  removed {counts['removed']:>9}"
            )
        self.stdout.write(
            f"import {grid_import.pk}: {'preview only, nothing written' if options['dry_run'] else 'done'}"
        )


def _line(problem: dict[str, Any]) -> str:
    place = ":".join(str(part) for part in (problem["file"], problem["row"], problem["column"]) if part)
    return f"{place}: {problem_text(problem)}" if place else problem_text(problem)
