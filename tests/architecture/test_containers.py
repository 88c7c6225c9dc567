"""What can be said about the containers without an engine to run them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from django.conf import settings

COMPOSE: dict[str, Any] = yaml.safe_load((settings.BASE_DIR / "docker-compose.yml").read_text())
DOCKERFILE = (settings.BASE_DIR / "Dockerfile").read_text()
SETTINGS = (settings.BASE_DIR / "outage_mgmt" / "settings" / "__init__.py").read_text()
OURS = ["migrate", "web", "worker", "beat"]
PINNED = re.compile(r"[\w./-]+:[\w.-]*\d[\w.-]*")


def test_the_composition_has_what_a_site_needs() -> None:
    assert set(COMPOSE["services"]) == {*OURS, "postgres", "redis", "mail"}
    assert set(COMPOSE["volumes"]) == {"postgres", "redis", "beat"}


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_every_service_says_whether_it_is_well(name: str) -> None:
    assert COMPOSE["services"][name]["healthcheck"].keys() & {"test", "disable"}
    assert COMPOSE["services"][name]["healthcheck"].get("disable", False) is (name == "migrate")


@pytest.mark.parametrize("name", [name for name in COMPOSE["services"] if name not in OURS])
def test_images_of_others_are_pinned(name: str) -> None:
    assert PINNED.fullmatch(COMPOSE["services"][name]["image"])


@pytest.mark.parametrize("name", OURS)
def test_our_services_wait_for_healthy_servers(name: str) -> None:
    waits = COMPOSE["services"][name]["depends_on"]

    assert (waits["postgres"]["condition"], waits["redis"]["condition"]) == ("service_healthy", "service_healthy")


@pytest.mark.parametrize("name", OURS)
def test_settings_know_every_variable_that_a_service_is_given(name: str) -> None:
    known = set(re.findall(r"^``([A-Z_]+)``", SETTINGS, re.M))

    assert set(COMPOSE["services"][name]["environment"]) - known == set()


def test_every_variable_of_the_composition_is_in_the_example() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", (settings.BASE_DIR / "docker-compose.yml").read_text()))
    example = set(re.findall(r"^([A-Z_]+)=", (settings.BASE_DIR / ".env.example").read_text(), re.M))

    assert used == example


def test_settings_tell_of_every_variable_that_they_read() -> None:
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', SETTINGS))

    assert read - set(re.findall(r"^``([A-Z_]+)``", SETTINGS, re.M)) == set()


def test_the_worker_serves_every_queue() -> None:
    command = COMPOSE["services"]["worker"]["command"]

    assert command[command.index("--queues") + 1] == settings.WORKER_QUEUES


def test_the_image_is_small_and_runs_without_rights() -> None:
    stages = re.findall(r"^FROM (\S+)(?: AS (\w+))?$", DOCKERFILE, re.M)
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]

    assert [name for _image, name in stages] == ["build", ""]
    assert all(PINNED.fullmatch(image) for image, _name in stages)
    assert re.search(r"^USER outage$", last, re.M)
    assert last.index("\nUSER ") < last.index("\nCMD ")
    assert "build-essential" not in last
    assert "--require-hashes -r requirements/run.txt" in DOCKERFILE


def test_the_image_starts_a_program_that_the_requirements_bring() -> None:
    program = re.search(r'^CMD \["(\w+)"', DOCKERFILE, re.M)

    assert program is not None
    assert re.search(rf"^{program.group(1)}==", (settings.BASE_DIR / "requirements/run.txt").read_text(), re.M)


@pytest.mark.parametrize("name", ["run", "dev"])
def test_requirements_are_locked_by_hash_and_name_no_registry(name: str) -> None:
    text = (settings.BASE_DIR / "requirements" / f"{name}.txt").read_text()
    entries = re.split(r"\n(?=\S)", text.strip())

    assert all("==" in entry and "--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"index-url|find-links|https?://", text)
