"""Calls, who is calling, and what they ask for. One import for views and tests."""

from call_center.services.calls import (
    DRAFT_MAX,
    TRIES_MAX,
    AlreadyLogged,
    DraftTooLong,
    Logged,
    NoPremises,
    call_choose_premises,
    call_log,
    call_pop,
    call_start,
    callback_record,
    draft_save,
    pin_toggle,
    start_token_new,
)
from call_center.services.identity import PaymentDiffers, TooFewItems, identity_confirm, identity_withdraw
from call_center.services.requests import NotVerified, complaint_record, hold_request, safe_record

__all__ = [
    "DRAFT_MAX",
    "TRIES_MAX",
    "AlreadyLogged",
    "DraftTooLong",
    "Logged",
    "NoPremises",
    "NotVerified",
    "PaymentDiffers",
    "TooFewItems",
    "call_choose_premises",
    "call_log",
    "call_pop",
    "call_start",
    "callback_record",
    "complaint_record",
    "draft_save",
    "hold_request",
    "identity_confirm",
    "identity_withdraw",
    "pin_toggle",
    "safe_record",
    "start_token_new",
]
