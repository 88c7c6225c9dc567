"""``manage.py check_invariants``: what must always hold about messages, proved against the database."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from notifications import services


class Command(BaseCommand):
    help = "Prove that every message owed is in exactly one state and nobody was written to twice."

    def handle(self, *_args: Any, **_options: Any) -> None:
        broken = services.invariants_broken()
        for sentence, rows in broken.items():
            self.stderr.write(f"BROKEN: {sentence}: {', '.join(rows)}")
        if broken:
            raise CommandError(f"{len(broken)} invariants are broken.")
        self.stdout.write("All invariants hold.")
