"""No reader finds a hole in the wording."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from outage_mgmt.management.commands.translations import holes, read, sources, template_strings, updated, write

HEADER = (
    'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n"Plural-Forms: nplurals=1; plural=0;\\n"\n\n'
)


def catalog(tmp_path: Path, text: str) -> object:
    path = tmp_path / "django.po"
    path.write_text(HEADER + text)
    return read(path)


def test_the_chinese_wording_is_complete() -> None:
    path = settings.BASE_DIR / "locale/zh_Hans/LC_MESSAGES/django.po"

    assert sorted(holes(read(path), sources(settings.BASE_DIR))) == []


def test_strings_of_templates_are_found() -> None:
    source = (
        "{% load i18n %}{% translate 'Off' context 'supply' %}{{ _('Now') }}"
        "{% blocktranslate count n=n trimmed %}{{ n }} customer{% plural %}{{ n }} customers{% endblocktranslate %}"
    )

    assert set(template_strings(source, "x.html")) == {
        ("supply", "Off"),
        (None, "Now"),
        (None, ("%(n)s customer", "%(n)s customers")),
    }


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("", "missing: '%(n)s off'"),
        ('msgid "%(n)s off"\nmsgstr ""\n', "empty: '%(n)s off'"),
        ('#, fuzzy\nmsgid "%(n)s off"\nmsgstr "停 %(n)s"\n', "fuzzy: '%(n)s off'"),
        ('msgid "%(n)s off"\nmsgstr "停"\n', "placeholders differ: '%(n)s off' -> 停"),
        ('msgid "%(n)s off"\nmsgstr "停 %(n)s"\n\nmsgid "old"\nmsgstr "旧"\n', "no longer used: 'old'"),
    ],
)
def test_every_kind_of_hole_is_named(tmp_path: Path, entry: str, problem: str) -> None:
    assert list(holes(catalog(tmp_path, entry), {(None, "%(n)s off")})) == [problem]  # type: ignore[arg-type]


def test_an_update_keeps_words_and_changes_nothing_the_second_time(tmp_path: Path) -> None:
    wanted = {(None, "Off"), ("supply", "Off"), (None, ("%(n)s hit", "%(n)s hits"))}
    known = catalog(tmp_path, 'msgid "Off"\nmsgstr "停电"\n\nmsgid "old"\nmsgstr "旧"\n')

    write(updated(known, wanted), tmp_path / "one.po")  # type: ignore[arg-type]
    write(updated(read(tmp_path / "one.po"), wanted), tmp_path / "two.po")  # type: ignore[arg-type]

    text = (tmp_path / "one.po").read_text()
    assert (text.count("停电"), text.count("旧"), text.count("msgid_plural")) == (1, 0, 1)
    assert (tmp_path / "two.po").read_text() == text
