"""Roles: over a branch, for a time, never twice; and what ends with them."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from accounts import services
from accounts.actor import Actor
from accounts.models import AccessEvent, Role, RoleGrant, User
from standards.errors import DomainError, Forbidden
from tests.factories.accounts import actor_of, ada, asha, dora, mei, user_with
from tests.factories.grid import SmallCity


def everything() -> dict[str, Any]:
    return {
        "users": list(User.objects.order_by("pk").values()),
        "grants": list(RoleGrant.objects.order_by("pk").values()),
        "access": AccessEvent.objects.count(),
    }


def test_the_roles_in_force_come_in_one_query(city: SmallCity, django_assert_num_queries: Any) -> None:
    user = user_with("planner", city.east, username="asha")
    asha(city.west)
    with django_assert_num_queries(1):
        actor = user.as_actor()
    assert {(g.role, g.pos, g.last) for g in actor.grants} == {
        ("planner", city.east.pos, city.east.last),
        ("dispatcher", city.west.pos, city.west.last),
    }


def test_a_role_that_has_ended_or_not_begun_is_not_held(db: None) -> None:
    user, now = dora(), timezone.now()
    RoleGrant.objects.create(
        user=user, role="agent", valid_from=now - timedelta(days=2), valid_to=now - timedelta(days=1)
    )
    RoleGrant.objects.create(user=user, role="planner", valid_from=now + timedelta(days=1))
    assert user.as_actor().grants == ()


def test_a_disabled_user_holds_nothing(db: None) -> None:
    user = mei()
    user.is_active = False
    assert user.as_actor().grants == ()


def test_the_database_refuses_the_same_role_twice_at_once(city: SmallCity) -> None:
    user, now = dora(), timezone.now()
    RoleGrant.objects.create(user=user, role="agent", valid_from=now, valid_to=now + timedelta(days=9))
    for branch, first, refused in [
        (None, 5, True),
        (None, 9, False),  # touching is not overlapping
        (city.east, 5, False),
    ]:
        create = {"user": user, "role": "agent", "branch": branch, "valid_from": now + timedelta(days=first)}
        if refused:
            with pytest.raises(IntegrityError), transaction.atomic():
                RoleGrant.objects.create(**create)
        else:
            RoleGrant.objects.create(**create)


def test_the_database_refuses_a_reversed_period(db: None) -> None:
    now = timezone.now()
    with pytest.raises(IntegrityError), transaction.atomic():
        RoleGrant.objects.create(user=dora(), role="agent", valid_from=now, valid_to=now - timedelta(hours=1))


def test_granting_and_ending_leaves_a_trace_and_ends_sessions(admin_actor: Actor, client: Client) -> None:
    user = dora()
    client.force_login(user)
    assert client.get("/accounts/profile/").status_code == 200

    grant = services.role_grant(actor=admin_actor, user=user, role=Role.AGENT)

    assert client.get("/accounts/profile/").status_code == 302
    assert actor_of(user).has_role("agent")
    services.role_end(actor=admin_actor, grant=grant)
    assert not actor_of(user).has_role("agent")
    verbs = AccessEvent.objects.filter(object_ref="dora").order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["role_granted", "role_ended"]
    with connection.cursor() as db:
        db.execute("SELECT count(*) FROM accounts_rolegrantevent WHERE pgh_obj_id = %s", [grant.pk])
        assert db.fetchone() == (2,)


def test_a_role_granted_for_later_can_be_ended_before_it_begins(admin_actor: Actor) -> None:
    begin = timezone.now() + timedelta(days=3)
    grant = services.role_grant(actor=admin_actor, user=dora(), role=Role.AGENT, valid_from=begin)
    ended = services.role_end(actor=admin_actor, grant=grant)
    assert ended.valid_to is not None
    assert ended.valid_to - begin < timedelta(seconds=1)


@pytest.mark.parametrize(
    ("role", "kw", "code"),
    [
        ("agent", {}, "role_overlaps"),
        ("service", {}, "role_not_for_this_user"),
        ("planner", {"valid_to": timezone.now() - timedelta(days=1)}, "period_reversed"),
    ],
)
def test_refused_grants_change_nothing(admin_actor: Actor, role: str, kw: dict[str, Any], code: str) -> None:
    user = mei()
    before = everything()

    with pytest.raises(DomainError) as refused:
        services.role_grant(actor=admin_actor, user=user, role=role, **kw)

    assert refused.value.code == code
    assert everything() == before


def test_nobody_raises_himself(admin_actor: Actor, administrator: User) -> None:
    before = everything()
    with pytest.raises(DomainError) as refused:
        services.role_grant(actor=admin_actor, user=administrator, role=Role.APPROVER)
    assert refused.value.code == "own_account"
    assert everything() == before


@pytest.mark.parametrize("role", [r for r in Role.values if r not in ("administrator", "service")])
def test_only_administrators_manage_users(db: None, role: str) -> None:
    actor, victim = actor_of(user_with(role)), dora()
    before = everything()
    for attempt in (
        lambda: services.user_create(actor=actor, username="x"),
        lambda: services.user_update(actor=actor, user=victim, display_name="x"),
        lambda: services.user_set_active(actor=actor, user=victim, is_active=False),
        lambda: services.user_reset_password(actor=actor, user=victim),
        lambda: services.role_grant(actor=actor, user=victim, role="agent"),
    ):
        with pytest.raises(Forbidden):
            attempt()
    assert everything() == before


def test_the_last_administrator_stays(admin_actor: Actor, administrator: User) -> None:
    before = everything()
    system = Actor.system("tests")
    grant = administrator.role_grants.get()
    for attempt in (
        lambda: services.role_end(actor=system, grant=grant),
        lambda: services.user_set_active(actor=system, user=administrator, is_active=False),
    ):
        with pytest.raises(DomainError) as refused:
            attempt()
        assert refused.value.code == "last_administrator"
    assert everything() == before


@pytest.mark.concurrency
@pytest.mark.django_db(transaction=True)
def test_two_administrators_cannot_end_each_other_at_once() -> None:
    one, two = ada(), user_with("administrator", username="bob")
    barrier, outcomes = Barrier(2), []

    def end(victim: User) -> None:
        try:
            barrier.wait(timeout=10)
            services.role_end(actor=Actor.system("tests"), grant=victim.role_grants.get())
            outcomes.append("ended")
        except DomainError as refused:
            outcomes.append(refused.code)
        finally:
            connection.close()

    threads = [Thread(target=end, args=(victim,)) for victim in (one, two)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)

    assert sorted(outcomes) == ["ended", "last_administrator"]
    assert RoleGrant.objects.in_force().filter(role="administrator").count() == 1


def test_the_administrator_may_enter_djangos_admin_and_sees_no_customer(admin_actor: Actor) -> None:
    user = dora()
    services.role_grant(actor=admin_actor, user=user, role=Role.ADMINISTRATOR)
    user = User.objects.get(pk=user.pk)
    assert user.is_staff
    assert user.has_perm("grid.add_gridimport")
    assert user.has_module_perms("grid")
    assert not user.has_perm("grid.view_customer")
    assert not user.has_perm("grid.view_contactpoint")
    assert not mei().has_perm("grid.add_gridimport")
