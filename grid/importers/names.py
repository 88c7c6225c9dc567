"""Telephone numbers and pinyin initials of staged customers, worked out once per distinct value."""

from __future__ import annotations

import phonenumbers
import pypinyin
from django.conf import settings
from django.db import connection

from grid.importers.staging import copy_rows

# surnames that are read differently from the same character elsewhere
_SURNAMES = dict(zip("单曾解仇查区朴盖乐翟", "szxqzopgyz", strict=True))
_initial_of: dict[str, str] = {}


def initials(name: str) -> str:
    """Pinyin initials of a name as people type them: 陈静 is cj, Anna Smith is as."""
    letters = []
    for i, char in enumerate(name):
        if char.isascii():
            if char.isalnum() and (i == 0 or not name[i - 1].isascii() or not name[i - 1].isalnum()):
                letters.append(char.lower())
            continue
        if not letters and char in _SURNAMES:
            letters.append(_SURNAMES[char])
            continue
        if char not in _initial_of:
            first = pypinyin.pinyin(char, style=pypinyin.Style.NORMAL, errors="ignore")
            _initial_of[char] = first[0][0][:1] if first and first[0] else ""
        letters.append(_initial_of[char])
    return "".join(letters)[:64]


def e164(text: str) -> str | None:
    """A telephone number in E.164, or nothing if it cannot be one."""
    try:
        number = phonenumbers.parse(text, settings.PHONE_REGION)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


# mobile numbers as they are written nearly always need no library
CN_MOBILE = r"^(\+86)?1[3-9][0-9]{9}$"
_LIST = r"\s*[;；,，]\s*"


def contacts_stage(*, has_phone: bool, has_email: bool) -> None:
    """Fill ``raw_contacts`` (row, account_number, kind, value, place) from the customers' rows."""
    with connection.cursor() as db:
        db.execute(
            "CREATE TEMP TABLE raw_contacts (row bigint, account_number text, kind text, given text, value text,"
            " place bigint) ON COMMIT DROP"
        )
        mobile = CN_MOBILE if settings.PHONE_REGION == "CN" else r"^\+861[3-9][0-9]{9}$"
        if has_phone:
            db.execute(
                """
                INSERT INTO raw_contacts
                SELECT row, account_number, 'phone', p.given,
                       CASE WHEN p.given ~ %s THEN '+86' || right(p.given, 11) END, p.place
                FROM raw_customers, LATERAL (
                    SELECT phone AS given, 1 AS place WHERE phone ~ %s
                    UNION ALL
                    SELECT trim(part), n FROM regexp_split_to_table(phone, %s) WITH ORDINALITY AS s (part, n)
                    WHERE phone !~ %s AND trim(part) <> ''
                ) p WHERE phone <> ''
                """,
                [mobile, mobile, _LIST, mobile],
            )
            db.execute("SELECT DISTINCT given FROM raw_contacts WHERE value IS NULL")
            numbers = [(given, e164(given)) for (given,) in db.fetchall()]
            if numbers:
                db.execute("CREATE TEMP TABLE phone_of (given text, value text) ON COMMIT DROP")
                copy_rows("phone_of", ["given", "value"], numbers)
                db.execute(
                    "UPDATE raw_contacts r SET value = p.value FROM phone_of p"
                    " WHERE p.given = r.given AND r.value IS NULL"
                )
        if has_email:
            db.execute(
                """
                INSERT INTO raw_contacts
                SELECT row, account_number, 'email', trim(part),
                       CASE WHEN trim(part) ~ '^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$' AND length(trim(part)) <= 254
                            THEN trim(part) END, n
                FROM raw_customers, LATERAL regexp_split_to_table(email, %s) WITH ORDINALITY AS s (part, n)
                WHERE email <> '' AND trim(part) <> ''
                """,
                [_LIST],
            )


def initials_stage() -> None:
    """Fill the initials that a file leaves out."""
    with connection.cursor() as db:
        db.execute("CREATE TEMP TABLE initials_of (name text, initials text) ON COMMIT DROP")
        db.execute("SELECT DISTINCT name FROM raw_customers WHERE coalesce(initials, '') = '' AND name <> ''")
        names = [name for (name,) in db.fetchall()]
        if not names:
            return
        copy_rows("initials_of", ["name", "initials"], ((name, initials(name)) for name in names))
        db.execute("ANALYZE initials_of")
        db.execute(
            "UPDATE raw_customers r SET initials = i.initials FROM initials_of i"
            " WHERE i.name = r.name AND coalesce(r.initials, '') = ''"
        )
