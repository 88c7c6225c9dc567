"""One box for everything a caller may say: whose account, which meter, which number, what street, which outage.

The text decides which questions are asked of the database; each of them is answered by an index, all of them
in one statement, and a second and third load what is shown. A telephone number is matched exactly or by its
last digits, never by likeness: a wrong name read aloud is a privacy incident (experience.md, trap 13).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from typing import Any, Final

import phonenumbers
from django.conf import settings
from django.db.models import CharField, F, QuerySet, Value
from django.db.models.functions import Cast
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from accounts.actor import Actor
from accounts.policies import actor_may
from accounts.scope import visible_to
from call_center import policies
from grid.models import ContactKind, ElementKind, GridElement, ServicePoint
from grid.selectors import contains
from outages.models import Outage, OutageStatus
from outages.selectors import OffNow, off_now, outages_visible_to

LIMIT: Final = 20  # of each kind of hit; a chooser longer than a screen is no chooser
TAIL_MIN: Final = 4  # fewer last digits would name hundreds of people
PREFIX_MIN: Final = 6  # of an account number

_REFERENCE = re.compile(r"^[A-Za-z]{1,4}-\d{4}-\d{1,9}$")
_INITIALS = re.compile(r"^[a-z]{2,12}$")
_CODE = re.compile(r"^[0-9A-Za-z._/#-]{2,64}$")
_PHONE_NOISE = re.compile(r"[\s()\-./]")

KIND_LABELS: Final[dict[str, str | Promise]] = {
    "phone": _("telephone"),
    "phone_tail": _("last digits"),
    "account": _("account"),
    "meter": _("meter"),
    "code": _("service point"),
    "name": _("name"),
    "initials": _("initials"),
    "address": _("address"),
    "outage": _("outage"),
    "element": _("network"),
    "recent": _("recent"),
}
# the surer the match, the earlier it stands
_KIND_ORDER: Final = {kind: place for place, kind in enumerate(KIND_LABELS)}

_WITH_DOOR: Final = frozenset({"phone", "account", "meter", "code", "address"})


@dataclass(frozen=True)
class PremisesHit:
    """Premises that fit, with people in part only."""

    kind: str
    service_point: ServicePoint
    name: str
    phone: str
    address: str
    account: str
    meter: str
    off: OffNow | None
    number: int = 0  # 1-9 in the chooser

    @property
    def kind_label(self) -> str | Promise:
        return KIND_LABELS[self.kind]

    @property
    def is_off(self) -> bool:
        return self.off is not None


@dataclass(frozen=True)
class OutageHit:
    reference: str
    place: str
    kind: str
    status: str
    number: int = 0

    @property
    def status_label(self) -> str | Promise:
        return OutageStatus(self.status).label


@dataclass(frozen=True)
class ElementHit:
    id: int
    code: str
    name: str
    kind: str
    branch: str
    number: int = 0

    @property
    def kind_label(self) -> str | Promise:
        return ElementKind(self.kind).label


@dataclass(frozen=True)
class Results:
    """What was found, and where nothing was, why."""

    query: str
    premises: tuple[PremisesHit, ...] = ()
    outages: tuple[OutageHit, ...] = ()
    elements: tuple[ElementHit, ...] = ()
    message: str | Promise = ""
    is_capped: bool = False

    def __bool__(self) -> bool:
        return bool(self.premises or self.outages or self.elements)

    @property
    def total(self) -> int:
        return len(self.premises) + len(self.outages) + len(self.elements)

    @property
    def only(self) -> PremisesHit | None:
        """The one premises meant, when the match is exact and there is no second thing to choose."""
        exact = {"phone", "account", "meter", "code"}
        if len(self.premises) == 1 and not self.outages and not self.elements and self.premises[0].kind in exact:
            return self.premises[0]
        return None


@dataclass(frozen=True)
class Wanted:
    """What the typed text may be."""

    text: str
    words: tuple[str, ...] = ()
    digits: str = ""
    e164: str = ""
    looks_like_phone: bool = False
    message: str | Promise = field(default="")


def phone_normalised(text: str) -> str:
    """The number in E.164, or nothing if no number has this shape (default region from the settings).

    A number whose prefix is not in use still has a shape: what the customer base holds, it must find.
    """
    number = _phone_parsed(text)
    if number is None or not phonenumbers.is_possible_number(number):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _phone_parsed(text: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, settings.PHONE_REGION)
    except phonenumbers.NumberParseException:
        return None


def understand(query: str) -> Wanted:
    """Read the text: full-width digits and letters are the same as narrow ones, spaces part words."""
    text = " ".join(unicodedata.normalize("NFKC", query).replace("\x00", "").split())
    bare = _PHONE_NOISE.sub("", text)
    digits = bare.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return Wanted(text=text, words=tuple(text.split()))
    looks = bare.startswith("+") or len(digits) >= 11 or (len(digits) >= 7 and digits.startswith("0"))
    message: str | Promise = ""
    if len(digits) < TAIL_MIN:
        message = ngettext_lazy("Type at least %d digit.", "Type at least %d digits.", TAIL_MIN) % TAIL_MIN
    elif looks and not _is_valid(bare):
        message = _("This is not a complete telephone number. Please check it digit by digit.")
    e164 = phone_normalised(bare) if looks else ""
    return Wanted(text=text, digits=digits, e164=e164, looks_like_phone=looks, message=message)


def _is_valid(text: str) -> bool:
    number = _phone_parsed(text)
    return number is not None and phonenumbers.is_valid_number(number)


def search(*, actor: Actor, query: str) -> Results:
    """Everything the actor may see that fits the text; at most three statements."""
    policies.require_search(actor)
    wanted = understand(query)
    if not wanted.text:
        return Results(query=query)
    rows = _matches(_questions(actor, wanted))
    premises = _premises(actor, [row for row in rows if row[0] not in ("outage", "element")])
    outages = [OutageHit(reference=a, place=b, kind=c, status=d) for kind, _id, a, b, c, d in rows if kind == "outage"]
    # a code and a name may both fit
    elements = {
        pk: ElementHit(id=pk, code=a, name=b, kind=c, branch=d) for kind, pk, a, b, c, d in rows if kind == "element"
    }
    found = Results(
        query=query,
        premises=tuple(premises[:LIMIT]),
        outages=tuple(outages),
        elements=tuple(elements.values())[:LIMIT],
        is_capped=len(premises) > LIMIT or len(elements) >= LIMIT,
    )
    return _numbered(found) if found else Results(query=query, message=_why_nothing(wanted))


def _why_nothing(wanted: Wanted) -> str | Promise:
    if wanted.message:
        return wanted.message
    if wanted.e164:
        return _("No customer has this number. Search by account, address or name, or ask for it again.")
    if wanted.digits:
        return _("No account, meter or telephone ends or begins with these digits.")
    if wanted.words and not _has_long_word(wanted.words) and not policies.is_han(wanted.text):
        return _("Type one word of at least three characters.")
    return _("Nothing was found. Try the account, the meter number or another part of the address.")


# --- the questions ----------------------------------------------------------------------------------


def _questions(actor: Actor, wanted: Wanted) -> list[QuerySet[Any, Any]]:
    """One query per thing the text may be, each of them served by an index."""
    text = wanted.text
    points = visible_to(actor, ServicePoint.objects.all())
    if _REFERENCE.match(text):
        return [_as_outages(outages_visible_to(actor).filter(reference=text.upper()))]
    found: list[QuerySet[Any, Any]] = []
    if wanted.e164:
        phones = points.filter(customer__contacts__kind=ContactKind.PHONE, customer__contacts__value=wanted.e164)
        found.append(_as_premises("phone", phones, "customer__contacts__value"))
    if wanted.digits:
        found += _digit_questions(points, wanted)
        return found
    if _CODE.match(text):
        found.append(_as_premises("account", points.filter(customer__account_number=text)))
        found.append(_as_premises("meter", points.filter(meter_number=text)))
        found.append(_as_premises("code", points.filter(code=text)))
        elements = visible_to(actor, GridElement.objects.all())
        found.append(_as_elements(elements.filter(code__istartswith=text)))
        if _INITIALS.match(text.lower()):
            found.append(_as_premises("initials", points.filter(customer__initials__startswith=text.lower())))
    found += _word_questions(actor, points, wanted)
    return found


def _digit_questions(points: QuerySet[ServicePoint], wanted: Wanted) -> list[QuerySet[Any, Any]]:
    digits = wanted.digits
    if len(digits) < TAIL_MIN:
        return []
    found = [
        _as_premises("account", points.filter(customer__account_number=digits)),
        _as_premises("meter", points.filter(meter_number=digits)),
        _as_premises("code", points.filter(code=digits)),
    ]
    if len(digits) >= PREFIX_MIN:
        found.append(_as_premises("account", points.filter(customer__account_number__startswith=digits)))
    # a complete number is matched as such; one that only looks complete is mistyped and matches nobody
    if not wanted.looks_like_phone:
        tails = points.filter(
            customer__contacts__kind=ContactKind.PHONE, customer__contacts__reversed_digits__startswith=digits[::-1]
        )
        found.append(_as_premises("phone_tail", tails, "customer__contacts__value"))
    return found


def _word_questions(actor: Actor, points: QuerySet[ServicePoint], wanted: Wanted) -> list[QuerySet[Any, Any]]:
    """Names and addresses. Trigrams say nothing about one or two characters, so those match from the beginning."""
    text, found = wanted.text, []
    if len(text) < 3:
        if policies.is_han(text):
            found.append(_as_premises("name", points.filter(customer__name__startswith=text)))
            elements = visible_to(actor, GridElement.objects.all())
            found.append(_as_elements(elements.filter(name__istartswith=text)))
        return found
    found.append(_as_premises("name", points.filter(contains("customer__name", text))))
    if _has_long_word(wanted.words):
        addresses = points
        for word in wanted.words:
            addresses = addresses.filter(contains("address", word))
        found.append(_as_premises("address", addresses))
    elements = visible_to(actor, GridElement.objects.all())
    found.append(_as_elements(elements.filter(name__icontains=text)))
    return found


def _has_long_word(words: tuple[str, ...]) -> bool:
    return any(len(word) >= 3 for word in words)


_COLUMNS: Final = ("hit", "pk", "a", "b", "c", "d")


def _text(value: str) -> Cast:
    return Cast(Value(value), CharField())


def _as_premises(kind: str, points: QuerySet[ServicePoint], matched: str = "code") -> QuerySet[Any, Any]:
    shown = points.annotate(hit=_text(kind), a=Cast(F(matched), CharField()), b=_text(""), c=_text(""), d=_text(""))
    return shown.order_by().values_list(*_COLUMNS)[: LIMIT + 1]


def _as_outages(outages: QuerySet[Outage]) -> QuerySet[Any, Any]:
    shown = outages.annotate(hit=_text("outage"), a=F("reference"), b=F("place"), c=F("kind"), d=F("status"))
    return shown.order_by().values_list(*_COLUMNS)[:LIMIT]


def _as_elements(elements: QuerySet[GridElement]) -> QuerySet[Any, Any]:
    shown = elements.annotate(hit=_text("element"), a=F("code"), b=F("name"), c=F("kind"), d=F("branch__name"))
    return shown.order_by().values_list(*_COLUMNS)[:LIMIT]


def _matches(questions: list[QuerySet[Any, Any]]) -> list[tuple[str, int, str, str, str, str]]:
    if not questions:
        return []
    rows = questions[0].union(*questions[1:], all=True) if len(questions) > 1 else questions[0]
    return list(rows)


# --- what is shown ----------------------------------------------------------------------------------


def _premises(actor: Actor, rows: list[tuple[str, int, str, str, str, str]]) -> list[PremisesHit]:
    best: dict[int, tuple[str, str]] = {}
    for kind, pk, matched, *_rest in rows:
        if pk not in best or _KIND_ORDER[kind] < _KIND_ORDER[best[pk][0]]:
            best[pk] = (kind, matched)
    return premises_hits(actor=actor, matched=best)


def premises_hits(*, actor: Actor, matched: dict[int, tuple[str, str]]) -> list[PremisesHit]:
    """Load service points as they may be shown, those that are off first; two statements."""
    if not matched:
        return []
    points = visible_to(actor, ServicePoint.objects.filter(pk__in=list(matched)))
    loaded = list(points.select_related("customer", "element", "branch"))
    off = off_now([point.pk for point in loaded])
    is_agent = actor_may(actor, "customer.read_call")
    hits = [_hit(point, *matched[point.pk], off.get(point.pk), with_door=is_agent) for point in loaded]
    return sorted(hits, key=lambda hit: (not hit.is_off, _KIND_ORDER[hit.kind], hit.address, hit.service_point.code))


def _hit(point: ServicePoint, kind: str, matched: str, off: OffNow | None, *, with_door: bool) -> PremisesHit:
    """Who named the account, the number or the street must be able to tell one door from the next."""
    customer = point.customer
    address = point.address if with_door and kind in _WITH_DOOR else policies.mask_address(point.address)
    return PremisesHit(
        kind=kind,
        service_point=point,
        name=policies.mask_name(customer.name),
        phone=policies.mask_phone(matched) if kind in ("phone", "phone_tail") else "",
        address=address or policies.mask_code(point.code),
        account=policies.mask_code(customer.account_number),
        meter=policies.mask_code(point.meter_number),
        off=off,
    )


def _numbered(found: Results) -> Results:
    """The first nine hits carry the key that opens them."""
    number = 0
    groups: list[tuple[Any, ...]] = []
    for group in (found.outages, found.premises, found.elements):
        shown = []
        for hit in group:
            number += 1
            shown.append(replace(hit, number=number) if number <= 9 else hit)
        groups.append(tuple(shown))
    return replace(found, outages=groups[0], premises=groups[1], elements=groups[2])
