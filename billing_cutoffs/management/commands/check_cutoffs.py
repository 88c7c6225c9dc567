"""``manage.py check_cutoffs``: what must always hold about debts and cut-offs, proved against the database."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing_cutoffs.services import proofs


class Command(BaseCommand):
    help = "Prove that debts are what bills and payments say, and that no order, command or record contradicts another."

    def handle(self, *_args: Any, **_options: Any) -> None:
        broken = proofs.invariants_broken()
        for sentence, rows in broken.items():
            self.stderr.write(f"BROKEN: {sentence}: {', '.join(rows)}")
        if broken:
            raise CommandError(f"{len(broken)} invariants are broken.")
        self.stdout.write("All invariants hold.")
