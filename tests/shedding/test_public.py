"""What everybody reads: one's block by three ways, its turns with how sure they are, and what is not known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from accounts.actor import Actor
from outages.load_shedding.models import SheddingPlan
from outages.load_shedding.services import schedule as services
from outages.load_shedding.views.public import FARTHEST
from tests.factories.grid import SmallCity
from tests.shedding.world import block, draft, every_day, plan

HOUR = timedelta(hours=1)
MIDNIGHT = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
PAGE = "/shedding/public/en/"
NOT_FOUND = "No block was found for what you typed."
NO_PROMISE = "That does not mean that nobody is switched off."


def at(hour: float) -> datetime:
    """An hour of tomorrow."""
    return MIDNIGHT + hour * HOUR


@pytest.fixture(autouse=True)
def nobody_has_asked_yet() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def tabled(city: SmallCity, asha: Actor) -> SheddingPlan:
    """A is off from 8 to 10, B from 22 to 1."""
    return plan(city, asha, turns=[*every_day("A", "08:00", "10:00"), *every_day("B", "22:00", "01:00")])


def publish(actor: Actor, of: SheddingPlan, first: float, last: float, certainty: str = "forecast") -> None:
    services.stage_publish(actor=actor, plan_id=of.pk, stage=1, begins=at(first), until=at(last), certainty=certainty)


def get(path: str, **query: str) -> str:
    response = Client().get(f"/shedding/public/{path}", query)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def find(**typed: str) -> str:
    response = Client().post(f"{PAGE}find/", typed)
    assert response.status_code in (200, 422)
    return response.content.decode()


def links(page: str) -> list[str]:
    """The blocks that an answer leads to."""
    answer = page.split('id="found-title"')[1].split("</section>")[0]
    return [part.split('"')[0].rstrip("/").rsplit("/", 1)[1] for part in answer.split(f'href="{PAGE}blocks/')[1:]]


# --- finding one's block ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "blocks"),
    [
        ({"address": "东风路12号3单元"}, ["A"]),
        ({"address": "人民路 68号"}, ["B"]),
        ({"address": "人民路"}, ["B", "C"]),
        ({"transformer": "T12"}, ["A"]),
        ({"account": "1000000005", "phone_tail": "8005"}, ["C"]),
        ({"account": "1000000001", "phone_tail": "8001"}, ["A", "B"]),
    ],
)
def test_three_ways_lead_to_the_block(
    city: SmallCity, tabled: SheddingPlan, typed: dict[str, str], blocks: list[str]
) -> None:
    assert links(find(**typed)) == blocks


@pytest.mark.parametrize(
    "typed",
    [
        {"account": "1000000005", "phone_tail": "8001"},  # of somebody else
        {"account": "9999999999", "phone_tail": "8001"},
        {"transformer": "F1"},
        {"address": "12"},  # too short to mean a place
        {"address": "%%%"},
        {"address": "长江路"},
    ],
)
def test_unknown_and_wrong_get_the_same_answer(city: SmallCity, tabled: SheddingPlan, typed: dict[str, str]) -> None:
    answer = find(**typed).split('id="found-title"')[1].split("</section>")[0]

    assert NOT_FOUND in answer
    assert answer == find(transformer="nowhere").split('id="found-title"')[1].split("</section>")[0]


def test_premises_in_no_block_are_told_so_to_who_knows_the_account(city: SmallCity, asha: Actor) -> None:
    plan(city, asha, blocks={"A": ("L11",)}, turns=every_day("A", "08:00", "10:00"))

    answer = find(account="1000000005", phone_tail="8005")

    assert "Your premises are in no block" in answer


@pytest.mark.parametrize("typed", [{}, {"account": "1000000005"}, {"account": "1", "phone_tail": "80"}])
def test_a_form_that_says_too_little_says_what_is_missing(
    city: SmallCity, tabled: SheddingPlan, typed: dict[str, str]
) -> None:
    response = Client().post(f"{PAGE}find/", typed)

    assert response.status_code == 422
    assert 'id="found-title"' not in response.content.decode()


def test_an_account_cannot_be_guessed_from_any_number_of_addresses(city: SmallCity, tabled: SheddingPlan) -> None:
    def ask(tail: str, peer: str) -> int:
        typed = {"account": "1000000005", "phone_tail": tail}
        return Client(REMOTE_ADDR=peer).post(f"{PAGE}find/", typed).status_code

    assert [ask(f"000{n}", f"192.0.2.{n}") for n in range(5)] == [200] * 5
    assert ask("8005", "192.0.2.9") == 429


def test_one_peer_may_ask_only_so_often(city: SmallCity, tabled: SheddingPlan) -> None:
    asked = [Client().post(f"{PAGE}find/", {"transformer": "T12"}) for _n in range(21)]

    assert [response.status_code for response in asked] == [200] * 20 + [429]
    assert asked[-1]["Retry-After"] == "60"
    assert Client(REMOTE_ADDR="192.0.2.1").post(f"{PAGE}find/", {"transformer": "T12"}).status_code == 200


# --- the block and the day ----------------------------------------------------------------------------


def test_a_block_shows_its_turns_and_how_sure_they_are(asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, 0, 24, "confirmed")
    publish(asha, tabled, 24, 48)

    page = get("en/blocks/010/A/")

    assert page.count("<strong>08:00–10:00</strong> confirmed") == 1
    assert page.count("<strong>08:00–10:00</strong> forecast") == 1
    assert "fewer than 5 customers" in page
    assert "3 customers" not in page


def test_who_is_off_now_reads_that_no_further_turn_is_published(city: SmallCity, asha: Actor) -> None:
    made, now = plan(city, asha, turns=every_day("A", "00:00", "00:00")), timezone.now()
    services.stage_publish(
        actor=asha, plan_id=made.pk, stage=1, begins=now, until=now + 2 * HOUR, certainty="confirmed"
    )

    assert "No further turn is published until" in get("en/blocks/010/A/")
    assert "No turn is published until" in get("en/blocks/010/C/")


def test_no_page_leads_beyond_the_farthest_day(tabled: SheddingPlan) -> None:
    last = timezone.localdate() + FARTHEST

    assert 'rel="next"' in get("en/blocks/010/", day=f"{last - timedelta(days=1):%Y-%m-%d}")
    assert 'rel="next"' not in get("en/blocks/010/", day=f"{last:%Y-%m-%d}")


def test_a_turn_over_midnight_stands_on_both_days(asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, 12, 36)

    page = get("en/blocks/010/B/")

    assert page.count("<strong>22:00–24:00</strong> forecast") == 1
    assert page.count("<strong>00:00–01:00</strong> forecast") == 1


def test_what_is_not_published_is_unknown_and_never_no_shedding(asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, 9, 12)

    page = get("en/blocks/010/C/")
    day = get("en/blocks/010/", day=f"{at(0):%Y-%m-%d}")

    assert NO_PROMISE in page
    assert "00:00–09:00 not known yet" in page
    assert "12:00–24:00 not known yet" in page
    assert "no turn" not in page
    assert NO_PROMISE in day
    assert day.count("00:00–09:00 not known yet") == 3


def test_stage_0_says_that_there_is_no_turn(asha: Actor, tabled: SheddingPlan) -> None:
    services.stage_publish(actor=asha, plan_id=tabled.pk, stage=0, begins=at(0), until=at(24), certainty="confirmed")

    day = get("en/blocks/010/", day=f"{at(0):%Y-%m-%d}")

    assert "nobody is shed confirmed" in day
    assert day.count("no turn") == 3
    assert NO_PROMISE not in day


def test_a_former_name_leads_to_the_block(tabled: SheddingPlan) -> None:
    named = block(tabled, "A")
    named.formerly = ["东风区"]
    named.save(update_fields=["formerly"])

    response = Client().get(f"{PAGE}blocks/010/东风区/")

    assert (response.status_code, response["Location"]) == (302, f"{PAGE}blocks/010/A/")
    assert "formerly 东风区" in get("en/blocks/010/A/")


def test_drafts_and_other_names_are_no_page(city: SmallCity, asha: Actor) -> None:
    draft(city, asha)

    for path in ("en/blocks/010/", "en/blocks/010/A/", "xx/", "en/blocks/nowhere/"):
        assert Client().get(f"/shedding/public/{path}").status_code == 404
    assert "No schedule is published." in get("en/")


def test_pages_speak_the_language_of_their_address(asha: Actor, tabled: SheddingPlan) -> None:
    publish(asha, tabled, 0, 24)

    english, chinese = get("en/blocks/010/A/"), get("zh-hans/blocks/010/A/")

    assert '<html lang="en">' in english
    assert "Block A" in english
    assert '<html lang="zh-hans">' in chinese
    assert "A区块" in chinese
    assert 'href="/shedding/public/zh-hans/blocks/010/A/"' in english
    response = Client().get("/shedding/public/", HTTP_ACCEPT_LANGUAGE="zh-CN")
    assert response["Location"] == "/shedding/public/zh-hans/"


@pytest.mark.parametrize("path", ["", "blocks/010/", "blocks/010/A/"])
def test_a_page_is_small_asks_for_nothing_elsewhere_and_needs_no_script(
    city: SmallCity, asha: Actor, path: str
) -> None:
    made = plan(city, asha, turns=every_day("A", "08:00", "10:00"))
    made.blocks.model.objects.bulk_create(
        made.blocks.model(plan=made, code=f"X{n:03d}", name=f"第{n}区块", mw_by_hour=[0.0] * 24) for n in range(300)
    )
    publish(asha, made, 0, 24)

    page = Client().get(f"{PAGE}{path}", {"day": f"{at(0):%Y-%m-%d}"}).content

    sheets = [Path(str(settings.BASE_DIR)) / "static" / "css" / name for name in ("app.css", "shedding-public.css")]
    assert len(page) + sum(sheet.stat().st_size for sheet in sheets) < 60_000
    assert b"<script" not in page
    assert not [part for part in page.split(b'="http')[1:] if not part.startswith(b"://testserver/")]


def test_reading_takes_the_same_statements_for_any_number_of_blocks(
    city: SmallCity, asha: Actor, django_assert_num_queries: Any
) -> None:
    made = plan(city, asha, turns=every_day("A", "08:00", "10:00"))
    publish(asha, made, 0, 24)
    path, query = f"{PAGE}blocks/010/", {"day": f"{at(0):%Y-%m-%d}"}
    with django_assert_num_queries(10):
        Client().get(path, query)

    made.blocks.model.objects.bulk_create(
        made.blocks.model(plan=made, code=f"X{n:03d}", mw_by_hour=[0.0] * 24) for n in range(50)
    )

    with django_assert_num_queries(10):
        Client().get(path, query)
