"""保留: what bars the cut of an account. Set by a person or told by another system; ended early by another person."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

import standards
from accounts.actor import Actor
from billing_cutoffs import lifecycle, policies
from billing_cutoffs.intake.items import DuplicateItem, Outcome, Refusals
from billing_cutoffs.intake.shapes import HoldTold, hold_reader
from billing_cutoffs.models import AccountHold, BillingAccount, CutoffOrder, HoldKind
from billing_cutoffs.services import reconnection
from billing_cutoffs.services.feed.kept import UnknownAccount, accounts_known
from billing_cutoffs.services.guards import OwnHold, orders_guard, reason_required
from standards.errors import Conflict, DomainError, Forbidden, NotFound


class BadUntil(DomainError):
    code = "bad_until"
    message = _("The end must lie ahead.")


class UntilMissing(DomainError):
    code = "until_missing"
    message = _("Say until when, or that it stands until somebody ends it.")


class DateMissing(DomainError):
    code = "date_missing"
    message = _("A promise to pay has a date.")


class TooLong(DomainError):
    code = "hold_too_long"
    message = _("A medical need bars the cut for at most %(days)g days.")


class NoAgreement(DomainError):
    code = "no_agreement"
    message = _("Only a promise to pay can be agreed instead of the payment.")


class HoldOver(Conflict):
    code = "hold_over"
    message = _("This hold has ended already.")


class HoldDiffers(Conflict):
    code = "hold_differs"
    message = _("The hold of this reference is about another account or of another kind.")


def hold_set(
    *,
    actor: Actor,
    account_id: int,
    kind: str,
    reason: str = "",
    until: datetime | None = None,
    is_open_ended: bool = False,
    amount: Decimal | None = None,
    orders_reconnection: bool = False,
) -> AccountHold:
    """Bar the cut of one account from now on: a medical need, a dispute, a promise to pay, supply to be kept.

    Whatever of it has not left for the meter is held at once. ``orders_reconnection``: an agreement to pay by
    instalments, which brings back what is off although the debt stands; whoever may order a reconnection makes it.
    """
    with transaction.atomic(durable=True):
        account = BillingAccount.objects.select_related("branch").filter(pk=account_id).first()
        if account is None:
            raise NotFound()
        policies.require(actor=actor, action="set_hold", branch=account.branch)
        now = timezone.now()
        if until is not None and until <= now:
            raise BadUntil(field="until")
        if kind == HoldKind.MEDICAL:
            until = _medical_until(account, now, until)
        elif kind == HoldKind.PROMISE and until is None:
            raise DateMissing(field="until")
        elif until is None and not is_open_ended:
            raise UntilMissing(field="until")
        if orders_reconnection:
            if kind != HoldKind.PROMISE:
                raise NoAgreement(field="orders_reconnection")
            policies.require(actor=actor, action="reconnect", branch=account.branch)
        hold = AccountHold.objects.create(
            account=account,
            kind=kind,
            reason=reason.strip()[:500] if kind in _SPEAK_FOR_THEMSELVES else reason_required(reason),
            amount=amount,
            orders_reconnection=orders_reconnection,
            since=now,
            until=until,
            set_by_id=actor.user_id,
            set_by_name=actor.name,
        )
        _orders_follow(account_ids=[account.pk], agreed=[account.pk] if orders_reconnection else [], actor=actor)
        return hold


_SPEAK_FOR_THEMSELVES: Final = (HoldKind.MEDICAL, HoldKind.PROMISE)


def _medical_until(account: BillingAccount, now: datetime, until: datetime | None) -> datetime | None:
    """As long as the rule pack allows, and no longer."""
    longest = standards.pack(account.branch.rule_pack).protections.medical_hold
    if longest is None:
        return until
    if until is not None and until > longest.after(now):
        raise TooLong(field="until", days=longest.value)
    return until or longest.after(now)


def hold_release(*, actor: Actor, hold_id: int, reason: str) -> AccountHold:
    """Another person ends a hold before its time, and says why. What it held is looked at anew."""
    with transaction.atomic(durable=True):
        holds = AccountHold.objects.select_for_update(of=("self",)).select_related("account__branch")
        hold = holds.filter(pk=hold_id).first()
        if hold is None:
            raise NotFound()
        policies.require(actor=actor, action="release_hold", branch=hold.account.branch)
        now = timezone.now()
        if hold.released_at is not None or (hold.until is not None and hold.until <= now):
            raise HoldOver()
        if hold.set_by_id is not None and hold.set_by_id == actor.user_id:
            raise OwnHold()
        hold.released_by_id, hold.released_by_name = actor.user_id, actor.name
        hold.released_at, hold.release_reason = now, reason_required(reason)
        hold.save(update_fields=["released_by", "released_by_name", "released_at", "release_reason"])
        _orders_follow(account_ids=[hold.account_id], actor=actor)
        return hold


def _orders_follow(*, account_ids: Collection[int], agreed: Collection[int] = (), actor: Actor) -> None:
    """What has not left is held or freed; what is off comes back where that is agreed."""
    before = CutoffOrder.objects.filter(case__account__in=list(account_ids), state__in=lifecycle.BEFORE_COMMAND)
    orders_guard(order_ids=list(before.values_list("pk", flat=True)), stage="propose", actor=actor)
    if agreed:
        reconnection.accounts_paid(account_ids=agreed, actor=actor)


# --- told by other systems ----------------------------------------------------------------------------

_KNOWN: Final = """
SELECT source_ref, account_id, kind, until, set_by_id FROM billing_cutoffs_accounthold
WHERE source_system = %(source)s AND source_ref = ANY(%(refs)s) ORDER BY id FOR NO KEY UPDATE
"""
# what was ended here or there stays ended; what is told unchanged is not written
_WRITE: Final = """
INSERT INTO billing_cutoffs_accounthold AS h
    (account_id, kind, reason, amount, orders_reconnection, since, until, source_system, source_ref, set_by_name,
     released_by_name, released_at, release_reason, set_by_id)
SELECT t.account, t.kind, t.reason, t.amount, t.reconnects, t.since, t.until, %(source)s, t.ref, %(name)s,
       CASE WHEN t.ended IS NULL THEN '' ELSE %(name)s END, t.ended, '', %(person)s::bigint
FROM unnest(%(accounts)s::bigint[], %(kinds)s::text[], %(reasons)s::text[], %(amounts)s::numeric[],
            %(reconnects)s::bool[], %(since)s::timestamptz[], %(until)s::timestamptz[], %(refs)s::text[],
            %(ended)s::timestamptz[]) t(account, kind, reason, amount, reconnects, since, until, ref, ended)
ORDER BY t.account, t.ref
ON CONFLICT (source_system, source_ref) WHERE source_ref <> '' DO UPDATE SET
    reason = excluded.reason, amount = excluded.amount, orders_reconnection = excluded.orders_reconnection,
    until = excluded.until, released_by_name = excluded.released_by_name, released_at = excluded.released_at,
    released_by_id = CASE WHEN excluded.released_at IS NOT NULL THEN %(person)s::bigint END
WHERE h.released_at IS NULL AND (excluded.until IS NULL OR excluded.until > h.since)
  AND (h.reason, h.amount, h.orders_reconnection, h.until, h.released_at) IS DISTINCT FROM
      (excluded.reason, excluded.amount, excluded.orders_reconnection, excluded.until, excluded.released_at)
RETURNING source_ref
"""


def holds_receive(*, actor: Actor, source_system: str, items: Sequence[Any]) -> list[Outcome]:
    """Another system tells what bars cuts, and when that ends. Outcomes: applied, unchanged, or why it is refused.

    The same reference again is the same hold: its end may move. What a person has ended here stays ended. A person
    who hands in such a list ends and agrees nothing with it that they may not on the pages.
    """
    source = source_system[:64]
    answers = Refusals(items, lambda item: str(item.get("ref") or item.get("account_number") or ""))
    told = answers.read(items, hold_reader(timezone.now()))
    with transaction.atomic(), connection.cursor() as db:
        numbers = {one.account_number for one in told.values()}
        accounts = accounts_known(actor=actor, action="set_hold", numbers=numbers)
        db.execute(_KNOWN, {"source": source, "refs": [one.ref for one in told.values()]})
        known = {ref: _Known(*facts) for ref, *facts in db.fetchall()}
        is_person = actor.kind == "user"
        asked = numbers if is_person else ()
        may_end = accounts_known(actor=actor, action="release_hold", numbers=asked)
        may_agree = accounts_known(actor=actor, action="reconnect", numbers=asked)
        first: dict[str, int] = {}
        for at, one in told.items():
            standing = known.get(one.ref)
            if one.account_number not in accounts:
                answers.refuse(at, UnknownAccount(field="account_number"))
            elif standing and (standing.account_id, standing.kind) != (accounts[one.account_number], one.kind):
                answers.refuse(at, HoldDiffers(field="ref"))
            elif is_person and one.orders_reconnection and one.account_number not in may_agree:
                answers.refuse(at, Forbidden(field="orders_reconnection"))
            elif standing and is_person and _ends(standing, one) and one.account_number not in may_end:
                answers.refuse(at, Forbidden(field="ref"))
            elif standing and is_person and _ends(standing, one) and standing.set_by_id == actor.user_id:
                answers.refuse(at, OwnHold(field="ref"))
            elif first.setdefault(one.ref, at) != at:
                answers.refuse(at, DuplicateItem(field="ref"))
        rows = [told[at] for at in first.values()]
        person = actor.user_id if is_person else None
        db.execute(_WRITE, {"source": source, "name": actor.name[:150], "person": person, **_columns(rows, accounts)})
        written = {ref for (ref,) in db.fetchall()}
        for ref, at in first.items():
            answers.settle(at, "applied" if ref in written else "unchanged")
        touched = [one for one in rows if one.ref in written]
        _orders_follow(
            account_ids={accounts[one.account_number] for one in touched},
            agreed={accounts[one.account_number] for one in touched if one.orders_reconnection and not one.ended_at},
            actor=actor,
        )
    return answers.in_order()


class _Known(NamedTuple):
    account_id: int
    kind: str
    until: datetime | None
    set_by_id: int | None


def _ends(standing: _Known, told: HoldTold) -> bool:
    """Now, or sooner than it would."""
    is_sooner = told.until is not None and (standing.until is None or told.until < standing.until)
    return told.ended_at is not None or is_sooner


def _columns(rows: Sequence[HoldTold], accounts: dict[str, int]) -> dict[str, list[Any]]:
    return {
        "accounts": [accounts[one.account_number] for one in rows],
        "kinds": [one.kind for one in rows],
        "reasons": [one.reason for one in rows],
        "amounts": [one.amount for one in rows],
        "reconnects": [one.orders_reconnection for one in rows],
        "since": [one.since for one in rows],
        "until": [one.until for one in rows],
        "refs": [one.ref for one in rows],
        "ended": [one.ended_at for one in rows],
    }
