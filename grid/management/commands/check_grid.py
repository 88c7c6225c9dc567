"""Prove that the kept trees and totals equal what the rows say."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from grid.forest import totals_wrong


class Command(BaseCommand):
    help = "Compare the kept intervals and totals of the network with what its rows say; fails when one differs."

    def handle(self, *args: Any, **options: Any) -> None:
        wrong = totals_wrong()
        for code, what in wrong[:50]:
            self.stderr.write(f"{code}: {what}")
        if wrong:
            raise CommandError(f"{len(wrong)} elements differ from what their rows say.")
        self.stdout.write("The kept trees and totals are right.")
