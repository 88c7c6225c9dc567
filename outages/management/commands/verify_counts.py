"""Prove that the kept counts say what the interruptions say."""

from __future__ import annotations

import math
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from outages.impact import counts_by_rows
from outages.models import Outage
from outages.services import COUNT_FIELDS


class Command(BaseCommand):
    help = "Compare every outage's kept counts with its interruptions; exit 1 with a list if any differ."

    def handle(self, *args: Any, **options: Any) -> None:
        rows, wrong, checked = counts_by_rows(), [], 0
        nothing = dict.fromkeys(COUNT_FIELDS, 0)
        for outage in Outage.objects.only("reference", *COUNT_FIELDS).iterator(chunk_size=2000):
            checked += 1
            said = rows.get(outage.pk, nothing)
            for name in COUNT_FIELDS:
                if not math.isclose(getattr(outage, name), said[name], abs_tol=1e-6):
                    wrong.append(f"{outage.reference}: {name} kept {getattr(outage, name)}, rows say {said[name]}")
        if wrong:
            raise CommandError("\n".join(wrong))
        self.stdout.write(f"{checked} outages checked, all counts agree.")
