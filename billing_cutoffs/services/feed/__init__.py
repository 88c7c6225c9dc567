"""What billing, the bank and the weather service tell, up to ten thousand items at once, each answered by itself.

However many there are, the statements are the same few. What is wrong with an item is its own outcome and stops no
other; the rest is written in one transaction with everything that follows from it: debts, cases, and who has paid.
"""

from __future__ import annotations

from billing_cutoffs.services.feed.arrears import WrongServicePoint, arrears_receive
from billing_cutoffs.services.feed.complaints import complaints_receive
from billing_cutoffs.services.feed.forecasts import UnknownBranch, forecasts_receive
from billing_cutoffs.services.feed.kept import UnknownAccount
from billing_cutoffs.services.feed.payments import PaymentDiffers, payments_match, payments_receive

__all__ = [
    "PaymentDiffers", "UnknownAccount", "UnknownBranch", "WrongServicePoint", "arrears_receive", "complaints_receive",
    "forecasts_receive", "payments_match", "payments_receive",
]  # fmt: skip
