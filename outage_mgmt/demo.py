"""The people of the demo city: one login per role. ``load_demo`` creates them, ``make run`` prints them."""

from __future__ import annotations

import os
from dataclasses import dataclass

from django.contrib.auth import get_user_model

# Known to everybody who can read this page; set DEMO_PASSWORD before anybody else can reach the machine.
PASSWORD = os.environ.get("DEMO_PASSWORD") or "power-is-back-soon"


@dataclass(frozen=True)
class Login:
    username: str
    role: str
    name: str


LOGINS = (
    Login("agent", "agent", "梅晓琳"),
    Login("dispatcher", "dispatcher", "沙建国"),
    Login("planner", "planner", "韩立"),
    Login("lead", "branch_lead", "唐志强"),
    Login("approver", "approver", "魏敏"),
    Login("billing", "billing_clerk", "贝宁"),
    Login("auditor", "auditor", "申正"),
    Login("admin", "administrator", "关理"),
)


def login_table() -> list[str]:
    """The logins that exist, as lines of a table."""
    there = set(
        get_user_model().objects.filter(username__in=[x.username for x in LOGINS]).values_list("username", flat=True)
    )
    rows = [("role", "user name", "password")]
    rows += [(x.role.replace("_", " "), x.username, PASSWORD) for x in LOGINS if x.username in there]
    if len(rows) == 1:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
