"""A bad pack stops start-up with its file, the place inside it and the reason."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from standards.loader import SHIPPED, PackError, packs_read

GOOD = (SHIPPED / "cn-sgcc.yaml").read_text(encoding="utf-8")
PLANNED = "value: 7, unit: days, citation: *ten,"
REST = 'effective: 2022-01-01, verified: yes, note: "area'


def pack_in(folder: Path, text: str, name: str = "cn-sgcc.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "where", "reason"),
    [
        (PLANNED, "value: seven, unit: days, citation: *ten,", "notice.planned.value", "valid number"),
        (PLANNED, "value: -7, unit: days, citation: *ten,", "notice.planned.value", "greater than or equal to 0"),
        (
            PLANNED,
            "value: 7, unit: weeks, citation: *ten,",
            "notice.planned.unit",
            "input should be 'minutes', 'hours',",
        ),
        (PLANNED, "value: 7, unit: days,", "notice.planned.citation", "field required"),
        (PLANNED, "value: 7, unit: days, citation: '',", "notice.planned.citation", "at least 1 character"),
        (REST, REST.replace("2022-01-01", "soon"), "notice.planned.effective", "input should be a valid date"),
        (REST, REST.replace("yes", "maybe"), "notice.planned.verified", "input should be a valid boolean"),
        ("notice:\n", "notice:\n  surprise: 1\n", "notice.surprise", "extra inputs are not permitted"),
        ("estimate:\n", "estimate_gone:\n", "estimate", "field required"),
        ("up_to: 360", "up_to: 60", "estimate.rounding", "the distances must rise"),
        ("up_to: null", "up_to: 900", "estimate.rounding", "only the last step has none"),
        ('begins: "22:00"', "begins: late", "telling.quiet_hours.value.begins", "valid time format"),
        ("value: [friday]", "value: [firday]", "arrears.no_cut_weekdays.value.0", "input should be 'monday',"),
        ("value: automatic", "value: auto", "arrears.reconnect_mode.value", "input should be 'automatic' or 'safe'"),
        ("unit: °C", "unit: °F", "protections.cold.unit", "input should be '°C'"),
        ("name: cn-sgcc", "name: other", "name", "the file's name says 'cn-sgcc'"),
        ("  temporary: {value: 24,", "  planned: {value: 24,", "line", "the key 'planned' stands twice"),
        ("notice:\n", "notice: [\n", "line", "while parsing a flow"),
        ("citation: *supply", "citation: *nothing", "line", "found undefined alias"),
    ],
)
def test_a_mistake_is_named_by_file_place_and_reason(
    tmp_path: Path, old: str, new: str, where: str, reason: str
) -> None:
    assert old in GOOD
    path = pack_in(tmp_path, GOOD.replace(old, new, 1))

    with pytest.raises(PackError) as refused:
        packs_read(tmp_path)

    sentence = str(refused.value)
    assert str(path) in sentence
    assert where in refused.value.where
    assert reason in sentence or reason in str(refused.value.__cause__)


@pytest.mark.parametrize("text", ["", "just words", "- a\n- list\n"])
def test_a_file_that_is_no_pack_at_all(tmp_path: Path, text: str) -> None:
    pack_in(tmp_path, text)
    with pytest.raises(PackError, match="it must be a mapping"):
        packs_read(tmp_path)


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "cn-sgcc.yaml").write_bytes(GOOD.encode("gb18030"))
    with pytest.raises(PackError, match="it is not UTF-8"):
        packs_read(tmp_path)


def test_yaml_that_would_run_code_is_refused(tmp_path: Path) -> None:
    pack_in(tmp_path, "name: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(PackError, match="could not determine a constructor"):
        packs_read(tmp_path)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="there is no such folder"):
        packs_read(tmp_path / "none")


def test_an_old_version_lies_beside_the_one_in_force(tmp_path: Path) -> None:
    pack_in(tmp_path, GOOD.replace("2026.1", "2026.2", 1))
    pack_in(tmp_path, GOOD.replace("value: 7, unit: days", "value: 5, unit: days", 1), "cn-sgcc@2026.1.yaml")

    found = packs_read(tmp_path)

    assert found["cn-sgcc"].version == "2026.2"
    assert found["cn-sgcc"].notice.planned.value == 7
    assert found["cn-sgcc@2026.1"].notice.planned.value == 5


def test_the_same_version_may_not_say_two_things(tmp_path: Path) -> None:
    pack_in(tmp_path, GOOD.replace("value: 7, unit: days", "value: 5, unit: days", 1))
    with pytest.raises(PackError, match="is there already and says something else"):
        packs_read(SHIPPED, tmp_path)


def test_start_up_stops_with_one_sentence(tmp_path: Path) -> None:
    path = pack_in(tmp_path, GOOD.replace("value: 7, unit: days", "value: seven, unit: days", 1))

    run = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=settings.BASE_DIR,
        env={**os.environ, "RULE_PACKS_DIR": str(tmp_path), "DATA_DIR": str(settings.DATA_DIR)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert run.returncode == 1
    assert run.stderr.strip().splitlines()[-1] == (
        f"The rule pack {path} is not usable at notice.planned.value: input should be a valid number."
    )
    assert "Traceback" not in run.stderr
