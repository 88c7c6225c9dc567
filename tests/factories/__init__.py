"""The people and things tests speak of."""
