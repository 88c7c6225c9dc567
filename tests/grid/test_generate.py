"""The made-up city: the same for the same seed, and sound."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from grid.forest import totals_wrong
from grid.models import Branch, ContactPoint, Customer, ElementKind, GridElement, GridTie, ServicePoint
from grid.topology import isolated_by, transfer_options

pytestmark = pytest.mark.django_db


def generate(service_points: int = 3000, seed: int = 1, prefix: str = "0856") -> str:
    out = StringIO()
    call_command(
        "generate_grid", f"--service-points={service_points}", f"--seed={seed}", f"--branch-prefix={prefix}", stdout=out
    )
    return out.getvalue()


def people() -> list[tuple[str, str, str, str]]:
    return list(ServicePoint.objects.order_by("code").values_list("code", "customer__name", "address", "element__code"))


def test_the_city_has_what_was_asked_for() -> None:
    generate()

    assert ServicePoint.objects.count() == 3000
    assert sum(GridElement.objects.filter(is_source=True).values_list("customers", flat=True)) == 3000
    assert not GridElement.objects.filter(kind=ElementKind.TRANSFORMER, feeder=None).exists()
    assert GridTie.objects.exists()
    assert Branch.objects.filter(parent=None).count() == 1
    assert not ContactPoint.objects.filter(kind="phone").exclude(value__regex=r"^\+861[3-9]\d{9}$").exists()
    assert not Customer.objects.filter(initials="").exists()
    assert totals_wrong() == []


def test_the_same_seed_is_the_same_city_and_another_is_not() -> None:
    generate(seed=7, service_points=500)
    before = people()

    again = generate(seed=7, service_points=500)
    assert [line.split()[2::2] for line in again.splitlines()] == [["0", "0", "0"]] * 6
    assert people() == before

    generate(seed=8, service_points=500)
    assert people() != before


def test_a_fault_in_the_city_can_be_fed_from_elsewhere() -> None:
    generate(service_points=4000)
    section = GridElement.objects.get(code="0856F0001-L1")

    assert section.pk in isolated_by([section.pk])
    [option] = transfer_options([section.pk])
    assert option.feeder is not None
    assert option.feeder.code == "0856F0002"
    assert 0 < option.customers < section.customers


def test_two_cities_stand_side_by_side() -> None:
    generate(service_points=300)
    generate(service_points=200, prefix="0857")

    assert ServicePoint.objects.count() == 500
    assert totals_wrong() == []


@pytest.mark.parametrize("arguments", [["--service-points=0"], ["--service-points=5", "--seed=-1"]])
def test_a_city_of_nothing_is_refused(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        call_command("generate_grid", *arguments)

    assert not Branch.objects.exists()
