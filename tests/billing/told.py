"""What billing and the bank say in tests, as an item of a body."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from tests.billing.world import today
from tests.factories.grid import SmallCity

CHEN, WANG, SMITH = "1000000001", "1000000002", "1000000004"  # chen and wang live in the east, smith in the west


def statement(
    city: SmallCity, number: str = WANG, *bills: tuple[str, int, str], as_of: datetime | None = None, **more: Any
) -> dict[str, Any]:
    """``bills`` are (number, days since it was due, amount); without any the account owes nothing."""
    day = today(city.east).date()
    return {
        "account_number": number,
        "as_of": (as_of or timezone.now()).isoformat(),
        "bills": [
            {"number": bill, "due_on": (day - timedelta(days=days)).isoformat(), "open_amount": amount}
            for bill, days, amount in bills
        ],
        **more,
    }


def payment(
    number: str = WANG, amount: str = "320.00", *, name: str = "P1", status: str = "settled", **more: Any
) -> dict[str, Any]:
    """A payment made a moment ago."""
    return {
        "payment_id": name,
        "account_number": number,
        "amount": amount,
        "paid_at": timezone.now().isoformat(),
        "status": status,
        **more,
    }
