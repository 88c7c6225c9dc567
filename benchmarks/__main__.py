"""``make bench``: every budget of the design against its bare limit, measured in the same run.

Runs on servers of its own under ``DATA_DIR/bench`` (thrown away first), prints one table, writes
``benchmarks/results/<time>.json`` and, with ``--write``, ``docs/bench.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--service-points", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="measure only these")
    parser.add_argument("--keep", action="store_true", help="keep the bench's database and use it again")
    parser.add_argument("--write", action="store_true", help="also write docs/bench.md")
    options = parser.parse_args()

    data_dir = Path(os.environ.get("DATA_DIR") or ROOT / ".data").resolve() / "bench"
    if data_dir.exists() and not options.keep:
        shutil.rmtree(data_dir)
    os.environ |= {"DATA_DIR": str(data_dir), "DEBUG": "false", "DJANGO_SETTINGS_MODULE": "outage_mgmt.settings"}
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    _run(options)


def _run(options: argparse.Namespace) -> None:
    import django

    django.setup()

    from django.core.management import call_command

    from benchmarks import machine, report, work

    print("Preparing the database ...", flush=True)
    call_command("migrate", verbosity=0)
    measurements = [m for m in work.MEASUREMENTS if not options.only or m.name in options.only]
    unknown = set(options.only) - {m.name for m in work.MEASUREMENTS}
    if unknown:
        known = ", ".join(m.name for m in work.MEASUREMENTS)
        sys.exit(f"No measurement is called {', '.join(sorted(unknown))}; there are {known}.")
    city = work.city(options.service_points)
    results = []
    for measurement in measurements:
        print(f"Measuring {measurement.name} ...", flush=True)
        results.append(measurement.run(city))
    about = machine.describe() | {"service_points": options.service_points}
    print("\n" + report.table(results, about))
    folder = ROOT / "benchmarks" / "results"
    folder.mkdir(exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(
        json.dumps({"machine": about, "results": [r.as_dict() for r in results]}, indent=2, ensure_ascii=False)
    )
    print(f"\nWritten to {path.relative_to(ROOT)}")
    if options.write:
        (ROOT / "docs" / "bench.md").write_text(report.page(results, about))


if __name__ == "__main__":
    main()
