"""Plans, works and published windows by REST. A client enters and hands in; nobody endorses or approves here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet, ReadOnlyModelViewSet

from accounts.actor import Actor
from accounts.api.idempotency import idempotent
from accounts.api.permissions import needs
from accounts.requests import actor_of
from accounts.scope import ids_by_code, ids_known
from grid.models import Branch, GridElement, ServicePoint
from outages import places
from outages.api.bodies import IDEMPOTENCY, ActionSerializer, items_read, refusal, validated, versioned
from outages.api.views import Newest
from outages.planned import checks, dossier, selectors, services
from outages.planned.api import serializers as shapes
from outages.planned.filters import PeriodFilter, WorkFilter
from outages.planned.models import PlannedWork, PlanPeriod, WorkWindow
from outages.planned.services import ChecksOpen, WorkDraft, WorkOutcome, WorkRequest
from standards.errors import DomainError, Forbidden, NotFound, UnknownCode

REFERENCE: Final = "[A-Z]{1,4}-[0-9]{4}-[0-9]{6,9}"


class TellsFindings(APIView):
    """A refusal at a gate carries what stops each work."""

    def handle_exception(self, exc: Exception) -> Response:
        response = super().handle_exception(exc)
        if isinstance(exc, ChecksOpen):
            response.data["works"] = shapes.StoppedSerializer(exc.stopped, many=True).data
        return response


# --- plans ------------------------------------------------------------------------------------------


@extend_schema_view(
    list=extend_schema(summary="Plans of your branches, newest first", tags=["planned works"]),
    retrieve=extend_schema(summary="One plan", tags=["planned works"]),
)
@method_decorator(conditional_page, name="dispatch")
class PeriodViewSet(TellsFindings, ReadOnlyModelViewSet[PlanPeriod]):
    """A branch's plans: opened and handed in here, decided by people. Answers carry an ``ETag``."""

    permission_classes = [needs("plan.submit", list="outage.read", retrieve="outage.read")]
    serializer_class = shapes.PeriodSerializer
    filterset_class = PeriodFilter
    pagination_class = Newest
    lookup_value_regex = "[0-9]{1,18}"
    queryset = PlanPeriod.objects.none()

    def get_queryset(self) -> QuerySet[PlanPeriod]:
        actor = actor_of(self.request)
        if not selectors.sees_plans(actor):
            raise Forbidden()
        return dossier.periods_summed(selectors.periods_visible_to(actor))

    @extend_schema(
        summary="Open a plan",
        description="The plan of the month or week in which `day` lies. One that is there already is the answer.",
        parameters=[IDEMPOTENCY],
        request=shapes.PeriodInputSerializer,
        responses={201: shapes.PeriodSerializer},
        tags=["planned works"],
    )
    @idempotent
    def create(self, request: Request) -> Response:
        actor, facts = actor_of(request), validated(shapes.PeriodInputSerializer(data=request.data))
        branch = selectors.branch_to_plan(actor=actor, code=facts["branch"])
        period = services.period_open(actor=actor, branch=branch, kind=facts["kind"], day=facts["day"])
        response = self._answer(period.pk, status.HTTP_201_CREATED)
        response["Location"] = request.build_absolute_uri(f"{period.pk}/")
        return response

    @extend_schema(
        summary="Hand a plan in",
        description="While a check waits for an answer: 409 `checks_open`, with `works` and their findings.",
        request=ActionSerializer,
        tags=["planned works"],
    )
    @action(detail=True, methods=["post"])
    def submit(self, request: Request, pk: str) -> Response:
        period, facts = self.get_object(), validated(ActionSerializer(data=request.data))
        services.period_submit(actor=actor_of(request), period_id=period.pk, **versioned(facts))
        return self._answer(period.pk)

    def _answer(self, period_id: int, code: int = status.HTTP_200_OK) -> Response:
        period = self.get_queryset().get(pk=period_id)
        return Response(shapes.PeriodSerializer(period).data, status=code)


# --- works ------------------------------------------------------------------------------------------


@extend_schema_view(
    list=extend_schema(
        summary="Planned works of your branches, newest first",
        description="Unless `since`, `until`, `plan`, `q` or `state` is given: what has not ended.",
        tags=["planned works"],
    ),
    retrieve=extend_schema(
        summary="One work, with what the checks say", responses=shapes.WorkDetailSerializer, tags=["planned works"]
    ),
)
@method_decorator(conditional_page, name="dispatch")
class WorkViewSet(TellsFindings, GenericViewSet[PlannedWork]):
    """Works: one, or up to a thousand at once with an answer for each. Answers carry an ``ETag``."""

    permission_classes = [needs("plan.submit", list="outage.read", retrieve="outage.read")]
    serializer_class = shapes.WorkSerializer
    filterset_class = WorkFilter
    pagination_class = Newest
    lookup_field = "reference"
    lookup_value_regex = REFERENCE
    queryset = PlannedWork.objects.none()

    def get_queryset(self) -> QuerySet[PlannedWork]:
        return selectors.works_in_full(actor_of(self.request))

    def get_object(self) -> PlannedWork:
        return selectors.work_by_reference(actor=actor_of(self.request), reference=self.kwargs["reference"])

    def list(self, request: Request) -> Response:
        works = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        back = _steps_back([window for work in works for window in work.windows.all()])
        return self.get_paginated_response(shapes.WorkSerializer(works, many=True, context=back).data)

    def retrieve(self, request: Request, reference: str) -> Response:
        return self._answer(self.get_object())

    @extend_schema(
        summary="Enter a work",
        description=(
            "A draft of the branch; it is handed in with its plan, or by `submit` outside one. A work of the branch"
            " with the same `key` is the answer, unchanged, with status 200."
        ),
        parameters=[IDEMPOTENCY],
        request=shapes.WorkInputSerializer,
        responses={201: shapes.WorkDetailSerializer, 200: shapes.WorkDetailSerializer},
        tags=["planned works"],
    )
    @idempotent
    def create(self, request: Request) -> Response:
        actor, facts = actor_of(request), validated(shapes.WorkInputSerializer(data=request.data))
        outcome = _entered(actor, [facts])[0]
        if outcome.error is not None:
            raise outcome.error
        assert outcome.work is not None
        work = selectors.work_by_reference(actor=actor, reference=outcome.work.reference)
        response = self._answer(work, status.HTTP_201_CREATED if outcome.is_new else status.HTTP_200_OK)
        response["Location"] = request.build_absolute_uri(work.reference + "/")
        return response

    @extend_schema(
        summary="Enter many works at once",
        description="What is refused stops no other; the answers stand in the order sent. At most 1,000 items.",
        parameters=[IDEMPOTENCY],
        request=shapes.WorkBatchInputSerializer,
        responses=shapes.WorkBatchResultSerializer,
        tags=["planned works"],
    )
    @action(detail=False, methods=["post"])
    @idempotent
    def batch(self, request: Request) -> Response:
        asked = items_read(
            request.data, name="works", batch=shapes.WorkBatchInputSerializer, item=shapes.WorkInputSerializer
        )
        items = [_item(index, outcome) for index, outcome in enumerate(_entered(actor_of(request), asked))]
        refused = sum(item["error"] is not None for item in items)
        return Response({"accepted": len(items) - refused, "refused": refused, "items": items})

    @extend_schema(
        summary="Change a work",
        description="While it is a draft or was returned. What is left out is empty again.",
        request=shapes.WorkChangeSerializer,
        responses=shapes.WorkDetailSerializer,
        tags=["planned works"],
    )
    def update(self, request: Request, reference: str) -> Response:
        return self._change(shapes.WorkChangeSerializer(data=request.data))

    @extend_schema(
        summary="Change some facts of a work",
        description="While it is a draft or was returned. What is left out stays.",
        request=shapes.WorkChangeSerializer(partial=True),
        responses=shapes.WorkDetailSerializer,
        tags=["planned works"],
    )
    def partial_update(self, request: Request, reference: str) -> Response:
        return self._change(shapes.WorkChangeSerializer(data=request.data, partial=True))

    @extend_schema(
        summary="Hand in a work outside a plan",
        description="While a check waits for an answer: 409 `checks_open`, with `works` and their findings.",
        request=ActionSerializer,
        responses=shapes.WorkDetailSerializer,
        tags=["planned works"],
    )
    @action(detail=True, methods=["post"])
    def submit(self, request: Request, reference: str) -> Response:
        work, facts = self.get_object(), validated(ActionSerializer(data=request.data))
        services.work_submit(actor=actor_of(request), work_id=work.pk, **versioned(facts))
        return self._answer(self.get_object())

    @extend_schema(
        summary="Take a work outside a plan back",
        request=ActionSerializer,
        responses=shapes.WorkDetailSerializer,
        tags=["planned works"],
    )
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, reference: str) -> Response:
        work, facts = self.get_object(), validated(ActionSerializer(data=request.data))
        services.work_withdraw(actor=actor_of(request), work_id=work.pk, **versioned(facts))
        return self._answer(self.get_object())

    @extend_schema(
        summary="The work will not happen",
        description="Of a published work every window that is still ahead is cancelled.",
        request=shapes.PlannedCancelSerializer,
        responses=shapes.WorkDetailSerializer,
        tags=["planned works"],
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, reference: str) -> Response:
        work, facts = self.get_object(), validated(shapes.PlannedCancelSerializer(data=request.data))
        services.work_cancel(actor=actor_of(request), work_id=work.pk, **versioned(facts))
        return self._answer(self.get_object())

    def _change(self, change: shapes.WorkChangeSerializer) -> Response:
        actor, work, facts = actor_of(self.request), self.get_object(), validated(change)
        shapes.says_why_it_is_late(
            {"work_class": work.work_class, "temporary_reason": work.temporary_reason, **facts},
            is_in_plan=work.period_id is not None,
        )
        version = facts.pop("version")
        draft = _draft(facts, _elements_known(actor, [facts]), _as_it_stands(work))
        services.work_change(actor=actor, work_id=work.pk, draft=draft, expected_version=version)
        return self._answer(self.get_object())

    def _answer(self, work: PlannedWork, code: int = status.HTTP_200_OK) -> Response:
        findings = []
        if not selectors.is_decided(work):
            subject = selectors.subjects_of([work])[0]
            findings = checks.findings_of([subject], at=timezone.now())[subject.number]
        context = {**_steps_back(list(work.windows.all())), "findings": findings}
        return Response(shapes.WorkDetailSerializer(work, context=context).data, status=code)


def _steps_back(windows: Sequence[WorkWindow]) -> dict[str, Any]:
    """How supply came back in each of these windows, as the serializers want it: one statement."""
    outages = [window.outage_id for window in windows if window.outage_id]
    return {"steps_back": places.restoration_steps_of(outages) if outages else {}}


# --- bodies turned into works -------------------------------------------------------------------------

Item = dict[str, Any] | DomainError
_NOTHING: Final = WorkDraft((), ())


def _entered(actor: Actor, items: Sequence[Item]) -> list[WorkOutcome]:
    """What becomes of each item. Codes become ids in three statements; an unknown one is its item's refusal."""
    told = [item for item in items if isinstance(item, dict)]
    elements = _elements_known(actor, told)
    branches = ids_known(actor=actor, model=Branch, codes={item["branch"] for item in told}, capability="plan.submit")
    periods = selectors.periods_known(actor=actor, ids={item["period"] for item in told if item["period"]})
    asked = [_request(item, branches, periods, elements) if isinstance(item, dict) else item for item in items]
    requests = [request for request in asked if isinstance(request, WorkRequest)]
    outcomes = iter(services.works_create_batch(actor=actor, requests=requests, source="api"))
    return [next(outcomes) if isinstance(request, WorkRequest) else WorkOutcome(error=request) for request in asked]


def _request(
    item: dict[str, Any], branches: Mapping[str, int], periods: Collection[int], elements: Mapping[str, int]
) -> WorkRequest | DomainError:
    period_id = item["period"]
    if period_id is not None and period_id not in periods:
        return NotFound(field="period")
    try:
        branch_id = _id_of(item["branch"], branches, field="branch")
        return WorkRequest(branch_id, period_id, _draft(item, elements))
    except UnknownCode as unknown:
        return unknown


def _elements_known(actor: Actor, items: Sequence[dict[str, Any]]) -> dict[str, int]:
    """What these bodies name of the network, in the branches for which the client plans."""
    codes = {code for item in items for code in (*item.get("elements", ()), item.get("transfer_tie")) if code}
    return ids_known(actor=actor, model=GridElement, codes=codes, capability="plan.submit")


def _id_of(code: str, known: Mapping[str, int], *, field: str) -> int:
    if code not in known:
        raise UnknownCode(field=field, value=code)
    return known[code]


def _draft(body: dict[str, Any], elements: Mapping[str, int], kept: WorkDraft = _NOTHING) -> WorkDraft:
    """Codes turned into ids; what the body leaves out is ``kept``. Raises ``UnknownCode``."""
    element_ids, windows, facts = kept.element_ids, kept.windows, dict(body)
    if "elements" in body:
        element_ids = tuple(_id_of(code, elements, field="elements") for code in body["elements"])
    if "windows" in body:
        windows = tuple((window["starts_at"], window["ends_at"]) for window in body["windows"])
    if "transfer_tie" in body:
        tie = body["transfer_tie"]
        facts["transfer_tie_id"] = _id_of(tie, elements, field="transfer_tie") if tie else None
    return WorkDraft(element_ids, windows, facts)


def _as_it_stands(work: PlannedWork) -> WorkDraft:
    return WorkDraft(
        tuple(element.pk for element in work.elements.all()),
        tuple((window.starts_at, window.ends_at) for window in work.windows.all()),
    )


def _item(index: int, outcome: WorkOutcome) -> dict[str, Any]:
    work, error = outcome.work, outcome.error
    if error is not None:
        return {"index": index, "status": error.status, "result": None, "error": refusal(error)}
    assert work is not None
    result = {
        "reference": work.reference, "key": work.key, "state": work.state, "version": work.version,
        "action": "created" if outcome.is_new else "repeated",
    }  # fmt: skip
    code = status.HTTP_201_CREATED if outcome.is_new else status.HTTP_200_OK
    return {"index": index, "status": code, "result": result, "error": None}


# --- published windows --------------------------------------------------------------------------------


class WindowViewSet(GenericViewSet[WorkWindow]):
    """The course of published windows, each by the reference of its outage. Nothing starts by itself."""

    permission_classes = [needs("outage.write", retrieve="outage.read")]
    serializer_class = shapes.PublishedWindowSerializer
    queryset = WorkWindow.objects.none()
    lookup_field = "reference"
    lookup_value_regex = REFERENCE

    @extend_schema(summary="One published window with its outage", tags=["planned works"])
    def retrieve(self, request: Request, reference: str) -> Response:
        return self._answer()

    @extend_schema(summary="Supply is off", request=shapes.WindowStartSerializer, tags=["planned works"])
    @action(detail=True, methods=["post"])
    def start(self, request: Request, reference: str) -> Response:
        window, facts = self._window(), validated(shapes.WindowStartSerializer(data=request.data))
        services.window_start(window_id=window.pk, actor=actor_of(request), **versioned(facts))
        return self._answer()

    @extend_schema(summary="It takes longer", request=shapes.WindowExtendSerializer, tags=["planned works"])
    @action(detail=True, methods=["post"])
    def extend(self, request: Request, reference: str) -> Response:
        window, facts = self._window(), validated(shapes.WindowExtendSerializer(data=request.data))
        services.window_extend(window_id=window.pk, actor=actor_of(request), **versioned(facts))
        return self._answer()

    @extend_schema(
        summary="Supply is back for a part", request=shapes.WindowRestorePartSerializer, tags=["planned works"]
    )
    @action(detail=True, methods=["post"], url_path="restore-part")
    def restore_part(self, request: Request, reference: str) -> Response:
        actor, window = actor_of(request), self._window()
        facts = validated(shapes.WindowRestorePartSerializer(data=request.data))
        elements = ids_by_code(
            actor=actor, model=GridElement, codes=facts.pop("elements"), field="elements", capability="outage.write"
        )
        points = ids_by_code(
            actor=actor, model=ServicePoint, codes=facts.pop("service_points"), field="service_points",
            capability="outage.write",
        )  # fmt: skip
        services.window_restore_part(
            window_id=window.pk, actor=actor, element_ids=elements, service_point_ids=points, **versioned(facts)
        )
        return self._answer()

    @extend_schema(summary="Supply is back everywhere", request=shapes.WindowRestoreSerializer, tags=["planned works"])
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, reference: str) -> Response:
        window, facts = self._window(), validated(shapes.WindowRestoreSerializer(data=request.data))
        services.window_restore(window_id=window.pk, actor=actor_of(request), **versioned(facts))
        return self._answer()

    @extend_schema(summary="The record is complete", request=shapes.WindowCloseSerializer, tags=["planned works"])
    @action(detail=True, methods=["post"])
    def close(self, request: Request, reference: str) -> Response:
        window, facts = self._window(), validated(shapes.WindowCloseSerializer(data=request.data))
        services.window_close(window_id=window.pk, actor=actor_of(request), **versioned(facts))
        return self._answer()

    @extend_schema(
        summary="Move it to another time",
        description="The notice starts again. Without `tell`, what customers were told is not changed: `tell_them`.",
        request=shapes.WindowMoveSerializer,
        tags=["planned works"],
    )
    @action(detail=True, methods=["post"])
    def move(self, request: Request, reference: str) -> Response:
        window, facts = self._window(), validated(shapes.WindowMoveSerializer(data=request.data))
        services.window_move(window_id=window.pk, actor=actor_of(request), **versioned(facts))
        return self._answer()

    @extend_schema(
        summary="It will not happen",
        description="Without `tell`, what customers were told is not changed: `tell_them`.",
        request=shapes.PlannedCancelSerializer,
        tags=["planned works"],
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, reference: str) -> Response:
        window, facts = self._window(), validated(shapes.PlannedCancelSerializer(data=request.data))
        services.window_cancel(window_id=window.pk, actor=actor_of(request), **versioned(facts))
        return self._answer()

    def _window(self) -> WorkWindow:
        return selectors.window_by_reference(actor=actor_of(self.request), reference=self.kwargs["reference"])

    def _answer(self) -> Response:
        window = self._window()
        return Response(shapes.PublishedWindowSerializer(window, context=_steps_back([window])).data)
