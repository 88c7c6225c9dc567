"""What the lists of debts and cut-offs may be narrowed by."""
