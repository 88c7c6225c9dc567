"""Every address of the site with the people who may use it. The route walker holds the site to this table.

``get`` and ``post`` name who gets an answer; whoever is not named is refused. The walk stands in the west and asks
for objects of the east, so for an address that holds an object these are the people whose reading or writing reaches
beyond their own branch (``accounts.policies.READ_EVERYWHERE``). ``own`` says who must reach it inside the branch.
A new address without an entry fails the test: decide here who may use it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

ROLES: Final = (
    "agent", "dispatcher", "planner", "branch_lead", "approver", "billing_clerk", "auditor", "administrator",
)  # fmt: skip
PEOPLE: Final = ("anonymous", "nobody", *ROLES)

NOBODY: Final[frozenset[str]] = frozenset()
EVERYBODY: Final = frozenset(PEOPLE)
SIGNED_IN: Final = EVERYBODY - {"anonymous"}
ANY_ROLE: Final = frozenset(ROLES)
AGENT: Final = frozenset({"agent"})
DISPATCHER: Final = frozenset({"dispatcher"})
AUDITOR: Final = frozenset({"auditor"})
ADMINISTRATOR: Final = frozenset({"administrator"})
PLANNER: Final = frozenset({"planner"})
DECIDERS: Final = frozenset({"branch_lead", "approver"})
REPORTERS: Final = AGENT | DISPATCHER
SEE_USERS: Final = AUDITOR | ADMINISTRATOR
MACHINES: Final = frozenset({"machine"})  # no person, whatever the role: only tokens with the scope
READ_EVERYWHERE: Final = AGENT | AUDITOR | ADMINISTRATOR
SEE_PLANS: Final = PLANNER | DECIDERS | DISPATCHER | AUDITOR
SEE_ARREARS: Final = frozenset({"billing_clerk", "approver", "auditor"})
BILLING: Final = frozenset({"billing_clerk"})
SET_HOLDS: Final = AGENT | DISPATCHER | BILLING
SHEDDING_DESK: Final = DISPATCHER | {"approver"}
SEE_CUSTOMERS: Final = ANY_ROLE - ADMINISTRATOR


@dataclass(frozen=True)
class Rule:
    get: frozenset[str] = NOBODY
    post: frozenset[str] = NOBODY
    args: str = ""  # which objects fill the address, see the walker's world
    data: dict[str, Any] = field(default_factory=dict)  # of the POST; "$east_point" and the like are filled in
    scopes: frozenset[str] = frozenset()  # tokens that get an answer from the API
    readers: frozenset[str] = frozenset()  # tokens that get one only where they read
    own: str = ""  # who reaches the object with GET (or, in capitals, with POST) when it is in their own branch

    @property
    def is_public(self) -> bool:
        return "anonymous" in self.get | self.post


def _scopes(*names: str) -> frozenset[str]:
    return frozenset(names)


_OUTAGES = _scopes("outage:read", "outage:write", "plan:submit", "shedding:write")
_PERIOD = r"api/v1/^plan-periods/(?P<pk>[0-9]{1,18})/"
_WORK = r"api/v1/^planned-works/(?P<reference>[A-Z]{1,4}-[0-9]{4}-[0-9]{6,9})/"
_WINDOW = r"api/v1/^planned-windows/(?P<reference>[A-Z]{1,4}-[0-9]{4}-[0-9]{6,9})/"
_FAULT = r"api/v1/^faults/(?P<reference>[A-Z]{1,4}-[0-9]{4}-[0-9]{6,9})/"
_CUTOFF = r"api/v1/^cutoff-orders/(?P<reference>[A-Z]{1,4}-[0-9]{4}-[0-9]{6,9})/"
_SHED_EVENT = r"api/v1/^shedding-events/(?P<reference>[A-Z]{1,4}-[0-9]{4}-[0-9]{6,9})/"
_SHED_SLOT = r"api/v1/^shedding-slots/(?P<pk>[0-9]{1,18})/"
_OUTAGE = r"api/v1/^outages/(?P<reference>[A-Z]{1,4}-[0-9]{4}-[0-9]{6,9})/"

ROUTES: Final[dict[str, Rule]] = {
    # --- the site itself
    "healthz": Rule(EVERYBODY, EVERYBODY),
    "readyz": Rule(EVERYBODY, EVERYBODY),
    "metrics": Rule(EVERYBODY, EVERYBODY),  # from this machine, or with its token: tests/outage_mgmt/test_health.py
    "live/": Rule(EVERYBODY, EVERYBODY),  # says that there is no stream here; the stream itself is not a Django view
    "live/since/": Rule(SIGNED_IN, SIGNED_IN),
    "i18n/setlang/": Rule(EVERYBODY, EVERYBODY),
    # --- the record
    "": Rule(SIGNED_IN),
    "board/": Rule(ANY_ROLE),
    "board/outages.csv": Rule(ANY_ROLE),
    "board/map.geojson": Rule(ANY_ROLE),
    "board/network.geojson": Rule(ANY_ROLE),
    "outages/<str:reference>/": Rule(READ_EVERYWHERE, args="outage", own="planner"),
    "outages/<str:reference>/notes/": Rule(args="outage", data={"text": "x"}, own="PLANNER"),
    "notifications/outages/<str:reference>/": Rule(AUDITOR, args="outage", own="planner"),
    # --- debts and cut-offs
    "cutoffs/accounts/": Rule(SEE_ARREARS),
    "cutoffs/accounts.csv": Rule(SEE_ARREARS),
    "cutoffs/accounts/<str:number>/": Rule(AUDITOR, args="debtor", own="billing_clerk"),
    "cutoffs/accounts/<str:number>/evidence/": Rule(AUDITOR, args="debtor", own="billing_clerk"),
    "cutoffs/accounts/<str:number>/notices/<int:pk>/": Rule(
        args="debt_notice", data={"how": "by_hand", "served_at": "2020-01-01T10:00", "note": "x"}, own="billing_clerk"
    ),
    "cutoffs/orders/<str:reference>/evidence/": Rule(AUDITOR, args="cutoff_order", own="billing_clerk"),
    "cutoffs/orders/<str:reference>/": Rule(AUDITOR, args="cutoff_order", own="billing_clerk"),
    "cutoffs/orders/<str:reference>/steps/<slug:step>/": Rule(
        args="cutoff_act", data={"version": "1", "reason": "x"}, own="BILLING_CLERK"
    ),
    "cutoffs/reconnections/": Rule(SEE_ARREARS),
    "cutoffs/reconnections.csv": Rule(SEE_ARREARS),
    "cutoffs/reconnections/<str:reference>/safe/": Rule(args="cutoff_order", own="BILLING_CLERK"),
    "cutoffs/failures/": Rule(SEE_ARREARS),
    "cutoffs/failures.csv": Rule(SEE_ARREARS),
    "cutoffs/slips/": Rule(SEE_ARREARS),
    "cutoffs/letters/<str:reference>/": Rule(AUDITOR, args="cutoff_letters", own="billing_clerk"),
    # grades hold for the whole company: read by every branch, changed above all of them (test_grade_pages.py)
    "cutoffs/grades/": Rule(SEE_ARREARS),
    "cutoffs/grades/new/": Rule(),
    "cutoffs/grades/run/": Rule(),
    "cutoffs/grades/<int:pk>/": Rule(SEE_ARREARS, args="grade"),
    "cutoffs/grades/<int:pk>/use/": Rule(args="grade"),
    "cutoffs/": Rule(SEE_ARREARS),
    "cutoffs/batches/": Rule(SEE_ARREARS),
    "cutoffs/batches/new/": Rule(BILLING, BILLING),
    "cutoffs/batches/<slug:reference>/": Rule(AUDITOR, args="cutoff_batch", own="billing_clerk"),
    "cutoffs/batches/<slug:reference>/decisions.csv": Rule(AUDITOR, args="cutoff_batch", own="billing_clerk"),
    "cutoffs/batches/<slug:reference>/check/": Rule(args="cutoff_batch", own="BILLING_CLERK"),
    "cutoffs/batches/<slug:reference>/steps/<slug:step>/": Rule(
        args="cutoff_batch_step", data={"version": "1"}, own="billing_clerk"
    ),
    "cutoffs/batches/<slug:reference>/orders/<slug:order>/<slug:step>/": Rule(
        args="cutoff_batch_order", data={"version": "1", "reason": "x"}, own="billing_clerk"
    ),
    "cutoffs/holds/": Rule(SEE_ARREARS),
    "cutoffs/holds/new/": Rule(SET_HOLDS, SET_HOLDS),
    "cutoffs/holds/<int:pk>/": Rule(AUDITOR, args="hold", data={"reason": "x"}, own="APPROVER"),
    "cutoffs/forecasts/": Rule(SEE_ARREARS, BILLING),
    "cutoffs/files/": Rule(SEE_ARREARS, BILLING),
    "cutoffs/files/template/<slug:kind>.csv": Rule(BILLING, args="feed"),
    "cutoffs/files/<int:pk>/": Rule(AUDITOR, args="billing_file", own="billing_clerk"),
    "cutoffs/files/<int:pk>/confirm/": Rule(args="billing_file", own="BILLING_CLERK"),
    "cutoffs/files/<int:pk>/discard/": Rule(args="unwanted_file", own="BILLING_CLERK"),
    "cutoffs/files/<int:pk>/rows.csv": Rule(AUDITOR, args="billing_file", own="billing_clerk"),
    # --- faults
    "faults/": Rule(DISPATCHER),
    "faults/new/": Rule(REPORTERS, DISPATCHER, data={"place": "$east_place", "token": "t", "is_confirmed": "yes"}),
    "faults/new/place/": Rule(REPORTERS),
    "faults/<str:reference>/reports/": Rule(READ_EVERYWHERE, args="outage", own="planner"),
    "faults/<str:reference>/crews/<int:assignment_id>/": Rule(
        args="assignment", data={"version": "1", "state": "en_route"}, own="dispatcher"
    ),
    "faults/<str:reference>/<slug:name>/": Rule(args="step", data={"version": "1"}, own="dispatcher"),
    # --- planning: everybody reads what is published, plans are for whoever plans
    "planned/": Rule(ANY_ROLE),
    "planned/week/": Rule(ANY_ROLE),
    "planned/list/": Rule(ANY_ROLE),
    "planned/feeders/": Rule(ANY_ROLE),
    "planned/list.csv": Rule(ANY_ROLE),
    "planned/calendar.ics": Rule(ANY_ROLE),
    "planned/reports/": Rule(ANY_ROLE),
    "planned/reports/chart/<slug:name>.svg": Rule(ANY_ROLE, args="chart"),
    "planned/reports/report.csv": Rule(ANY_ROLE),
    "planned/days/": Rule(ANY_ROLE, DECIDERS),
    "planned/days/<int:pk>/delete/": Rule(args="day", own="BRANCH_LEAD"),
    "planned/plans/": Rule(SEE_PLANS),
    "planned/plans/open/": Rule(post=PLANNER),
    "planned/plans/<int:pk>/": Rule(AUDITOR, args="plan", own="planner"),
    "planned/plans/<int:pk>/steps/<slug:step>/": Rule(args="plan_step", data={"version": "1"}, own="planner"),
    "planned/plans/<int:pk>/advice/": Rule(AUDITOR, args="plan", own="planner"),
    "planned/plans/<int:pk>/advice/join/": Rule(args="plan", own="PLANNER"),
    "planned/plans/<int:pk>/schedule/": Rule(AUDITOR, args="plan", own="planner"),
    "planned/plans/<int:pk>/schedule/start/": Rule(args="plan", own="PLANNER"),
    "planned/schedules/<int:pk>/": Rule(AUDITOR, args="schedule", data={"decision": "refuse"}, own="PLANNER"),
    "planned/schedules/<int:pk>/lines/<int:line_id>/": Rule(
        args="schedule_line", data={"decision": "refuse"}, own="PLANNER"
    ),
    "planned/works/new/": Rule(PLANNER, PLANNER),
    "planned/works/place/": Rule(PLANNER),
    "planned/works/panel/": Rule(post=PLANNER),
    "planned/works/sketch/": Rule(),  # one's own unsaved typing, which nobody who walks has
    "planned/works/<str:reference>/": Rule(AUDITOR, args="work", own="planner"),
    "planned/works/<str:reference>/edit/": Rule(args="work", own="planner"),
    "planned/works/<str:reference>/answer/": Rule(args="work", data={"code": "x", "reason": "y"}, own="PLANNER"),
    "planned/works/<str:reference>/risk-sheets/": Rule(AUDITOR, args="work", own="planner"),
    "planned/works/<str:reference>/split/": Rule(args="joint", own="PLANNER"),
    "planned/works/<str:reference>/steps/<slug:step>/": Rule(args="work_step", data={"version": "1"}, own="planner"),
    "planned/windows/<str:reference>/<slug:step>/": Rule(args="window", data={"version": "1"}, own="planner"),
    # the branch's own spreadsheet
    "planned/sheets/": Rule(PLANNER, PLANNER),
    "planned/sheets/template.xlsx": Rule(PLANNER),
    "planned/sheets/<int:pk>/": Rule(AUDITOR, args="sheet", own="planner"),
    "planned/sheets/<int:pk>/mapping/": Rule(args="sheet", data={"sheet_name": "周计划"}, own="PLANNER"),
    "planned/sheets/<int:pk>/rows/<int:number>/": Rule(
        args="sheet_row", data={"field": "title", "text": "x"}, own="PLANNER"
    ),
    "planned/sheets/<int:pk>/replace/": Rule(
        args="sheet", data={"field": "title", "old": "x", "new": "y"}, own="PLANNER"
    ),
    "planned/sheets/<int:pk>/import/": Rule(args="sheet", own="PLANNER"),
    "planned/sheets/<int:pk>/workbook/": Rule(args="sheet", own="planner"),
    "planned/sheets/<int:pk>/discard/": Rule(args="sheet", own="PLANNER"),
    # --- load shedding: everybody reads plans, dispatchers draw them up, another person approves
    "shedding/plans/": Rule(ANY_ROLE, DISPATCHER),
    "shedding/plans/<int:pk>/": Rule(READ_EVERYWHERE, args="shed_plan", own="planner"),
    "shedding/plans/<int:pk>/change/": Rule(args="shed_plan", data={"version": "1"}, own="dispatcher"),
    "shedding/plans/<int:pk>/stages/": Rule(args="shed_plan", data={"version": "1"}, own="dispatcher"),
    "shedding/plans/<int:pk>/measure/": Rule(args="shed_plan", own="DISPATCHER"),
    "shedding/plans/<int:pk>/copy/": Rule(args="shed_plan", data={"effective_from": "2099-01-01"}, own="DISPATCHER"),
    "shedding/plans/<int:pk>/delete/": Rule(args="shed_plan", own="DISPATCHER"),
    "shedding/plans/<int:pk>/approve/": Rule(args="shed_plan", data={"version": "1"}, own="approver"),
    "shedding/plans/<int:pk>/retire/": Rule(args="shed_plan", own="approver"),
    "shedding/plans/<int:pk>/blocks.csv": Rule(READ_EVERYWHERE, args="shed_plan", own="planner"),
    "shedding/plans/<int:pk>/blocks/new/": Rule(args="shed_plan", data={"version": "1"}, own="dispatcher"),
    "shedding/plans/<int:pk>/blocks/<int:block_pk>/": Rule(READ_EVERYWHERE, args="shed_block", own="planner"),
    "shedding/plans/<int:pk>/blocks/<int:block_pk>/delete/": Rule(args="shed_block", own="DISPATCHER"),
    "shedding/plans/<int:pk>/turns/": Rule(READ_EVERYWHERE, args="shed_plan", own="planner"),
    "shedding/plans/<int:pk>/turns/<int:turn_pk>/delete/": Rule(args="shed_turn", own="DISPATCHER"),
    "shedding/plans/<int:pk>/table/": Rule(args="shed_plan", own="dispatcher"),
    "shedding/plans/<int:pk>/table/<str:digest>/": Rule(args="shed_table", data={"version": "1"}, own="dispatcher"),
    "shedding/plans/<int:pk>/table.csv": Rule(READ_EVERYWHERE, args="shed_plan", own="planner"),
    "shedding/plans/<int:pk>/table-template.xlsx": Rule(READ_EVERYWHERE, args="shed_plan", own="planner"),
    "shedding/kept-out/": Rule(ANY_ROLE, DISPATCHER),
    "shedding/kept-out/<int:pk>/delete/": Rule(args="shed_kept", own="DISPATCHER"),
    "shedding/kept-out.csv": Rule(ANY_ROLE),
    # agreements name customers: for those who lead or confirm shedding
    "shedding/agreements/": Rule(SHEDDING_DESK, DISPATCHER),
    "shedding/agreements/<int:pk>/end/": Rule(args="shed_agreement", own="DISPATCHER"),
    "shedding/agreements.csv": Rule(SHEDDING_DESK),
    "shedding/schedule/": Rule(ANY_ROLE),
    "shedding/schedule/<int:pk>/publish/": Rule(args="shed_plan", data={"stage": "0"}, own="DISPATCHER"),
    "shedding/schedule/<int:pk>/withdraw/": Rule(args="shed_plan", own="APPROVER"),
    "shedding/schedule/<int:pk>/schedule.csv": Rule(READ_EVERYWHERE, args="shed_plan", own="planner"),
    # the desk and its events: everybody reads, dispatchers lead them, another person confirms
    "shedding/": Rule(ANY_ROLE),
    "shedding/events/": Rule(ANY_ROLE),
    "shedding/events/new/": Rule(DISPATCHER, DISPATCHER),
    "shedding/events/order/": Rule(DISPATCHER, DISPATCHER),
    "shedding/events/<str:reference>/": Rule(READ_EVERYWHERE, args="shed_event", own="planner"),
    "shedding/events/<str:reference>/measures/": Rule(args="shed_event", data={"version": "1"}, own="DISPATCHER"),
    "shedding/events/<str:reference>/order/": Rule(args="shed_event", data={"version": "1"}, own="DISPATCHER"),
    "shedding/events/<str:reference>/compute/": Rule(args="shed_event", own="DISPATCHER"),
    "shedding/events/<str:reference>/propose/": Rule(args="shed_event", data={"version": "1"}, own="DISPATCHER"),
    "shedding/events/<str:reference>/confirm/": Rule(args="shed_event", data={"version": "1"}, own="APPROVER"),
    "shedding/events/<str:reference>/return/": Rule(args="shed_event", data={"return-version": "1"}, own="APPROVER"),
    "shedding/events/<str:reference>/withdraw/": Rule(args="shed_event", own="DISPATCHER"),
    "shedding/events/<str:reference>/undo/": Rule(args="shed_event", own="APPROVER"),
    "shedding/events/<str:reference>/monitor/": Rule(READ_EVERYWHERE, args="shed_event", own="planner"),
    "shedding/events/<str:reference>/step/<str:name>/": Rule(args="shed_step", data={"version": "1"}, own="dispatcher"),
    "shedding/events/<str:reference>/slots/<int:slot_pk>/<str:name>/": Rule(
        args="shed_slot_step", data={"version": "1"}, own="dispatcher"
    ),
    "shedding/events/<str:reference>/report/": Rule(READ_EVERYWHERE, args="shed_event", own="planner"),
    "shedding/events/<str:reference>/report.csv": Rule(READ_EVERYWHERE, args="shed_event", own="planner"),
    "shedding/events/<str:reference>/report/<str:name>.svg": Rule(READ_EVERYWHERE, args="shed_chart", own="planner"),
    "shedding/events/<str:reference>/reconcile/": Rule(args="shed_event", data={"version": "1"}, own="APPROVER"),
    # what is published is published
    "shedding/public/": Rule(EVERYBODY),
    "shedding/public/<slug:language>/": Rule(EVERYBODY, args="shed_public"),
    "shedding/public/<slug:language>/find/": Rule(post=EVERYBODY, args="shed_public", data={"transformer": "T12"}),
    "shedding/public/<slug:language>/blocks/<str:branch>/": Rule(EVERYBODY, args="shed_public"),
    "shedding/public/<slug:language>/blocks/<str:branch>/<str:code>/": Rule(EVERYBODY, args="shed_public"),
    "shedding/public/<slug:language>/blocks/<str:branch>/<str:code>/calendar.ics": Rule(EVERYBODY, args="shed_public"),
    # --- the console
    "console/": Rule(SEE_CUSTOMERS),
    "console/search/": Rule(post=SEE_CUSTOMERS, data={"q": "$east_address"}),
    "console/pop/": Rule(SEE_CUSTOMERS | SIGNED_IN),  # without a number it only leads to the console
    "console/call/start/": Rule(args="", data={"service_point": "$east_point"}),
    "console/call/<uuid:key>/": Rule(args="call", own="agent"),
    "console/call/<uuid:key>/card/": Rule(args="call", own="agent"),
    "console/call/<uuid:key>/premises/": Rule(args="call", data={"service_point": "$east_point"}, own="AGENT"),
    "console/call/<uuid:key>/draft/": Rule(args="call", data={"note": "x"}, own="AGENT"),
    "console/call/<uuid:key>/log/": Rule(args="call", data={"reason": "no_supply", "scope": "unknown"}, own="AGENT"),
    "console/call/<uuid:key>/identity/": Rule(args="call", data={"items": ["holder", "address"]}, own="AGENT"),
    "console/call/<uuid:key>/identity/withdraw/": Rule(args="call", own="AGENT"),
    # these need a checked caller even in the own branch: tests/billing/test_agent.py
    "console/call/<uuid:key>/hold/": Rule(args="call", data={"kind": "promise", "until": "2100-01-01"}),
    "console/call/<uuid:key>/complaint/": Rule(args="call", data={"text": "x"}),
    "console/call/<uuid:key>/safe/": Rule(args="call"),
    "console/calls/": Rule(AGENT),
    "console/callbacks/": Rule(AGENT),
    "console/callbacks/<int:callback_id>/": Rule(args="callback", data={"result": "restored"}, own="AGENT"),
    "console/pins/": Rule(data={"service_point": "$east_point"}),
    # --- importing the network
    "grid/imports/": Rule(ADMINISTRATOR, ADMINISTRATOR),
    "grid/imports/<int:pk>/": Rule(ADMINISTRATOR, args="import"),
    "grid/imports/<int:pk>/confirm/": Rule(post=ADMINISTRATOR, args="import"),
    "grid/imports/<int:pk>/discard/": Rule(post=ADMINISTRATOR, args="import"),
    "grid/imports/templates/<slug:table>.csv": Rule(ADMINISTRATOR, args="template"),
    # --- people, roles, tokens
    "accounts/profile/": Rule(SIGNED_IN, SIGNED_IN),
    "accounts/users/": Rule(SEE_USERS),
    "accounts/users/new/": Rule(ADMINISTRATOR, ADMINISTRATOR),
    "accounts/clients/new/": Rule(ADMINISTRATOR, ADMINISTRATOR),
    "accounts/users/<int:pk>/": Rule(SEE_USERS, ADMINISTRATOR, args="user", data={"display_name": "Mei Li"}),
    "accounts/users/<int:pk>/active/": Rule(post=ADMINISTRATOR, args="user"),
    "accounts/users/<int:pk>/password/": Rule(post=ADMINISTRATOR, args="user"),
    "accounts/users/<int:pk>/roles/": Rule(post=ADMINISTRATOR, args="user", data={"role": "dispatcher"}),
    "accounts/roles/<int:pk>/end/": Rule(post=ADMINISTRATOR, args="grant"),
    "accounts/users/<int:pk>/tokens/": Rule(
        post=ADMINISTRATOR, args="client", data={"name": "x", "scopes": "outage:read", "days": "9"}
    ),
    "accounts/tokens/<int:pk>/revoke/": Rule(post=ADMINISTRATOR, args="token"),
    "accounts/access-log/": Rule(AUDITOR),
    "accounts/rules/": Rule(SIGNED_IN),
    # --- signing in
    "accounts/login/": Rule(EVERYBODY, EVERYBODY),
    "accounts/logout/": Rule(EVERYBODY, EVERYBODY),
    "accounts/inactive/": Rule(EVERYBODY),
    "accounts/signup/": Rule(EVERYBODY, EVERYBODY),  # closed: it says so to everybody
    "accounts/reauthenticate/": Rule(SIGNED_IN, SIGNED_IN),
    "accounts/email/": Rule(EVERYBODY),
    "accounts/confirm-email/": Rule(EVERYBODY),
    r"accounts/^confirm-email/(?P<key>[-:\w]+)/$": Rule(EVERYBODY, args="key"),
    "accounts/password/change/": Rule(SIGNED_IN, SIGNED_IN),
    "accounts/password/set/": Rule(SIGNED_IN, SIGNED_IN),
    "accounts/password/reset/": Rule(EVERYBODY),
    "accounts/password/reset/done/": Rule(EVERYBODY),
    "accounts/password/reset/key/done/": Rule(EVERYBODY),
    r"accounts/^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$": Rule(EVERYBODY, EVERYBODY, args="key"),
    "accounts/login/code/confirm/": Rule(SIGNED_IN, SIGNED_IN),
    "accounts/2fa/": Rule(SIGNED_IN),
    "accounts/2fa/authenticate/": Rule(SIGNED_IN, SIGNED_IN),
    "accounts/2fa/reauthenticate/": Rule(SIGNED_IN, SIGNED_IN),
    "accounts/2fa/totp/activate/": Rule(SIGNED_IN, SIGNED_IN),
    # only for whoever has a second factor already, which nobody who walks has
    "accounts/2fa/totp/deactivate/": Rule(),
    "accounts/2fa/recovery-codes/": Rule(),
    "accounts/2fa/recovery-codes/generate/": Rule(SIGNED_IN, SIGNED_IN),
    "accounts/2fa/recovery-codes/download/": Rule(),
    # --- REST
    "api/v1/schema/": Rule(EVERYBODY),
    "api/v1/docs/": Rule(EVERYBODY),
    "api/v1/events/": Rule(ANY_ROLE, scopes=_scopes("event:read")),
    "api/v1/supply-status/": Rule(ANY_ROLE, scopes=_scopes("supply:read", "ivr:use")),
    "api/v1/^outages/$": Rule(ANY_ROLE, scopes=_OUTAGES),
    _OUTAGE + "$": Rule(READ_EVERYWHERE, args="outage", own="planner"),
    _OUTAGE + "events/$": Rule(READ_EVERYWHERE, args="outage", own="planner"),
    "api/v1/^faults/$": Rule(
        post=DISPATCHER, data={"elements": ["T11"], "confirmed": True}, scopes=_scopes("outage:write")
    ),
    _FAULT + "$": Rule(READ_EVERYWHERE, args="fault", own="planner"),
    **{
        f"{_FAULT}{name}/$": Rule(args="fault", own="DISPATCHER")
        for name in (
            "assign", "close", "confirm", "crew-state", "dismiss", "merge", "restore", "restore-part", "set-etr",
        )
    },
    "api/v1/^trouble-reports/$": Rule(
        post=REPORTERS, data={"service_point": "SP0001"}, scopes=_scopes("report:create", "ivr:use")
    ),
    "api/v1/^trouble-reports/batch/$": Rule(
        post=REPORTERS,
        data={"reports": [{"service_point": "SP0001"}]},
        scopes=_scopes("report:create", "ivr:use"),
    ),
    "api/v1/^plan-periods/$": Rule(
        SEE_PLANS,
        PLANNER,
        data={"branch": "0101", "kind": "week", "day": "2026-12-01"},
        scopes=_scopes("plan:submit"),
        readers=_scopes("outage:write"),
    ),
    _PERIOD + "$": Rule(AUDITOR, args="plan", own="planner"),
    _PERIOD + "submit/$": Rule(args="plan", own="PLANNER"),
    "api/v1/^planned-works/$": Rule(
        ANY_ROLE,
        PLANNER,
        data={"branch": "0101", "elements": ["T11"]},
        scopes=_scopes("plan:submit"),
        readers=_OUTAGES,
    ),
    "api/v1/^planned-works/batch/$": Rule(
        post=PLANNER, data={"works": [{"branch": "0101", "elements": ["T11"]}]}, scopes=_scopes("plan:submit")
    ),
    _WORK + "$": Rule(AUDITOR, args="work", own="planner"),
    **{f"{_WORK}{name}/$": Rule(args="work", own="PLANNER") for name in ("cancel", "submit", "withdraw")},
    _WINDOW + "$": Rule(READ_EVERYWHERE, args="window", own="planner"),
    **{
        f"{_WINDOW}{name}/$": Rule(args="window", own="DISPATCHER")
        for name in ("cancel", "close", "extend", "move", "restore", "restore-part", "start")
    },
    "api/v1/shedding-schedule/": Rule(EVERYBODY),
    "api/v1/^shedding-plans/$": Rule(ANY_ROLE, scopes=_OUTAGES),
    "api/v1/^shedding-events/$": Rule(
        ANY_ROLE,
        DISPATCHER,
        data={"branch": "0101", "alert": {"colour": "red", "authority": "x"}},
        scopes=_scopes("shedding:write"),
        readers=_OUTAGES,
    ),
    _SHED_EVENT + "$": Rule(READ_EVERYWHERE, args="shed_event", own="planner"),
    **{f"{_SHED_SLOT}{name}/$": Rule(args="shed_slot", own="DISPATCHER") for name in ("off", "on")},
    "api/v1/^shedding-switchings/$": Rule(
        data={"event": "$shed_event", "switchings": [{"block": "P", "action": "off", "at": "2026-12-01T00:00:00Z"}]},
        own="DISPATCHER",
    ),
    "api/v1/^cutoff-orders/$": Rule(
        SEE_ARREARS, MACHINES, scopes=_scopes("cutoff:draft"), readers=_scopes("cutoff:read")
    ),
    _CUTOFF + "$": Rule(AUDITOR, args="cutoff_order", own="billing_clerk"),
    "api/v1/^cutoff-results/$": Rule(post=MACHINES, scopes=_scopes("meter_event:create")),
    "api/v1/^arrears/$": Rule(post=MACHINES, data={"items": [{}]}, scopes=_scopes("arrears:write")),
    "api/v1/^payments/$": Rule(post=MACHINES, data={"items": [{}]}, scopes=_scopes("payment:write")),
    "api/v1/^account-holds/$": Rule(post=SET_HOLDS, data={"items": [{}]}, scopes=_scopes("protection:write")),
    "api/v1/^temperature-forecasts/$": Rule(post=MACHINES, data={"items": [{}]}, scopes=_scopes("arrears:write")),
    "api/v1/^cut-complaints/$": Rule(post=MACHINES, data={"items": [{}]}, scopes=_scopes("arrears:write")),
    # a provider is known by the secret agreed with it, and by nothing else
    "api/v1/receipts/<slug:account>/": Rule(args="account"),
}  # fmt: skip
