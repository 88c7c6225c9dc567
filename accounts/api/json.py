"""JSON of strangers: what cannot be read is refused before anybody works with it, and every answer can be written."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.renderers import JSONRenderer


class BoundedJSONParser(JSONParser):
    """Reads no more than ``DATA_UPLOAD_MAX_MEMORY_SIZE``, and calls a bottomless nesting what it is: not readable."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise RequestDataTooBig
        try:
            return super().parse(BytesIO(raw), media_type, parser_context)
        except RecursionError as deep:
            raise ParseError(_("The body is nested too deeply.")) from deep


class _EscapedJSONRenderer(JSONRenderer):
    ensure_ascii = True


class WritableJSONRenderer(JSONRenderer):
    """A refusal may quote half a character; it is then written as its number."""

    def render(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().render(*args, **kwargs)
        except UnicodeEncodeError:
            return _EscapedJSONRenderer().render(*args, **kwargs)
