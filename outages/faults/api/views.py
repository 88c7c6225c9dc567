"""Faults and trouble reports by REST: created here, moved by named actions."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.viewsets import GenericViewSet

from accounts.actor import Actor
from accounts.api.idempotency import idempotent
from accounts.api.permissions import needs
from accounts.requests import actor_of
from accounts.scope import ids_by_code, ids_known
from grid.models import Branch, GridElement, ServicePoint
from outages.api.bodies import IDEMPOTENCY, items_read, refusal, validated, versioned
from outages.faults import selectors, services
from outages.faults.api import serializers as shapes
from outages.faults.models import Crew, Fault
from outages.faults.services import ReportOutcome, ReportRequest
from outages.models import Outage
from standards.errors import DomainError, UnknownCode


def _ids(actor: Actor, facts: dict[str, Any], field: str) -> list[int]:
    """Take the codes out of the body and turn them into ids."""
    model = GridElement if field == "elements" else ServicePoint
    return ids_by_code(actor=actor, model=model, codes=facts.pop(field), field=field, capability="outage.write")


class FaultViewSet(GenericViewSet[Fault]):
    """Logged by ``POST faults/``, moved by ``POST faults/{reference}/{action}/``, listed at ``outages/``."""

    permission_classes = [needs("outage.write", retrieve="outage.read")]
    serializer_class = shapes.FaultSerializer
    queryset = Fault.objects.none()
    lookup_field = "reference"
    lookup_value_regex = "[A-Z]{1,4}-[0-9]{4}-[0-9]{6,9}"

    @extend_schema(summary="One fault with its outage and crews", tags=["faults"])
    def retrieve(self, request: Request, reference: str) -> Response:
        return self._answer(self._outage())

    @extend_schema(
        summary="Log a fault",
        description="What is only suspected needs the scope `report:create` as well.",
        parameters=[IDEMPOTENCY],
        request=shapes.FaultInputSerializer,
        responses={201: shapes.FaultSerializer},
        tags=["faults"],
    )
    @idempotent
    def create(self, request: Request) -> Response:
        actor, facts = actor_of(request), self._read(shapes.FaultInputSerializer)
        outage = services.fault_log(
            actor=actor,
            element_ids=_ids(actor, facts, "elements"),
            service_point_ids=_ids(actor, facts, "service_points"),
            is_confirmed=facts.pop("confirmed"),
            source_system=f"api:{actor.name}"[:64],
            **facts,
        )
        response = self._answer(outage, status.HTTP_201_CREATED)
        response["Location"] = request.build_absolute_uri(outage.reference + "/")
        return response

    @extend_schema(summary="Vouch for a suspected fault", request=shapes.ConfirmSerializer, tags=["faults"])
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, reference: str) -> Response:
        actor, outage, facts = actor_of(request), self._outage(), self._read(shapes.ConfirmSerializer)
        elements = _ids(actor, facts, "elements")
        return self._answer(
            services.fault_confirm(outage_id=outage.pk, actor=actor, element_ids=elements, **versioned(facts))
        )

    @extend_schema(summary="Give an estimate", request=shapes.SetEtrSerializer, tags=["faults"])
    @action(detail=True, methods=["post"], url_path="set-etr")
    def set_etr(self, request: Request, reference: str) -> Response:
        outage, facts = self._outage(), self._read(shapes.SetEtrSerializer)
        return self._answer(services.fault_set_etr(outage_id=outage.pk, actor=actor_of(request), **versioned(facts)))

    @extend_schema(summary="Send a crew", request=shapes.AssignSerializer, tags=["faults"])
    @action(detail=True, methods=["post"])
    def assign(self, request: Request, reference: str) -> Response:
        actor, outage, facts = actor_of(request), self._outage(), self._read(shapes.AssignSerializer)
        crew_id = ids_by_code(
            actor=actor, model=Crew, codes=[facts.pop("crew")], field="crew", capability="outage.read"
        )[0]
        services.crew_assign(outage_id=outage.pk, crew_id=crew_id, actor=actor, **versioned(facts))
        return self._answer(outage)

    @extend_schema(summary="A crew's next state", request=shapes.CrewStateSerializer, tags=["faults"])
    @action(detail=True, methods=["post"], url_path="crew-state")
    def crew_state(self, request: Request, reference: str) -> Response:
        outage, facts = self._outage(), self._read(shapes.CrewStateSerializer)
        row = selectors.assignment_by_crew(outage, facts.pop("crew"))
        services.crew_state_set(assignment_id=row.pk, actor=actor_of(request), **versioned(facts))
        return self._answer(outage)

    @extend_schema(summary="Supply is back for a part", request=shapes.RestorePartSerializer, tags=["faults"])
    @action(detail=True, methods=["post"], url_path="restore-part")
    def restore_part(self, request: Request, reference: str) -> Response:
        actor, outage, facts = actor_of(request), self._outage(), self._read(shapes.RestorePartSerializer)
        elements = _ids(actor, facts, "elements")
        points = _ids(actor, facts, "service_points")
        return self._answer(
            services.fault_restore_part(
                outage_id=outage.pk, actor=actor, element_ids=elements, service_point_ids=points, **versioned(facts)
            )
        )

    @extend_schema(summary="Supply is back everywhere", request=shapes.RestoreSerializer, tags=["faults"])
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, reference: str) -> Response:
        outage, facts = self._outage(), self._read(shapes.RestoreSerializer)
        return self._answer(services.fault_restore(outage_id=outage.pk, actor=actor_of(request), **versioned(facts)))

    @extend_schema(summary="The record is complete", request=shapes.CloseSerializer, tags=["faults"])
    @action(detail=True, methods=["post"])
    def close(self, request: Request, reference: str) -> Response:
        outage, facts = self._outage(), self._read(shapes.CloseSerializer)
        return self._answer(services.fault_close(outage_id=outage.pk, actor=actor_of(request), **versioned(facts)))

    @extend_schema(summary="There is no fault of ours", request=shapes.DismissSerializer, tags=["faults"])
    @action(detail=True, methods=["post"])
    def dismiss(self, request: Request, reference: str) -> Response:
        outage, facts = self._outage(), self._read(shapes.DismissSerializer)
        return self._answer(services.fault_dismiss(outage_id=outage.pk, actor=actor_of(request), **versioned(facts)))

    @extend_schema(summary="Two records are one fault", request=shapes.MergeSerializer, tags=["faults"])
    @action(detail=True, methods=["post"])
    def merge(self, request: Request, reference: str) -> Response:
        actor, outage, facts = actor_of(request), self._outage(), self._read(shapes.MergeSerializer)
        survivor = selectors.outage_by_fault(actor=actor, reference=facts.pop("survivor"))
        return self._answer(
            services.fault_merge(outage_id=outage.pk, survivor_id=survivor.pk, actor=actor, **versioned(facts))
        )

    def _outage(self) -> Outage:
        return selectors.outage_by_fault(actor=actor_of(self.request), reference=self.kwargs["reference"])

    def _read(self, shape: type[Serializer[Any]]) -> dict[str, Any]:
        return validated(shape(data=self.request.data))

    def _answer(self, outage: Outage, code: int = status.HTTP_200_OK) -> Response:
        fault = selectors.fault_of(outage)
        return Response(shapes.FaultSerializer(fault, context=self.get_serializer_context()).data, status=code)


class ReportViewSet(GenericViewSet[Fault]):
    """Trouble reports: one, or up to a thousand at once with an answer for each."""

    permission_classes = [needs("report.create")]
    serializer_class = shapes.ReportInputSerializer

    @extend_schema(
        summary="Report missing supply",
        parameters=[IDEMPOTENCY],
        request=shapes.ReportInputSerializer,
        responses={201: shapes.ReportResultSerializer, 200: shapes.ReportResultSerializer},
        tags=["trouble reports"],
    )
    @idempotent
    def create(self, request: Request) -> Response:
        actor, facts = actor_of(request), validated(shapes.ReportInputSerializer(data=request.data))
        asked = _requests_of(actor, [facts])[0]
        if isinstance(asked, DomainError):
            raise asked
        outcome = services.report_create(actor=actor, request=asked)
        code = status.HTTP_200_OK if outcome.action == "repeated" else status.HTTP_201_CREATED
        return Response(_result(outcome), status=code)

    @extend_schema(
        summary="Report many at once",
        description="What is refused stops no other; the answers stand in the order sent. At most 1,000 items.",
        parameters=[IDEMPOTENCY],
        request=shapes.BatchInputSerializer,
        responses=shapes.BatchResultSerializer,
        tags=["trouble reports"],
    )
    @action(detail=False, methods=["post"])
    @idempotent
    def batch(self, request: Request) -> Response:
        actor = actor_of(request)
        asked = _requests_of(
            actor,
            items_read(
                request.data, name="reports", batch=shapes.BatchInputSerializer, item=shapes.ReportInputSerializer
            ),
        )
        outcomes = iter(
            services.reports_create_batch(
                actor=actor, requests=[item for item in asked if isinstance(item, ReportRequest)]
            )
        )
        items = [
            _item(index, item if isinstance(item, DomainError) else next(outcomes)) for index, item in enumerate(asked)
        ]
        refused = sum(item["error"] is not None for item in items)
        return Response({"accepted": len(items) - refused, "refused": refused, "items": items})


def _requests_of(actor: Actor, items: list[Any]) -> list[ReportRequest | DomainError]:
    """Codes turned into ids, all in three statements; an unknown one is that item's refusal."""
    told = [item for item in items if isinstance(item, dict)]
    known: dict[str, dict[str, int]] = {}
    for name, model in (("service_point", ServicePoint), ("element", GridElement), ("branch", Branch)):
        codes = {item[name] for item in told if item[name]}
        known[name] = ids_known(actor=actor, model=model, codes=codes, capability="report.create")
    source = f"api:{actor.name}"[:64]
    return [_request_of(item, known, source) if isinstance(item, dict) else item for item in items]


def _request_of(item: dict[str, Any], known: dict[str, dict[str, int]], source: str) -> ReportRequest | DomainError:
    facts = dict(item)
    for name, ids in known.items():
        code = facts.pop(name)
        if code and code not in ids:
            return UnknownCode(field=name, value=code)
        facts[f"{name}_id"] = ids.get(code)
    return ReportRequest(source=source, **facts)


def _result(outcome: ReportOutcome) -> dict[str, Any]:
    report = outcome.report
    return {
        "id": report.pk if report else None,
        "external_id": report.external_id if report else "",
        "action": outcome.action,
        "outage": outcome.outage.reference if outcome.outage else None,
        "still_out": outcome.still_out,
        "restored_outage": outcome.restored_outage.reference if outcome.restored_outage else None,
    }


def _item(index: int, outcome: ReportOutcome | DomainError) -> dict[str, Any]:
    error = outcome if isinstance(outcome, DomainError) else outcome.error
    if error is not None:
        return {"index": index, "status": error.status, "result": None, "error": refusal(error)}
    assert isinstance(outcome, ReportOutcome)
    code = status.HTTP_200_OK if outcome.action == "repeated" else status.HTTP_201_CREATED
    return {"index": index, "status": code, "result": _result(outcome), "error": None}
