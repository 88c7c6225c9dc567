"""Pages of planning: the calendar and plans, works, windows, sheets, advice, reports."""
