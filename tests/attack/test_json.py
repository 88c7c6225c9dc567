"""Bodies no honest client sends (reliability.md B-05): refused in words, nothing written, never a failure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from outages.models import Outage
from tests.attack.conftest import Send

Everything = Callable[[], dict[str, Any]]
PATHS = ("trouble-reports/", "trouble-reports/batch/", "faults/", "faults/{}/set-etr/")

REFUSED_WHOLE = {
    "nothing": b"",
    "not JSON": b"{",
    "not text": b"\xff\xfe{}",
    "NaN": b'{"service_point": NaN}',
    "infinity": b'{"service_point": -Infinity}',
    "a number": b"7",
    "null": b"null",
    "a list": b"[]",
    "a list of lists": b"[[[[1]]]]",
    "depth 10,000": b'{"place":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "objects 10,000 deep": b'{"place":' * 10_000 + b"1" + b"}" * 10_000,
    "above the limit": b'{"place": "' + b"x" * (11 * 1024 * 1024) + b'"}',
    "an array of a million": b'{"reports": [' + b"1," * 999_999 + b'1], "elements": [' + b'"",' * 999_999 + b'""]}',
}


@pytest.mark.parametrize("body", REFUSED_WHOLE.values(), ids=REFUSED_WHOLE.keys())
def test_a_body_that_is_no_request_is_refused(body: bytes, send: Send, fault: Outage, everything: Everything) -> None:
    before = everything()

    answers = {path: send(path.format(fault.reference), body) for path in PATHS}

    assert {path: a.status_code for path, a in answers.items() if a.status_code not in (400, 413, 422)} == {}
    assert {a.headers["Content-Type"] for a in answers.values()} == {"application/problem+json"}
    assert everything() == before


VALUES = {
    "1e400": "1e400",
    "above 2^63": str(2**70),
    "a number of 5,000 digits": "9" * 5_000,
    "NUL": '"T11\\u0000"',
    "half a surrogate": '"\\ud800"',
    "10 MB": '"' + "x" * (9 * 1024 * 1024) + '"',
    "a boolean": "true",
    "an object": '{"__class__": "x"}',
    "a list in a list": "[[[]]]",
}
REPORT = (
    "service_point",
    "element",
    "place",
    "branch",
    "channel",
    "external_id",
    "caller_phone",
    "note",
    "reported_at",
)
FAULT = ("elements", "service_points", "started_at", "origin", "place", "cause_text", "etr", "note", "source_ref")
ETR = ("etr", "etr_source", "etr_reason", "next_update_by", "version")


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_value_of_no_kind_we_know_is_refused_or_kept_as_text(value: str, send: Send, fault: Outage) -> None:
    bodies = [("trouble-reports/", f'{{"{name}": {value}}}') for name in REPORT]
    bodies += [("trouble-reports/batch/", f'{{"reports": [{{"{name}": {value}}}]}}') for name in REPORT[:4]]
    bodies += [("faults/", f'{{"elements": ["T21"], "{name}": {value}}}') for name in FAULT]
    bodies += [(f"faults/{fault.reference}/set-etr/", f'{{"{name}": {value}}}') for name in ETR]

    failed = [(path, body[:60]) for path, body in bodies if send(path, body).status_code >= 500]

    assert failed == []


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "\udfff x"], ids=["NUL", "high surrogate", "low surrogate"])
def test_text_that_no_database_can_hold_is_refused_by_name(text: str, send: Send, everything: Everything) -> None:
    before = everything()

    for name in ("external_id", "place", "caller_name", "note"):
        answer = send("trouble-reports/", {"service_point": "SP0001", name: text})

        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == name
    assert everything() == before


def test_the_last_of_two_equal_keys_counts_and_nothing_fails(send: Send) -> None:
    answer = send("trouble-reports/", '{"service_point": "SP0001", "service_point": "NOWHERE"}')

    assert answer.status_code in (400, 404, 422)


def test_a_batch_of_a_thousand_and_one_is_refused_whole(send: Send, everything: Everything) -> None:
    before = everything()

    assert send("trouble-reports/batch/", {"reports": [{"service_point": "SP0001"}] * 1001}).status_code == 400
    assert everything() == before


def test_a_broken_item_of_a_batch_stops_no_other(send: Send) -> None:
    reports: list[Any] = [
        {"service_point": "SP0001", "external_id": "1"},
        {"service_point": "SP0001\x00", "external_id": "2"},
        {"service_point": "SP0002", "note": "\ud83d"},
        None,
        [],
        {"service_point": {"code": "SP0001"}},
        {"service_point": "SP0003", "external_id": "7"},
    ]

    answer = send("trouble-reports/batch/", {"reports": reports})

    assert answer.status_code == 200
    assert [item["status"] for item in answer.json()["items"]] == [201, 400, 400, 400, 400, 400, 201]


def test_another_kind_of_body_is_not_read(send: Send, everything: Everything) -> None:
    before = everything()

    answer = send("trouble-reports/", json.dumps({"service_point": "SP0001"}), **{"Content-Type": "text/xml"})

    assert answer.status_code in (400, 415, 201)
    assert (everything() == before) is (answer.status_code != 201)
