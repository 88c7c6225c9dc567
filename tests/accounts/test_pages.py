"""The administrator's pages: what is shown once, what is refused beside its field, who gets in at all."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import InternalError, connection, transaction
from django.test import Client

from accounts import services
from accounts.actor import Actor
from accounts.models import AccessEvent, RoleGrant, ServiceToken, User
from tests.factories.accounts import PASSWORD, actor_of, ada, asha, ben, client_token, dora, mei, user_with
from tests.factories.grid import SmallCity

pytestmark = pytest.mark.django_db

ADMIN_PAGES = ["users/", "users/new/", "clients/new/"]


@pytest.fixture
def admin(client: Client, administrator: User) -> Client:
    client.force_login(administrator)
    return client


def text(answer: Any) -> str:
    return str(answer.content.decode())


@pytest.mark.parametrize("place", [*ADMIN_PAGES, "access-log/"])
@pytest.mark.parametrize("person", [asha, ben, mei, dora])
def test_others_are_refused_and_recorded(client: Client, person: Any, place: str) -> None:
    client.force_login(person())
    answer = client.get(f"/accounts/{place}")
    assert answer.status_code == 403
    assert "Your role does not allow this." in text(answer)
    assert AccessEvent.objects.filter(verb="denied", object_ref=f"/accounts/{place}").count() == 1


def test_posts_of_others_change_nothing(client: Client, city: SmallCity) -> None:
    token, _key = client_token("outage:read")
    victim = dora()
    client.force_login(asha())
    grant = RoleGrant.objects.get(user__username="asha")
    before = list(User.objects.order_by("pk").values()), list(RoleGrant.objects.order_by("pk").values())
    for address in (
        f"users/{victim.pk}/",
        f"users/{victim.pk}/active/",
        f"users/{victim.pk}/password/",
        f"users/{victim.pk}/roles/",
        f"users/{token.user_id}/tokens/",
        f"roles/{grant.pk}/end/",
        f"tokens/{token.pk}/revoke/",
    ):
        assert client.post(f"/accounts/{address}", {"role": "agent", "active": "no"}).status_code == 403, address
    assert (list(User.objects.order_by("pk").values()), list(RoleGrant.objects.order_by("pk").values())) == before
    token.refresh_from_db()
    assert token.revoked_at is None


def test_a_new_user_gets_a_password_that_is_shown_once_and_works(admin: Client) -> None:
    answer = admin.post("/accounts/users/new/", {"username": "li", "display_name": "李工", "extension": "801"})
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    password = re.findall(r"<code>([^<]+)</code>", text(answer))[-1]
    user = User.objects.get(username="li")
    assert user.check_password(password)
    assert password not in text(admin.get(f"/accounts/users/{user.pk}/"))


def test_a_taken_name_or_extension_is_said_beside_the_field(admin: Client) -> None:
    mei()
    User.objects.filter(username="mei").update(extension="800")
    answer = admin.post("/accounts/users/new/", {"username": "mei"})
    assert answer.status_code == 422
    assert "already exists" in text(answer)
    answer = admin.post("/accounts/users/new/", {"username": "li", "extension": "800"})
    assert answer.status_code == 422
    assert not User.objects.filter(username="li").exists()


def test_roles_are_granted_and_ended_on_the_users_page(admin: Client, city: SmallCity) -> None:
    user = dora()
    where = f"/accounts/users/{user.pk}/"
    answer = admin.post(f"{where}roles/", {"role": "dispatcher", "branch": city.east.pk})
    assert answer.status_code == 302
    grant = user.role_grants.get()
    assert grant.branch == city.east
    again = admin.post(f"{where}roles/", {"role": "dispatcher", "branch": city.east.pk})
    assert again.status_code == 422
    assert "already holds this role" in text(again)
    assert "城东供电分局" in text(admin.get(where))
    admin.post(f"/accounts/roles/{grant.pk}/end/")
    assert actor_of(user).grants == ()


def test_a_token_is_shown_once_and_revoked(admin: Client) -> None:
    answer = admin.post("/accounts/clients/new/", {"username": "scada", "display_name": "SCADA"})
    machine = User.objects.get(username="scada")
    assert answer["Location"] == f"/accounts/users/{machine.pk}/"
    made = admin.post(
        f"/accounts/users/{machine.pk}/tokens/",
        {"name": "feed", "scopes": ["event:read"], "days": 30, "addresses": "10.0.0.0/8\n"},
    )
    key = re.findall(r"<code>(om_[0-9a-f]{64})</code>", text(made))[0]
    assert "no-store" in made["Cache-Control"]
    token = ServiceToken.objects.get()
    assert token.addresses == ["10.0.0.0/8"]
    page = text(admin.get(f"/accounts/users/{machine.pk}/"))
    assert key not in page
    assert token.prefix in page
    admin.post(f"/accounts/tokens/{token.pk}/revoke/")
    token.refresh_from_db()
    assert token.revoked_at is not None
    wrong = admin.post(f"/accounts/users/{machine.pk}/tokens/", {"name": "x", "scopes": ["event:read"], "days": 400})
    assert wrong.status_code == 422


def test_an_administrator_cannot_disable_himself(admin: Client, administrator: User) -> None:
    answer = admin.post(f"/accounts/users/{administrator.pk}/active/", {"active": "no"})
    assert answer.status_code == 403
    administrator.refresh_from_db()
    assert administrator.is_active


def test_a_missing_user_is_a_plain_404(admin: Client) -> None:
    answer = admin.get("/accounts/users/999999/")
    assert answer.status_code == 404
    assert "There is nothing here by that name" in text(answer)


def test_a_refusal_to_htmx_is_a_fragment(admin: Client) -> None:
    answer = admin.get("/accounts/users/999999/", HTTP_HX_REQUEST="true")
    assert answer.status_code == 404
    assert "<html" not in text(answer)
    assert "There is nothing here by that name" in text(answer)
    assert answer["HX-Reswap"] == "afterbegin"
    restored = admin.get("/accounts/users/999999/", HTTP_HX_REQUEST="true", HTTP_HX_HISTORY_RESTORE_REQUEST="true")
    assert "<html" in text(restored)


@pytest.mark.parametrize(
    ("address", "status"),
    [("/accounts/users/?q=%00", 400), ("/accounts/users/?page=zz", 200), ("/accounts/rules/?pack=x", 200)],
)
def test_odd_queries_are_harmless(admin: Client, address: str, status: int) -> None:
    assert admin.get(address).status_code == status


def test_the_list_of_users_takes_a_fixed_number_of_queries(admin: Client, django_assert_num_queries: Any) -> None:
    for i in range(5):
        user_with("agent", username=f"agent{i}")
    admin.get("/accounts/users/")
    with django_assert_num_queries(6):
        admin.get("/accounts/users/")


def test_the_profile_keeps_language_and_shortcuts(client: Client) -> None:
    client.force_login(mei())
    answer = client.post("/accounts/profile/", {"display_name": "梅", "language": "en", "theme": "dark"})
    assert answer.status_code == 302
    assert answer.cookies["django_language"].value == "en"
    user = User.objects.get(username="mei")
    assert (user.display_name, user.language, user.theme, user.shortcuts_enabled) == ("梅", "en", "dark", False)


def test_nobody_changes_rights_through_the_profile(client: Client) -> None:
    client.force_login(dora())
    client.post(
        "/accounts/profile/",
        {"theme": "dark", "is_staff": "on", "is_superuser": "on", "username": "ada", "is_service": "on"},
    )
    user = User.objects.get(username="dora")
    assert (user.is_staff, user.is_superuser, user.is_service, user.theme) == (False, False, False, "dark")


def test_everybody_reads_the_rules(client: Client) -> None:
    client.force_login(dora())
    page = text(client.get("/accounts/rules/"))
    assert "notice of planned work" in page
    assert "State Grid ten service commitments" in page
    assert "not verified" in page
    assert "95 GBP" in text(client.get("/accounts/rules/?pack=gb"))


def test_the_auditor_reads_the_log_and_the_users_and_changes_nothing(client: Client) -> None:
    ada()
    victim = mei()
    auditor = user_with("auditor")
    client.force_login(auditor)
    services.access_record(actor=actor_of(victim), verb="reveal", object_ref="10010", reason="called")
    page = text(client.get("/accounts/access-log/?verb=reveal&who=mei"))
    assert "10010" in page
    assert client.get("/accounts/users/").status_code == 200
    assert "New user" not in text(client.get("/accounts/users/"))
    assert client.post(f"/accounts/users/{victim.pk}/active/", {"active": "no"}).status_code == 403


def test_the_access_log_cannot_be_changed(db: None) -> None:
    event = services.access_record(actor=Actor.system("tests"), verb="export", object_ref="x")
    for statement in ("UPDATE accounts_accessevent SET actor_name = 'y'", "DELETE FROM accounts_accessevent"):
        with pytest.raises(InternalError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    event.refresh_from_db()
    assert event.actor_name == "tests"
    assert event.at is not None


def test_passwords_and_digests_are_in_no_history(admin_actor: Actor) -> None:
    user, _password = services.user_create(actor=admin_actor, username="li")
    services.user_reset_password(actor=admin_actor, user=user)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_userevent")
        names = {column.name for column in cursor.description or ()}
    assert not names & {"password", "last_login", "session_epoch"}
    assert User.objects.get(username="li").password != PASSWORD
