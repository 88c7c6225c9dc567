"""What the tests of letters say to each other: a draft, an issue, a withdrawal, a receipt, the proof."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.test import Client

from grid.models import Customer
from notifications import letters
from notifications.letters import LetterDraft, LetterProof
from notifications.models import Delivery, Lane
from tests.factories.grid import SmallCity
from tests.notifications.world import in_hours

PROVIDER = Client()  # made once, for it loads every middleware


def draft(city: SmallCity, name: str, text: str = "您有一封信。", **more: Any) -> LetterDraft:
    customer = city.customers[name]
    facts = {"service_point_id": None, "ref": f"L-{name}", "subject": "一封信", "language": customer.language, **more}
    return LetterDraft(customer_id=customer.pk, text=text, **facts)


def issue(city: SmallCity, *drafts: LetterDraft, **more: Any) -> dict[int, int]:
    facts: dict[str, Any] = {
        "origin": "test:1",
        "author": "ben",
        "branch_id": city.east.pk,
        "lane": Lane.PLANNED,
        "expires_at": in_hours(24),
        "is_mandatory": False,
        **more,
    }
    with transaction.atomic():
        return letters.letters_issue(drafts=drafts, **facts)


def withdraw(letter_ids: Collection[int]) -> int:
    with transaction.atomic():
        return letters.letters_withdraw(letter_ids=letter_ids)


def proof(issued: dict[int, int], customer: Customer) -> LetterProof:
    letter = issued[customer.pk]
    return letters.letters_proof(letter_ids=[letter])[letter]


def receipt(delivery: Delivery, status: str) -> None:
    body = json.dumps({"id": delivery.provider_id, "status": status})
    headers = {"X-Receipt-Secret": "agreed-with-the-provider"}
    PROVIDER.post("/api/v1/receipts/sms/", body, content_type="application/json", headers=headers)
