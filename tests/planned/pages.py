"""Pages as a person opens them."""

from __future__ import annotations

from typing import Any

from django.test import Client

from accounts.models import User


def client_of(user: User) -> Client:
    """A browser in which this person is signed in."""
    client = Client()
    client.force_login(user)
    return client


def text_of(response: Any) -> str:
    """What the page says, also where it comes piece by piece."""
    raw = b"".join(response.streaming_content) if response.streaming else response.content
    return str(raw.decode())
