"""How old the data are that the guards judge by."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Max

from billing_cutoffs.models import BillingAccount, Payment, TemperatureForecast
from grid.models import Branch


def data_age(branch: Branch) -> dict[str, datetime | None]:
    """When billing last stated, a payment last came in, and the forecast was last renewed, for this branch."""
    below = (branch.pos, branch.last)
    accounts = BillingAccount.objects.filter(branch__pos__range=below)
    payments = Payment.objects.filter(account__branch__pos__range=below)
    forecasts = TemperatureForecast.objects.filter(branch__pos__lte=branch.pos, branch__last__gte=branch.pos)
    return {
        "statements": accounts.aggregate(latest=Max("statement_at"))["latest"],
        "payments": payments.aggregate(latest=Max("received_at"))["latest"],
        "forecast": forecasts.aggregate(latest=Max("issued_at"))["latest"],
    }
