"""Reading the record by REST. Writing is done through the kinds."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import conditional_page
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ReadOnlyModelViewSet

from accounts.api.permissions import needs
from accounts.policies import intervals_of
from accounts.requests import actor_of
from grid.models import ServicePoint
from outages.api.serializers import (
    CauseSerializer,
    FeedQuerySerializer,
    FeedSerializer,
    OutageEventSerializer,
    OutageSerializer,
    SupplyStatusQuerySerializer,
    SupplyStatusSerializer,
)
from outages.causes import Cause
from outages.events import Cursor, LoggedEvent, events_after
from outages.filters import OutageFilter
from outages.models import Outage, OutageKind
from outages.selectors import outage_by_reference, outage_timeline, outages_visible_to, service_points_known_by
from outages.supply_status import Verdict, supply_statuses
from standards.errors import DomainError, NotFound

MOST_PREMISES = 50  # of one caller; a landlord with more is asked for the account


class OneKey(DomainError):
    code = "one_key"
    status = 400
    message = _("Ask by exactly one of account, phone, meter and service_point.")


class Newest(CursorPagination):
    ordering = "-id"
    page_size = 50
    page_size_query_param = "limit"
    max_page_size = 500


@extend_schema_view(
    list=extend_schema(summary="Outages of your branches, newest first", tags=["outages"]),
    retrieve=extend_schema(summary="One outage", tags=["outages"]),
)
@method_decorator(conditional_page, name="dispatch")
class OutageViewSet(ReadOnlyModelViewSet[Outage]):
    """The one record, whatever the kind. Answers carry an ``ETag``."""

    permission_classes = [needs("outage.read")]
    serializer_class = OutageSerializer
    filterset_class = OutageFilter
    pagination_class = Newest
    lookup_field = "reference"
    lookup_value_regex = "[A-Z]{1,4}-[0-9]{4}-[0-9]{6,9}"
    queryset = Outage.objects.none()

    def get_queryset(self) -> QuerySet[Outage]:
        return outages_visible_to(actor_of(self.request)).select_related("merged_into")

    def get_object(self) -> Outage:
        return outage_by_reference(actor=actor_of(self.request), reference=self.kwargs["reference"])

    @extend_schema(
        summary="An outage's whole history, newest first",
        responses=OutageEventSerializer(many=True),
        filters=False,
        tags=["outages"],
    )
    @action(detail=True, pagination_class=None, filterset_class=None)
    def events(self, request: Request, reference: str) -> Response:
        outage = outage_by_reference(actor=actor_of(request), reference=reference)
        return Response(OutageEventSerializer(outage_timeline(outage), many=True).data)


class EventFeedView(APIView):
    """Every change of your branches' outages, in commit order and without gaps."""

    permission_classes = [needs("event.read")]

    @extend_schema(
        summary="The gap-free feed",
        description=(
            "Start without `after`, keep `next`, and pass it the next time. An event is never skipped, however late its"
            " transaction commits; it may come a moment later than it is visible elsewhere."
        ),
        parameters=[FeedQuerySerializer],
        responses=FeedSerializer,
        tags=["events"],
    )
    def get(self, request: Request) -> Response:
        query = FeedQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        after = Cursor.from_token(query.validated_data["after"])
        limit = query.validated_data["limit"]
        read = events_after(after, limit=limit)
        intervals = intervals_of(actor_of(request), "event.read")
        own = [event for event in read if _may_see(event, intervals)]
        answer = {
            "events": [{**_feed_line(event), "cursor": event.cursor.token()} for event in own],
            "next": (read[-1].cursor if read else after).token(),
            "more": len(read) == limit,
        }
        return Response(FeedSerializer(answer).data)


def _may_see(event: LoggedEvent, intervals: Any) -> bool:
    """Debts stay out of the feed; so do other people's branches."""
    if event.kind == OutageKind.NON_PAYMENT:
        return False
    return intervals is None or any(first <= event.branch_pos <= last for first, last in intervals)


def _feed_line(event: LoggedEvent) -> dict[str, Any]:
    names = ("reference", "kind", "status", "sequence", "verb", "at", "source", "before", "after", "note", "is_public")
    return {name: getattr(event, name) for name in names}


class SupplyStatusView(APIView):
    """Why is this customer off, and when will it be back? The same words as the agent's."""

    permission_classes = [needs("supply.read")]

    @extend_schema(
        summary="The one answer",
        description="A telephone number is matched exactly, never by likeness. Debts are never told here.",
        parameters=[
            OpenApiParameter(name, str, description=words)
            for name, words in {
                "account": "account number",
                "phone": "telephone number, in E.164 or as dialled at home",
                "meter": "meter number",
                "service_point": "service point code",
            }.items()
        ],
        responses=SupplyStatusSerializer,
        tags=["supply status"],
    )
    def get(self, request: Request) -> Response:
        query = SupplyStatusQuerySerializer(data=request.query_params)
        query.is_valid(raise_exception=True)
        if len(query.validated_data) != 1:
            raise OneKey()
        ((key, value),) = query.validated_data.items()
        points = service_points_known_by(actor=actor_of(request), key=key, value=value, limit=MOST_PREMISES)
        if not points:
            raise NotFound(field=key)
        at = timezone.now()
        verdicts = zip(points, supply_statuses(points, at), strict=True)
        return Response(
            {
                "at": at,
                "match": "one" if len(points) == 1 else "many",
                "results": [_spoken(point, verdict) for point, verdict in verdicts],
            }
        )


def _spoken(point: ServicePoint, verdict: Verdict) -> dict[str, Any]:
    """``VerdictSerializer`` by hand: this is what every caller waits for."""
    return {
        "service_point": point.code,
        "state": verdict.state,
        "say": {"zh": verdict.sentence_zh, "en": verdict.sentence_en},
        "quote": verdict.quote,
        "disagreement": verdict.disagreement,
        "causes": [_cause(cause) for cause in verdict.causes],
        "upcoming": [_cause(cause) for cause in verdict.upcoming],
        "called_off": [_cause(cause) for cause in verdict.called_off],
    }


def _cause(cause: Cause) -> dict[str, Any]:
    return {name: getattr(cause, name) for name in CauseSerializer._declared_fields}
