"""Who may do what. The table of capabilities, and the one question every app's own ``policies.py`` asks.

``actor_may(actor, "outage.write", branch.pos)`` is the whole mechanism. An app's ``policies.py`` holds plain
functions (``may_x(actor, thing) -> bool``, ``require_x(actor, thing)`` raising ``Forbidden``) that name one
capability each and add what depends on the thing itself (its state, its author). Services ask to decide, views
and templates to show the button. A capability that is not in ``CAPABILITIES`` is a programming error.

=======================  ===================================================================================
``outage.read``          outages, board, map, timeline            (agents: every branch, see ``READ_EVERYWHERE``)
``outage.write``         confirm, edit, estimate, restore, merge, cancel; log a fault, assign a crew
``outage.note``          add a note
``outage.reopen``        reopen or void after closing
``report.create``        trouble report, callback
``plan.submit``          draft and submit plans and works
``plan.endorse``         endorse a branch's plans as its lead (never one's own)
``plan.approve``         approve and publish plans (never one's own)
``shedding.write``       order and propose load shedding
``shedding.approve``     confirm a shedding event (never one's own)
``notice.draft``         write a notice
``notice.approve``       approve a notice above the limit (never one's own)
``notice.pause``         pause or withdraw sending
``delivery.read``        the delivery log, masked
``call.log``             the console: log calls, keep drafts, promise callbacks
``customer.read_masked`` customers with name, phone and address masked; search in the console
``customer.read_call``   the caller's own record in clear during the call
``customer.reveal``      reveal a phone or an address, with a reason, audited
``arrears.read``         arrears: accounts, bills, payments, notices
``arrears.read_call``    the caller's own arrears, once their identity is checked
``arrears.write``        arrears from the billing system
``payment.write``        payments from the billing system
``cutoff.read``          cut-off orders
``cutoff.propose``       propose and command cut-offs
``cutoff.draft``         hand in proposals for cut-offs that a person submits (machines)
``cutoff.approve``       approve cut-offs (never one's own)
``protection.set``       bar a customer's cut-off: medical need, dispute, promise to pay, supply to be kept
``protection.release``   end such a bar early (never one's own)
``grid.read``            the network: elements, branches, transfer options
``grid.import``          import the network or customers
``rules.read``           the rule packs in force
``templates.manage``     message templates, quiet hours
``audit.read``           access log and histories
``users.read``           see users, roles and tokens
``users.manage``         create and disable users, grant and end roles, tokens
``integration.manage``   webhooks, gateways, their state
``event.read``           the gap-free feed of outage events
``supply.read``          supply status of one premises
``meter_event.create``   meter events
``ivr.use``              the IVR contract
``cti.use``              the telephone contract
``stats.read``           figures and reliability indices
=======================  ===================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from accounts.actor import Actor
from standards.errors import Forbidden

CAPABILITIES: Final[frozenset[str]] = frozenset(
    {
        "outage.read",
        "outage.write",
        "outage.note",
        "outage.reopen",
        "report.create",
        "plan.submit",
        "plan.endorse",
        "plan.approve",
        "shedding.write",
        "shedding.approve",
        "notice.draft",
        "notice.approve",
        "notice.pause",
        "delivery.read",
        "call.log",
        "customer.read_masked",
        "customer.read_call",
        "customer.reveal",
        "arrears.read",
        "arrears.read_call",
        "arrears.write",
        "payment.write",
        "cutoff.read",
        "cutoff.propose",
        "cutoff.draft",
        "cutoff.approve",
        "protection.set",
        "protection.release",
        "grid.read",
        "grid.import",
        "rules.read",
        "templates.manage",
        "audit.read",
        "users.read",
        "users.manage",
        "integration.manage",
        "event.read",
        "supply.read",
        "meter_event.create",
        "ivr.use",
        "cti.use",
        "stats.read",
    }
)

# what every person with any role may see in the branches of that role
_READ: Final = frozenset({"outage.read", "grid.read", "event.read", "supply.read", "rules.read", "stats.read"})

ROLE_CAPABILITIES: Final[Mapping[str, frozenset[str]]] = {
    "agent": _READ
    | {
        "outage.note",
        "report.create",
        "call.log",
        "customer.read_masked",
        "customer.read_call",
        "customer.reveal",
        "arrears.read_call",
        "protection.set",
        "delivery.read",
    },
    "dispatcher": _READ
    | {
        "outage.write",
        "outage.note",
        "outage.reopen",
        "report.create",
        "shedding.write",
        "notice.draft",
        "notice.pause",
        "delivery.read",
        "customer.read_masked",
        "customer.reveal",
        "protection.set",
    },
    "planner": _READ
    | {"outage.note", "plan.submit", "notice.draft", "notice.pause", "delivery.read", "customer.read_masked"},
    "branch_lead": _READ | {"outage.note", "plan.endorse", "delivery.read", "customer.read_masked"},
    "approver": _READ
    | {
        "outage.note",
        "outage.reopen",
        "plan.approve",
        "shedding.approve",
        "notice.approve",
        "notice.pause",
        "delivery.read",
        "customer.read_masked",
        "arrears.read",
        "cutoff.read",
        "cutoff.approve",
        "protection.release",
    },
    "billing_clerk": _READ
    | {
        "notice.draft",
        "notice.pause",
        "delivery.read",
        "customer.read_masked",
        "customer.reveal",
        "arrears.read",
        "cutoff.read",
        "cutoff.propose",
        "protection.set",
    },
    "auditor": _READ
    | {"delivery.read", "customer.read_masked", "arrears.read", "cutoff.read", "audit.read", "users.read"},
    # manages accounts and the network, has no customer data and cannot send
    "administrator": _READ
    | {"grid.import", "users.read", "users.manage", "templates.manage", "integration.manage", "notice.pause"},
    # a machine client's role says only where; its token's scopes say what
    "service": frozenset(),
}

# scope of a token -> capability. No token approves, commands or sends.
SCOPE_CAPABILITIES: Final[Mapping[str, frozenset[str]]] = {
    "outage:read": frozenset({"outage.read", "grid.read"}),
    "outage:write": frozenset({"outage.read", "grid.read", "outage.write", "outage.note"}),
    "report:create": frozenset({"report.create"}),
    "event:read": frozenset({"event.read"}),
    "supply:read": frozenset({"supply.read"}),
    "stats:read": frozenset({"stats.read"}),
    "plan:submit": frozenset({"outage.read", "grid.read", "plan.submit"}),  # it reads back what it hands in
    "shedding:write": frozenset({"outage.read", "grid.read", "shedding.write"}),  # it reads back what it tells
    "notice:draft": frozenset({"notice.draft"}),
    "delivery:read": frozenset({"delivery.read"}),
    "customer:read_masked": frozenset({"customer.read_masked"}),
    "meter_event:create": frozenset({"meter_event.create"}),
    "arrears:write": frozenset({"arrears.write"}),
    "payment:write": frozenset({"payment.write"}),
    "cutoff:read": frozenset({"cutoff.read"}),
    "cutoff:draft": frozenset({"cutoff.read", "cutoff.draft"}),
    "protection:write": frozenset({"protection.set"}),
    "import:stage": frozenset({"grid.import"}),
    "ivr:use": frozenset({"ivr.use", "supply.read", "report.create"}),
    "cti:use": frozenset({"cti.use"}),
    "webhook:manage": frozenset({"integration.manage"}),
}
SCOPES: Final[tuple[str, ...]] = tuple(sorted(SCOPE_CAPABILITIES))

# An agent answers any caller: these capabilities of a role reach every branch, whatever the grant's own branch.
READ_EVERYWHERE: Final[Mapping[str, frozenset[str]]] = {
    "agent": frozenset({"outage.read", "grid.read", "event.read", "supply.read", "rules.read"}),
    "auditor": ROLE_CAPABILITIES["auditor"],
    "administrator": ROLE_CAPABILITIES["administrator"],
}


def actor_may(actor: Actor, capability: str, branch_pos: int | None = None) -> bool:
    """May the actor do this in the branch at ``branch_pos`` (anywhere at all, if none is given)?"""
    if capability not in CAPABILITIES:
        raise LookupError(f"{capability!r} is not a capability; see accounts.policies")
    if actor.kind == "system":
        return True
    intervals = intervals_of(actor, capability)
    if intervals is None:
        return True
    if branch_pos is None:
        return bool(intervals)
    return any(first <= branch_pos <= last for first, last in intervals)


def intervals_of(actor: Actor, capability: str) -> tuple[tuple[int, int], ...] | None:
    """Where the actor has the capability, as intervals of ``Branch.pos``; ``None`` means everywhere."""
    if actor.kind == "system":
        return None
    found: list[tuple[int, int]] = []
    by_scope = actor.kind == "service" and any(capability in SCOPE_CAPABILITIES.get(s, ()) for s in actor.scopes)
    for grant in actor.grants:
        held = by_scope if actor.kind == "service" else capability in ROLE_CAPABILITIES.get(grant.role, ())
        if not held:
            continue
        if grant.pos is None or grant.last is None or capability in READ_EVERYWHERE.get(grant.role, ()):
            return None
        found.append((grant.pos, grant.last))
    return tuple(found)


def require(actor: Actor, capability: str, branch_pos: int | None = None) -> None:
    """Raises ``Forbidden`` unless the actor may."""
    if not actor_may(actor, capability, branch_pos):
        raise Forbidden()


def capabilities_of(actor: Actor) -> frozenset[str]:
    """Everything the actor may do somewhere; for menus and profile pages."""
    return frozenset(c for c in CAPABILITIES if actor_may(actor, c))


# --- the rules of this app itself -------------------------------------------------------------------


def may_manage_users(actor: Actor) -> bool:
    return actor_may(actor, "users.manage")


def may_read_users(actor: Actor) -> bool:
    return actor_may(actor, "users.read") or may_manage_users(actor)


def may_read_access_log(actor: Actor) -> bool:
    return actor_may(actor, "audit.read")


def may_read_rules(actor: Actor) -> bool:
    """Everybody who is logged in: the rules are what the utility promises in public."""
    return actor.kind != "service"
