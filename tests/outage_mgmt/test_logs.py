"""Logs tell what happened, not to whom."""

from __future__ import annotations

import logging

import pytest
from django.test import Client


@pytest.mark.django_db
def test_a_searched_number_is_in_no_log_line(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    client.get("/api/v1/supply-status/?phone=13800138000")

    assert "request_started" in caplog.text
    assert "/api/v1/supply-status/" in caplog.text
    assert "13800138000" not in caplog.text
