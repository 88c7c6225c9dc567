"""The contracts that other programs check: imports, tables, deployment, the published interface."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from tests.notifications.world import GATEWAY

TOOLS = Path(sys.executable).parent


def test_apps_import_downward_only() -> None:
    done = subprocess.run(
        [str(TOOLS / "lint-imports")], cwd=settings.BASE_DIR, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


@pytest.mark.django_db
def test_the_tables_are_what_the_models_say() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=1)


def test_a_site_behind_tls_passes_the_deployment_checks(tmp_path: Path) -> None:
    gateway = tmp_path / "gateway.yaml"
    gateway.write_text(GATEWAY.format(url="https://sms.example.org"), encoding="utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "DJANGO_ALLOW_ASYNC_UNSAFE"},
        "EMAIL_URL": "smtp://mail.example.org:25",
        "SMS_GATEWAY": str(gateway),
        "DJANGO_SETTINGS_MODULE": "outage_mgmt.settings",
        "DEBUG": "false",
        "SECRET_KEY": "k" * 30 + "0123456789abcdefghijklmnopqrst",
        "ALLOWED_HOSTS": "outages.example.org",
        "SECURE_BEHIND_TLS": "true",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.django_db
def test_the_published_interface_is_the_one_in_the_repository() -> None:
    """``make openapi`` writes it after a wanted change; a reviewer reads the difference."""
    kept = settings.BASE_DIR / "docs" / "openapi.yaml"
    now = io.StringIO()

    call_command("spectacular", stdout=now, validate=True, fail_on_warn=True)

    assert now.getvalue().strip() == kept.read_text().strip()
