"""What is said now to be read later by anybody, each in their own language."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.conf import settings
from django.utils import translation


def in_every_language(say: Callable[[], object]) -> dict[str, str]:
    """Language -> words."""
    words = {}
    for language, _name in settings.LANGUAGES:
        with translation.override(language):
            words[language] = str(say())
    return words


def in_my_language(words: Mapping[str, str]) -> str:
    """What was said, in the reader's language if it is there."""
    return words.get(translation.get_language() or "", "") or next(iter(words.values()), "")
