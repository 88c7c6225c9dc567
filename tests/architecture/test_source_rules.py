"""Rules of the house that a machine can read in the sources. Each names the lines that break it."""

from __future__ import annotations

import ast
import re
import warnings
from pathlib import Path

from django.conf import settings

from tests.architecture.sources import APPS, calls, modules, named, templates


def test_tasks_are_queued_on_commit_only() -> None:
    """A task that runs before the commit that it is about finds nothing (house-style 20)."""
    found = [
        f"{path}:{call.lineno}"
        for path, call in calls()
        if isinstance(call.func, ast.Attribute)
        and path != "standards/doorbell.py"  # which rings after the commit
        and named(call) in {"delay", "apply_async", "apply_async_on_commit", "send_task"}
    ]

    assert found == []


def test_existing_rows_are_saved_with_their_fields_named() -> None:
    """A bare ``save()`` from a stale instance erases what somebody else wrote (house-style 12)."""
    found = []
    for path, call in calls():
        if not isinstance(call.func, ast.Attribute) or named(call) != "save" or call.args:
            continue
        keywords = {keyword.arg for keyword in call.keywords}
        target = call.func.value
        inherited = isinstance(target, ast.Call) and named(target) == "super"
        if not keywords & {"update_fields", "force_insert", "commit"} and not inherited:
            found.append(f"{path}:{call.lineno}")

    assert found == []


def test_one_module_writes_the_status_of_an_outage() -> None:
    """Everything else calls the transition (house-style 7)."""
    found = []
    for path, tree in modules().items():
        if path.startswith(("outages/", "outage_mgmt/", "call_center/")) and path not in STATUS_WRITERS:
            found += [f"{path}:{line}" for line in _status_writes(tree)]

    assert found == []


# outage_transition and the forming of a new record live here; the kinds write the status of their own records
STATUS_WRITERS = {"outages/services.py"}


def _status_writes(tree: ast.Module) -> list[int]:
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr == "status":
                    owner = target.value
                    if "outage" in (owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")):
                        lines.append(node.lineno)
        elif isinstance(node, ast.Call) and named(node) in {"update", "update_or_create"}:
            names_outage = "Outage." in ast.unparse(node.func)
            if names_outage and any(keyword.arg == "status" for keyword in node.keywords):
                lines.append(node.lineno)
    return lines


def test_pages_and_interfaces_read_through_selectors() -> None:
    """Whoever asks ``Outage.objects`` in a view has forgotten who is looking (house-style 29)."""
    harmless = re.compile(r"\.objects\.none\(\)")  # only tells the framework which model it is
    found = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        if re.search(r"(^|/)(views|viewsets)\.py$|/(views|api)/", path)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr == "objects"
        and not harmless.search(_line(path, node.lineno))
        and isinstance(node.value, ast.Name)
        and node.value.id
        in {"Outage", "OutageEvent", "Interruption", "Fault", "TroubleReport", "Customer", "ServicePoint"}
    ]

    assert found == []


def _line(path: str, number: int) -> str:
    return (settings.BASE_DIR / path).read_text().splitlines()[number - 1]


def test_our_apps_send_each_other_no_signals() -> None:
    """What happens next is called, downward, or through the registry, upward (house-style 16)."""
    own = re.compile(r"^(django\.dispatch|django\.db\.models\.signals|blinker)")
    found = [
        f"{path}:{node.lineno}"
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and node.module and own.match(node.module) and path not in SIGNAL_READERS)
        or (
            isinstance(node, ast.ImportFrom)
            and (node.module or "").split(".")[0] in APPS
            and (node.module or "").endswith("signals")
        )
    ]

    assert found == []


# logins are announced by Django and allauth themselves, and nobody else can tell of them
SIGNAL_READERS = {
    "accounts/signals.py",
    "accounts/apps.py",
    "accounts/access.py",
    "accounts/audit.py",
    "accounts/receivers.py",
}


def test_references_in_forms_and_bodies_are_scoped() -> None:
    """A bare related field offers every branch's rows to everybody (reliability 6.2)."""
    bare = {
        "ModelChoiceField",
        "ModelMultipleChoiceField",
        "PrimaryKeyRelatedField",
        "SlugRelatedField",
        "HyperlinkedRelatedField",
    }
    found = [
        f"{path}:{call.lineno}"
        for path, call in calls()
        # the grid stands below the scope; its one form is the administrator's, who imports for every branch
        if named(call) in bare and path not in {"accounts/scope.py", "grid/forms.py"}
    ]

    assert found == []


# the scoped fields themselves; and grid, which stands below them, has one form, for administrators of all branches
UNSCOPED = {"accounts/scope.py", "grid/forms.py"}


def test_no_module_is_a_drawer() -> None:
    """What two apps share moves down to the app whose subject it is (house-style 3)."""
    drawers = {"utils", "util", "common", "misc", "helpers", "helper"}

    assert [path for path in modules() if drawers & {Path(path).stem, *Path(path).parts}] == []


def test_migrations_have_names() -> None:
    """A migration is named by what it does (house-style 39)."""
    files = [path for app in APPS for path in (settings.BASE_DIR / app).rglob("migrations/0*.py")]

    assert [str(path) for path in files if re.search(r"_auto_|_merge_|_alter_\w+_and_more", path.name)] == []


def test_migrations_import_nothing_from_apps() -> None:
    found = [
        str(path.relative_to(settings.BASE_DIR))
        for app in APPS
        for path in (settings.BASE_DIR / app).rglob("migrations/0*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.endswith((".services", ".selectors", ".tasks"))
    ]

    assert found == []


def test_templates_carry_no_script_style_or_handler() -> None:
    """The content security policy would silence them (house-style 33)."""
    rules = {
        "inline script": re.compile(r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")[^>]*>", re.I),
        "inline style": re.compile(r"<style|\sstyle=", re.I),
        "handler": re.compile(r"\son\w+=|hx-on|javascript:", re.I),
    }
    found = [
        f"{name}: {rule}"
        for name, text in templates().items()
        if name.endswith((".html", ".svg"))
        for rule, pattern in rules.items()
        if pattern.search(text)
    ]

    assert found == []


def test_pages_load_nothing_from_elsewhere() -> None:
    """A control room has no internet (experience.md; architecture.md section 5)."""
    asset = re.compile(
        r"""(?:src|srcset|href)=["'](?:https?:)?//|url\(["']?(?:https?:)?//|@import|from ["']https?://"""
    )
    files = {f"static/{path.name}": path.read_text() for path in (settings.BASE_DIR / "static").rglob("*.[cj]s*")}

    found = [name for name, text in {**templates(), **files}.items() for hit in asset.findall(text) if hit]

    assert found == []


def test_no_list_of_exceptions_outlives_its_file() -> None:
    assert {path for path in STATUS_WRITERS if path not in modules()} == set()


def test_the_longest_files_are_reported() -> None:
    """Around 400 lines ask whether a file has two subjects; a person decides, this never fails (house-style 4)."""
    sizes = {path: len((settings.BASE_DIR / path).read_text().splitlines()) for path in modules()}
    functions = {
        f"{path}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    pages = {name: len(text.splitlines()) for name, text in templates().items()}
    report = [
        f"{kind}: {name} has {size} lines"
        for kind, limit, found in [("file", 400, sizes), ("function", 50, functions), ("template", 120, pages)]
        for name, size in sorted(found.items(), key=lambda item: -item[1])
        if size > limit
    ]

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        print("\n".join(report))  # noqa: T201  # shown by `pytest -rP`
