"""Make a believable city."""

from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from grid.importers.staging import ImportRefused, problem_text
from grid.services import grid_generate


class Command(BaseCommand):
    help = "Make a believable city in a Chinese prefecture, the same for the same seed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--service-points", type=int, required=True, metavar="N")
        parser.add_argument("--seed", type=int, default=1, metavar="S")
        parser.add_argument("--branch-prefix", default="0856", help="codes of branches and elements begin with it")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["service_points"] <= 20_000_000:
            raise CommandError("--service-points must lie between 1 and 20,000,000.")
        if options["seed"] < 0:
            raise CommandError("--seed must not be negative.")
        try:
            changes = grid_generate(
                service_points=options["service_points"],
                seed=options["seed"],
                prefix=options["branch_prefix"],
                by=getpass.getuser(),
            )
        except ImportRefused as refused:
            lines = [problem_text(problem.as_dict()) for problem in refused.problems[:20]]
            raise CommandError("\n".join(lines)) from refused
        for table, counts in changes.counts.items():
            self.stdout.write(
                f"{table:15} added {counts['added']:>9}  changed {counts['changed']:>9}  removed {counts['removed']:>9}"
            )
