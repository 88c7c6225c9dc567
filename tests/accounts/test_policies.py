"""The table of capabilities: deny by default, own branches only, no token approves or sends."""

from __future__ import annotations

import pytest

from accounts.actor import Actor, Grant
from accounts.models import Role
from accounts.policies import (
    CAPABILITIES,
    READ_EVERYWHERE,
    ROLE_CAPABILITIES,
    SCOPE_CAPABILITIES,
    actor_may,
    capabilities_of,
    intervals_of,
    require,
)
from standards.errors import Forbidden


def person(role: str, pos: int | None = 10, last: int | None = 19) -> Actor:
    return Actor(kind="user", name=role, user_id=1, grants=(Grant(role, pos, last),))


def machine(*scopes: str, pos: int | None = 10, last: int | None = 19) -> Actor:
    return Actor(kind="service", name="m", user_id=2, grants=(Grant("service", pos, last),), scopes=frozenset(scopes))


def test_the_tables_speak_of_known_things_only() -> None:
    assert set(ROLE_CAPABILITIES) == set(Role.values)
    for held in [*ROLE_CAPABILITIES.values(), *SCOPE_CAPABILITIES.values(), *READ_EVERYWHERE.values()]:
        assert held <= CAPABILITIES


def test_without_a_role_nothing_is_allowed() -> None:
    assert capabilities_of(Actor(kind="user", name="dora", user_id=3)) == frozenset()


@pytest.mark.parametrize("branch_pos", [9, 20])
def test_a_role_ends_at_the_border_of_its_branches(branch_pos: int) -> None:
    assert actor_may(person("dispatcher"), "outage.write", 10)
    assert actor_may(person("dispatcher"), "outage.write", 19)
    assert not actor_may(person("dispatcher"), "outage.write", branch_pos)
    with pytest.raises(Forbidden):
        require(person("dispatcher"), "outage.write", branch_pos)


def test_an_agent_sees_outages_everywhere_and_customers_at_home() -> None:
    agent = person("agent")
    assert actor_may(agent, "outage.read", 500)
    assert not actor_may(agent, "customer.read_masked", 500)
    assert not actor_may(agent, "outage.write", 10)


def test_the_administrator_has_no_customer_data_and_cannot_send() -> None:
    held = capabilities_of(person("administrator", None, None))
    assert {"users.manage", "grid.import"} <= held
    assert not {c for c in held if c.startswith(("customer.", "arrears", "cutoff", "call."))}
    assert not held & {"outage.write", "notice.draft", "notice.approve"}


def test_the_auditor_changes_nothing() -> None:
    held = capabilities_of(person("auditor"))
    assert "audit.read" in held
    assert all(c.endswith((".read", ".read_masked")) for c in held)


def test_no_token_approves_commands_or_sends() -> None:
    for scope, held in SCOPE_CAPABILITIES.items():
        assert not {c for c in held if c.endswith(("approve", "propose", "reopen", "reveal", "users.manage"))}, scope


def test_a_token_has_its_scopes_in_its_branch() -> None:
    client = machine("outage:read")
    assert actor_may(client, "outage.read", 12)
    assert not actor_may(client, "outage.read", 500)
    assert not actor_may(client, "outage.write", 12)
    assert intervals_of(client, "customer.read_masked") == ()


def test_the_service_role_on_a_person_gives_nothing() -> None:
    assert capabilities_of(person("service", None, None)) == frozenset()


def test_the_system_may_everything_and_unknown_words_are_mistakes() -> None:
    assert actor_may(Actor.system("router"), "outage.write", 1)
    with pytest.raises(LookupError):
        actor_may(Actor.system("router"), "outage.wright")
