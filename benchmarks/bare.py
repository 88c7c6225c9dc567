"""The limit of an answer over HTTP: a Django view without any middleware that runs one SQL statement.

Served by ``uvicorn benchmarks.bare:application`` exactly as the site is: WSGI in as many threads.
"""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "outage_mgmt.settings")

import django
from a2wsgi import WSGIMiddleware
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import path

SQL = """
SELECT s.code, s.address, o.reference, o.status, o.etr, o.started_at
FROM grid_contactpoint c
JOIN grid_servicepoint s ON s.customer_id = c.customer_id
LEFT JOIN outages_interruption i ON (i.element_id = s.element_id OR i.service_point_id = s.id)
     AND upper_inf(i.actual)
LEFT JOIN outages_outage o ON o.id = i.outage_id
WHERE c.kind = 'phone' AND c.value = %s
"""


def one_statement(request: HttpRequest) -> JsonResponse:
    with connection.cursor() as db:
        db.execute(SQL, [request.GET["phone"]])
        return JsonResponse({"results": [list(map(str, row)) for row in db.fetchall()]})


urlpatterns = [path("", one_statement)]


def _application() -> WSGIMiddleware:
    django.setup(set_prefix=False)  # some apps refuse to start without their middleware, so it goes afterwards
    settings.ROOT_URLCONF = "benchmarks.bare"
    settings.MIDDLEWARE = []
    return WSGIMiddleware(WSGIHandler(), workers=settings.WEB_THREADS)  # type: ignore[arg-type]


if os.environ.get("BENCH_BARE"):  # set for the server only: tests and tools import this module too
    application = _application()
