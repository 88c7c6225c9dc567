"""Finding elements, what lies below them, and what hangs on them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

from django.contrib.postgres.search import TrigramSimilarity
from django.db import connection
from django.db.models import Case, CharField, F, FloatField, IntegerField, Lookup, Q, QuerySet, Value, When
from django.db.models.functions import Greatest, Upper

from grid.models import ElementKind, GridElement

SEARCH_LIMIT = 20


class ILike(Lookup[bool]):
    """``ILIKE`` on the bare column: Django's own ``icontains`` upper-cases it, which the trigram index cannot serve."""

    lookup_name = "ilike"

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{left} ILIKE {right}", (*left_params, *right_params)


def contains(column: str, text: str) -> ILike:
    """The column contains the text, whatever the case."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return ILike(F(column), Value(f"%{escaped}%", output_field=CharField()))


class Totals(NamedTuple):
    """What hangs directly on a set of elements."""

    customers: int
    critical_customers: int
    load_kw: float


def elements_search(
    query: str, *, limit: int = SEARCH_LIMIT, branch_range: tuple[int, int] | None = None
) -> list[GridElement]:
    """Elements whose code or name looks like what was typed: exact first, then beginnings, then the most alike."""
    text = query.strip()
    if not text:
        return []
    upper = text.upper()
    found = (
        GridElement.objects.annotate(code_u=Upper("code"), name_u=Upper("name"))
        .filter(Q(code_u__contains=upper) | Q(name_u__contains=upper))
        .select_related("branch", "feeder")
    )
    best = _ranked(_in_branches(found, branch_range), upper)[:limit]
    elements = list(best)
    if elements or len(text) < 3:
        return elements
    # nothing contains it: something mistyped, then
    alike = GridElement.objects.annotate(code_u=Upper("code"), name_u=Upper("name")).filter(
        Q(code_u__trigram_similar=upper) | Q(name_u__trigram_similar=upper)
    )
    return list(_ranked(_in_branches(alike, branch_range).select_related("branch", "feeder"), upper)[:limit])


def element_find(query: str) -> GridElement | None:
    """The element with exactly this code, or else the best match."""
    text = query.strip()
    exact = GridElement.objects.select_related("branch", "feeder").filter(code=text).first()
    if exact is not None:
        return exact
    return next(iter(elements_search(text, limit=1)), None)


def _in_branches(elements: QuerySet[GridElement], branch_range: tuple[int, int] | None) -> QuerySet[GridElement]:
    return elements if branch_range is None else elements.filter(branch__pos__range=branch_range)


def _ranked(elements: QuerySet[GridElement], upper: str) -> QuerySet[GridElement]:
    return elements.annotate(
        rank=Case(
            When(code_u=upper, then=Value(0)),
            When(name_u=upper, then=Value(1)),
            When(Q(code_u__startswith=upper) | Q(name_u__startswith=upper), then=Value(2)),
            default=Value(3),
            output_field=IntegerField(),
        ),
        # buses of an electrical model are places, not things that fail: they come after devices of the same rank
        is_place=Case(When(kind=ElementKind.NODE, then=Value(1)), default=Value(0), output_field=IntegerField()),
        likeness=Greatest(
            TrigramSimilarity("code_u", upper), TrigramSimilarity("name_u", upper), output_field=FloatField()
        ),
    ).order_by("rank", "is_place", F("likeness").desc(), "code")


def elements_below(element: GridElement) -> QuerySet[GridElement]:
    """An element and everything that hangs below it in the normal state, in the order of the walk."""
    return GridElement.objects.filter(pos__range=(element.pos, element.last)).order_by("pos")


def element_neighbours(element_id: int) -> QuerySet[GridElement]:
    """What an element touches: its parent, its children, and whatever a tie joins it to."""
    return GridElement.objects.filter(
        Q(parent_id=element_id) | Q(children=element_id) | Q(ties_from__b_id=element_id) | Q(ties_to__a_id=element_id)
    ).distinct()


def elements_totals(element_ids: Collection[int]) -> Totals:
    """Customers, critical customers and kW hanging directly on these elements, in one statement."""
    with connection.cursor() as db:
        db.execute(
            f"""
            SELECT coalesce(sum(own_customers), 0)::int, coalesce(sum(own_critical), 0)::int,
                   coalesce(sum(round(own_load_kw * 1000)), 0)::float8 / 1000
            FROM {GridElement._meta.db_table} WHERE id = ANY(%s)
            """,  # noqa: S608 - only the table's name
            [list(element_ids)],
        )
        return Totals(*db.fetchone())
