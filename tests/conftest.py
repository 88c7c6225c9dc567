"""What all tests share: a real PostgreSQL, a real Redis, the site's own languages."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test import TransactionTestCase
from django.utils import translation
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from billing_cutoffs.models import BillingAccount
from billing_cutoffs.services import proofs

# machines are noisy: no example is refused for being slow
hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("patient")

DATA = Path(settings.BASE_DIR).parent / "shared" / "data"
needs_data = pytest.mark.skipif(
    not (DATA / "README.md").exists(), reason=f"development data not found at {DATA}; see CONTRIBUTING.md"
)


# what a test left behind, table by table; most are empty, and a TRUNCATE of them all costs more than most tests
_CLEAR = """
DO $$
DECLARE
    name text;
    has_rows boolean;
BEGIN
    SET LOCAL session_replication_role = replica; -- the history refuses this everywhere else
    FOR name IN
        SELECT format('%I', relname) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
          AND relname NOT IN ('django_migrations', 'django_content_type', 'auth_permission')
    LOOP
        EXECUTE 'SELECT EXISTS (SELECT FROM ' || name || ')' INTO has_rows;
        IF has_rows THEN
            EXECUTE 'DELETE FROM ' || name;
        END IF;
    END LOOP;
END $$
"""


def _clear(_case: TransactionTestCase) -> None:
    with connection.cursor() as db:
        db.execute(_CLEAR)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[None]:
    """Tests that commit are cleared away by what they wrote, not by emptying every table there is.

    At the end nobody may still hold the test database open: killed processes and ended threads leave connections.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", _clear)
        yield
    with django_db_blocker.unblock(), connection.cursor() as db:  # type: ignore[attr-defined]
        db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    with translation.override("en"):
        yield


@pytest.fixture(autouse=True)
def _kept_counts_agree(request: pytest.FixtureRequest) -> Iterator[None]:
    """After every test that touched the record, the kept counts still say what the interruptions say.

    Where a test had debts, what must hold about debts and cut-offs holds too.
    """
    database = next((name for name in ("transactional_db", "db") if name in request.fixturenames), None)
    if database is None or request.node.get_closest_marker("counts_made_wrong"):
        yield
        return
    request.getfixturevalue(database)
    yield
    call_command("verify_counts", stdout=StringIO())
    if not request.node.get_closest_marker("debts_by_hand") and BillingAccount.objects.exists():
        assert proofs.invariants_broken() == {}
