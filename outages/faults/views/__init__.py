"""Pages of dispatch: the list, a new fault, and every step of a fault."""
