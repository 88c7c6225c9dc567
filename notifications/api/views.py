"""Where providers report what became of a message."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from notifications import channels, services
from standards.errors import NotFound

BODY_LIMIT = 1024 * 1024


class _Raw(BaseParser):
    """The body as it came: it is judged only after its sender is known."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        return bytes(stream.read(BODY_LIMIT))


class ReceiptView(APIView):
    """A provider's receipts: stored at once, applied later. Known by the secret agreed with the provider."""

    authentication_classes = ()
    permission_classes = ()
    parser_classes = (_Raw,)

    @extend_schema(
        operation_id="receipts_create",
        request={"application/json": {"type": "object"}},
        responses={202: OpenApiResponse(description="Stored."), 404: OpenApiResponse(description="Unknown account.")},
        auth=[],
    )
    def post(self, request: Request, account: str) -> Response:
        """Store the receipts of one call of a provider."""
        rule = channels.receipt_rule(account)
        if rule is None:
            raise NotFound()
        raw = request.data if isinstance(request.data, bytes) else b""  # an empty body is not parsed at all
        stored = services.receipts_store(account=account, secret=request.headers.get(rule.header, ""), raw=raw)
        return Response({"stored": stored}, status=202)
