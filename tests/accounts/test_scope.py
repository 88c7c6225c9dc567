"""What one sees is what lies in one's branches; foreign and missing are the same."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db.models import Model

from accounts.models import User
from accounts.scope import ScopedModelChoiceField, visible_to
from grid.models import Branch, ContactPoint, Customer, GridElement, ServicePoint
from tests.factories.accounts import actor_of, asha, dora, user_with
from tests.factories.grid import SmallCity


def codes(queryset: object) -> set[str]:
    return {row.code for row in queryset}  # type: ignore[attr-defined]


def test_a_dispatcher_sees_the_elements_of_the_own_branch_only(city: SmallCity) -> None:
    actor = actor_of(asha(city.east))
    assert codes(visible_to(actor, GridElement.objects.all())) == {"F1", "B1", "L11", "T11", "L12", "T12", "K"}


def test_a_role_over_the_bureau_covers_the_branches_below(city: SmallCity) -> None:
    actor = actor_of(asha(city.bureau))
    assert visible_to(actor, ServicePoint.objects.all()).count() == 6
    assert codes(visible_to(actor, Branch.objects.all())) == {"010", "0101", "0102"}


def test_two_grants_add_up(city: SmallCity) -> None:
    user = asha(city.east)
    user_with("dispatcher", city.west, username="asha")
    assert codes(visible_to(actor_of(user), Branch.objects.all())) == {"0101", "0102"}


@pytest.mark.parametrize("model", [Branch, GridElement, Customer, ContactPoint, ServicePoint])
def test_the_outsider_sees_nothing(city: SmallCity, model: type[Model]) -> None:
    assert not visible_to(actor_of(dora()), model._default_manager.all()).exists()


@pytest.mark.parametrize("model", [Customer, ContactPoint, ServicePoint])
def test_the_administrator_sees_the_network_and_no_customer(city: SmallCity, model: type[Model]) -> None:
    actor = actor_of(user_with("administrator"))
    assert visible_to(actor, GridElement.objects.all()).count() == 16
    assert not visible_to(actor, model._default_manager.all()).exists()


def test_contacts_follow_their_customers_branch(city: SmallCity) -> None:
    actor = actor_of(user_with("agent", city.west))
    owners = set(visible_to(actor, ContactPoint.objects.all()).values_list("customer__account_number", flat=True))
    assert owners == {"1000000004", "1000000005"}


def test_a_model_without_a_way_to_its_branch_is_served_to_nobody(db: None) -> None:
    with pytest.raises(ImproperlyConfigured, match="branch_lookup"):
        visible_to(actor_of(dora()), User.objects.all())


def test_a_form_refuses_a_foreign_object_in_the_words_for_a_missing_one(city: SmallCity) -> None:
    field = ScopedModelChoiceField(GridElement.objects.all())
    field.scope_to(actor_of(asha(city.east)))
    assert field.clean(city.id("T11")) == city.elements["T11"]

    messages = []
    for pk in (city.id("T21"), 99_999_999):
        with pytest.raises(ValidationError) as refused:
            field.clean(pk)
        messages.append(refused.value.messages)
    assert messages[0] == messages[1]


def test_a_scoped_field_that_was_given_no_actor_offers_nothing(city: SmallCity) -> None:
    offered = ScopedModelChoiceField(GridElement.objects.all()).queryset
    assert offered is not None
    assert not offered.exists()
