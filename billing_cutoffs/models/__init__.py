"""The rows of non-payment: what billing says, how debtors are graded, notices and their proof, orders and commands."""

from billing_cutoffs.models.accounts import (
    AccountHold,
    Bill,
    BillingAccount,
    CutComplaint,
    HoldKind,
    Payment,
    PaymentStatus,
    TemperatureForecast,
)
from billing_cutoffs.models.commands import (
    CommandAttempt,
    CommandState,
    MeterAnswer,
    MeterCommand,
    Purpose,
    SimulatedMeter,
    SwitchPosition,
)
from billing_cutoffs.models.dunning import ArrearsCase, DebtNotice, NoticeStage, ServedHow
from billing_cutoffs.models.grading import ApprovalLevel, Grade, GradeChange, GradeStep, GradingRun
from billing_cutoffs.models.intake import BillingFile, FeedKind, FeedState
from billing_cutoffs.models.orders import (
    BatchState,
    Clearance,
    CutoffBatch,
    CutoffOrder,
    CutoffStep,
    Method,
    OrderState,
    ReconnectMode,
)

__all__ = [
    "AccountHold",
    "ApprovalLevel",
    "ArrearsCase",
    "BatchState",
    "Bill",
    "BillingAccount",
    "BillingFile",
    "Clearance",
    "CommandAttempt",
    "CommandState",
    "CutComplaint",
    "CutoffBatch",
    "CutoffOrder",
    "CutoffStep",
    "DebtNotice",
    "FeedKind",
    "FeedState",
    "Grade",
    "GradeChange",
    "GradeStep",
    "GradingRun",
    "HoldKind",
    "MeterAnswer",
    "MeterCommand",
    "Method",
    "NoticeStage",
    "OrderState",
    "Payment",
    "PaymentStatus",
    "Purpose",
    "ReconnectMode",
    "ServedHow",
    "SimulatedMeter",
    "SwitchPosition",
    "TemperatureForecast",
]
