"""Is the process alive, may it take requests, and its figures."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django_prometheus import exports


def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers; nothing else is asked, so that a lost database restarts nobody."""
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> JsonResponse:
    """The database answers and has every table that this version needs."""
    problems = _Tables.problems()
    return JsonResponse({"ready": not problems, "problems": problems}, status=503 if problems else 200)


def metrics(request: HttpRequest) -> HttpResponse:
    """Figures for Prometheus: with ``METRICS_TOKEN``, or from this machine itself."""
    if settings.METRICS_TOKEN:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
            raise Http404
    elif request.META.get("REMOTE_ADDR") not in {"127.0.0.1", "::1"} or "X-Forwarded-For" in request.headers:
        raise Http404
    answer: HttpResponse = exports.ExportToDjangoView(request)
    return answer


class _Tables:
    """Migrations only ever go forward under a running process, so one good answer holds."""

    complete = False

    @classmethod
    def problems(cls) -> list[str]:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            if not cls.complete:
                executor = MigrationExecutor(connection)
                cls.complete = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        except Error:
            return ["database"]
        return [] if cls.complete else ["migrations"]
