"""The evidence sheet: every step with its date, words, proof, rule and source, for an order and for an account."""

from __future__ import annotations

import csv
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone, translation
from pytest_django.fixtures import DjangoAssertNumQueries

from accounts.actor import Actor
from accounts.models import AccessEvent, User
from billing_cutoffs.dossier.evidence import evidence_of_case, evidence_of_order
from billing_cutoffs.lifecycle import BATCH_STEPS, ORDER_STEPS
from billing_cutoffs.models import AccountHold, ArrearsCase, CutoffOrder, CutoffStep, Payment
from billing_cutoffs.progress import VERBS
from billing_cutoffs.protections.guards import found
from billing_cutoffs.services import dunning
from billing_cutoffs.services.grades import accounts_grade
from billing_cutoffs.services.serving import notice_serve
from grid.models import Branch
from tests.billing import world
from tests.billing.world import CLOCK, debtor
from tests.factories.grid import SmallCity
from tests.planned.pages import client_of, text_of


@pytest.fixture
def order(city: SmallCity, ben: Actor) -> CutoffOrder:
    """Reminded, approved, and its letter handed over."""
    Branch.objects.update(send_from="00:00", send_until="00:00")
    account = debtor(city, "SP0001")
    accounts_grade(actor=CLOCK)
    dunning.reminders_issue(actor=CLOCK)
    batch = world.batch(
        city.east, ben, state="approved", opens=timezone.now() + timedelta(days=10), approved_at=timezone.now()
    )
    CutoffStep.objects.create(
        batch=batch, verb="approve", before="submitted", after="approved", actor_kind="user", actor_name="Otto"
    )
    made = world.order(account, batch, state="approved")
    dunning.letters_issue(batch_id=batch.pk, actor=CLOCK)
    letter = made.notices.get()
    notice_serve(notice_id=letter.pk, actor=ben, how="by_hand", served_at=timezone.now(), note="to 陈静, witness 王工")
    made.refresh_from_db()
    return made


def test_every_step_has_its_proof_its_rule_and_its_source(order: CutoffOrder) -> None:
    sheet = evidence_of_order(order)

    said = [step.what.partition(" (")[0] for step in sheet.steps]
    assert said[0] == "oldest bill was due"
    assert set(said) == {
        "oldest bill was due", "case opened", "grade: Residential", "reminder", f"{order.batch.reference}: approved",
        "cut-off letter", f"{order.reference}: notice served by hand", f"{order.reference}: letter arrived",
    }  # fmt: skip
    by_name = {step.what: step for step in sheet.steps}
    letter = by_name["cut-off letter"]
    assert letter.words.startswith("您尾号0001的用电账户拖欠电费320.00元")
    assert letter.proof.splitlines()[0] == "arrived"
    assert letter.proof.splitlines()[1].endswith("handed over · Ben · to 陈静, witness 王工")
    assert letter.proof.splitlines()[2] == "text message +86138****8001 waiting"
    assert letter.rule is not None
    assert (letter.rule.name, letter.rule.value, letter.rule.is_verified) == (
        "cut-off letter, residential", "3 days", False,
    )  # fmt: skip
    assert "67" in letter.rule.source
    approved = by_name[f"{order.batch.reference}: approved"]
    assert approved.rule is not None
    assert (approved.by, approved.rule.value) == ("Otto", "station head")


def test_protections_are_named_with_their_source_and_what_was_found(order: CutoffOrder) -> None:
    order.holds = [found("heat", day="2026-08-01", high=38).as_json()]
    order.save(update_fields=["holds"])

    said = {p.label: p for p in evidence_of_order(order).protections}

    assert "38" in said["heat"].finding
    assert said["cold"].finding == ""
    assert said["life support"].rules[0].name == "never cut life support"
    assert "winter" not in said  # this rule pack has no winter


def test_the_case_has_every_order_payment_and_bar(city: SmallCity, order: CutoffOrder) -> None:
    account = order.case.account
    now = timezone.now()
    Payment.objects.create(
        source_system="bank", payment_id="1", account_number="1000000001", account=account, amount=Decimal("50.00"),
        status="in_flight", paid_at=now,
    )  # fmt: skip
    AccountHold.objects.create(
        account=account, kind="dispute", set_by_name="Ben", reason="meter", released_at=now, released_by_name="Otto"
    )

    said = [(step.what, step.detail, step.by) for step in evidence_of_case(order.case).steps]

    assert ("payment: on its way", "50.00", "bank") in said
    assert ("cut barred: disputed bill", "meter", "Ben") in said
    assert ("bar ended: disputed bill", "", "Otto") in said
    assert any(what.startswith(order.reference) for what, _detail, _by in said)


def test_another_case_is_not_mixed_in(city: SmallCity, order: CutoffOrder) -> None:
    case = order.case
    ArrearsCase.objects.filter(pk=case.pk).update(closed_at=timezone.now())
    later = ArrearsCase.objects.create(
        account=case.account, branch=city.east, oldest_due_on=timezone.localdate(),
        opened_at=timezone.now() + timedelta(minutes=1),
    )  # fmt: skip
    assert {step.what for step in evidence_of_case(later).steps} == {"oldest bill was due", "case opened"}


def test_every_step_of_the_tables_has_words() -> None:
    assert sorted({*BATCH_STEPS, *ORDER_STEPS, "release"} - set(VERBS)) == []


def test_the_sheet_prints_in_both_languages_and_is_logged(order: CutoffOrder, ben_user: User, otto_user: User) -> None:
    url = f"/cutoffs/orders/{order.reference}/evidence/"
    browser = client_of(ben_user)

    page = text_of(browser.get(url))

    for words in ("陈静", "Evidence sheet", "cut-off letter, residential", "您尾号0001", "Protections checked"):
        assert words in page
    assert AccessEvent.objects.get(verb="reveal").object_ref == "1000000001"
    browser.cookies["django_language"] = "zh-hans"
    with translation.override("zh-hans"):
        assert 'lang="zh-hans"' in text_of(browser.get(url))
    masked = text_of(client_of(otto_user).get(url)).replace("to 陈静, witness", "")
    assert "陈静" not in masked
    account = text_of(browser.get("/cutoffs/accounts/1000000001/evidence/"))
    assert order.reference in account


def test_the_steps_are_taken_along_as_csv(order: CutoffOrder, ben_user: User) -> None:
    url = f"/cutoffs/orders/{order.reference}/evidence/?format=csv"
    rows = list(csv.reader(text_of(client_of(ben_user).get(url)).lstrip("\ufeff").splitlines()))
    assert rows[0] == ["time", "step", "details", "words", "proof", "by", "rule", "source"]
    assert "cut-off letter" in {row[1] for row in rows if len(row) > 1}


def test_a_foreign_order_has_no_evidence(order: CutoffOrder, dora_user: User) -> None:
    assert client_of(dora_user).get(f"/cutoffs/orders/{order.reference}/evidence/").status_code == 404


def test_statements_do_not_grow_with_steps(
    order: CutoffOrder, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for _n in range(30):
        CutoffStep.objects.create(
            batch=order.batch, order=order, verb="hold", actor_kind="system", actor_name="cut-offs"
        )
    fresh = CutoffOrder.objects.select_related("batch", "case__branch", "case__account__customer").get(pk=order.pk)
    with django_assert_num_queries(7):
        assert len(evidence_of_order(fresh).steps) == 38
