"""The Chinese wording: collected from the sources, checked for holes, compiled; no gettext programs needed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation.template import templatize

APPS = ["standards", "grid", "accounts", "outages", "notifications", "billing_cutoffs", "call_center", "outage_mgmt"]
PO = Path("locale/zh_Hans/LC_MESSAGES/django.po")
KEYWORDS: dict[str, Any] = {
    **dict.fromkeys(["_", "_t", "_lazy", "gettext", "gettext_lazy", "gettext_noop"]),
    **dict.fromkeys(["ngettext", "ngettext_lazy"], (1, 2)),
    **dict.fromkeys(["pgettext", "pgettext_lazy"], ((1, "c"), 2)),
    **dict.fromkeys(["npgettext", "npgettext_lazy"], ((1, "c"), 2, 3)),
}
CALL = re.compile(r"\b(n?p?gettext|_)\(")
PLACEHOLDER = re.compile(r"%\(\w+\)|\{\w*\}|%[sd]")

Key = tuple[str | None, str | tuple[str, ...]]


class Command(BaseCommand):
    help = "Collect (--update), check (--check) or compile (--compile) the Chinese wording."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        choice = parser.add_mutually_exclusive_group(required=True)
        choice.add_argument(
            "--update", action="store_true", help="add new strings to the .po, drop those no longer used"
        )
        choice.add_argument("--check", action="store_true", help="fail on missing, empty, fuzzy or unused strings")
        choice.add_argument("--compile", action="store_true", help="write the .mo")

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.BASE_DIR / PO
        if options["compile"]:
            compile_po(path)
        elif options["update"]:
            before, catalog = read(path), updated(read(path), sources(settings.BASE_DIR))
            path.parent.mkdir(parents=True, exist_ok=True)
            write(catalog, path)
            empty = sum(1 for message in catalog if message.id and not _texts(message))
            self.stdout.write(f"{PO}: {len(before)} strings before, {len(catalog)} now, {empty} without Chinese words.")
        else:
            problems = sorted(holes(read(path), sources(settings.BASE_DIR)))
            if problems:
                raise CommandError(f"{PO} ({len(problems)} problems):\n  " + "\n  ".join(problems))
            self.stdout.write(f"{PO}: complete.")


def sources(base: Path) -> set[Key]:
    """Every translatable string of our Python files and templates, with its context."""
    found = set(_strings(base))
    # a singular that also stands alone is one entry with its plural
    return found - {(context, text[0]) for context, text in found if isinstance(text, tuple)}


def _strings(base: Path) -> Iterator[Key]:
    for app in APPS:
        for path in sorted((base / app).rglob("*.py")):
            if "migrations" not in path.parts:
                with path.open("rb") as file:
                    for _line, text, _comments, context in extract("python", file, KEYWORDS, (), {"encoding": "utf-8"}):
                        if text:
                            yield context, text if isinstance(text, str) else tuple(text)
    for path in sorted((base / "templates").rglob("*")):
        if path.is_file():
            yield from template_strings(path.read_text(), str(path))


def template_strings(source: str, origin: str) -> Iterator[Key]:
    code = templatize(source, origin=origin)
    for match in CALL.finditer(code):
        arguments = _arguments(code, match)
        if not arguments:
            continue
        context = arguments.pop(0) if "p" in match.group(1).removesuffix("gettext") else None
        yield context, (arguments[0], arguments[1]) if match.group(1).startswith("n") else arguments[0]


def _arguments(code: str, match: re.Match[str]) -> list[str]:
    """The string arguments of the call that begins at ``match``: the shortest text that is a whole expression."""
    end = code.find(")", match.end())
    while end != -1:
        try:
            call = ast.parse(code[match.start() : end + 1], mode="eval").body
        except SyntaxError:
            end = code.find(")", end + 1)
            continue
        assert isinstance(call, ast.Call)
        return [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return []


def read(path: Path) -> Catalog:
    if not path.exists():
        return Catalog(locale="zh_Hans")
    with path.open("rb") as file:
        return read_po(file, locale="zh_Hans")


def updated(old: Catalog, wanted: set[Key]) -> Catalog:
    """What the sources want, with the words that we already have."""
    new = Catalog(locale="zh_Hans", project="outage-mgmt", fuzzy=False, header_comment="# Chinese wording.")
    have = {_key(message): message for message in old if message.id}
    for context, text in sorted(wanted, key=_order):
        known = have.get((context, text))
        new.add(text, known.string if known else "", context=context, flags=known.flags if known else ())
    return new


def write(catalog: Catalog, path: Path) -> None:
    out = BytesIO()
    write_po(out, catalog, no_location=True, omit_header=True, width=0, ignore_obsolete=True)
    # a header without dates and tools: it changes when a word changes
    header = 'msgid ""\nmsgstr ""\n' + "".join(
        f'"{name}: {value}\\n"\n'
        for name, value in [
            ("Language", "zh_Hans"),
            ("MIME-Version", "1.0"),
            ("Content-Type", "text/plain; charset=UTF-8"),
            ("Content-Transfer-Encoding", "8bit"),
            ("Plural-Forms", "nplurals=1; plural=0;"),
        ]
    )
    path.write_bytes(header.encode() + b"\n" + out.getvalue().strip() + b"\n")


def compile_po(path: Path) -> None:
    with path.with_suffix(".mo").open("wb") as file:
        write_mo(file, read(path))


def holes(catalog: Catalog, wanted: set[Key]) -> Iterator[str]:
    """One line for each string that a reader would find in English, wrong, or for nothing."""
    have = {_key(message): message for message in catalog if message.id}
    for key in wanted - have.keys():
        yield f"missing: {_show(key)}"
    for key in have.keys() - wanted:
        yield f"no longer used: {_show(key)}"
    for key in wanted & have.keys():
        message = have[key]
        if message.fuzzy:
            yield f"fuzzy: {_show(key)}"
        texts = _texts(message)
        if not texts:
            yield f"empty: {_show(key)}"
        english = key[1] if isinstance(key[1], str) else key[1][-1]
        for text in texts:
            if set(PLACEHOLDER.findall(text)) != set(PLACEHOLDER.findall(english)):
                yield f"placeholders differ: {_show(key)} -> {text}"


def _key(message: Message) -> Key:
    return message.context, message.id if isinstance(message.id, str) else tuple(message.id)


def _order(key: Key) -> tuple[str, str]:
    return (key[1] if isinstance(key[1], str) else key[1][0]), key[0] or ""


def _texts(message: Message) -> list[str]:
    texts = [message.string] if isinstance(message.string, str) else list(message.string or ())
    return [text for text in texts if text]


def _show(key: Key) -> str:
    text = key[1] if isinstance(key[1], str) else " | ".join(key[1])
    return f"[{key[0]}] {text!r}" if key[0] else repr(text)
