"""Real peers on loopback: what our system talks to, without a mock in between."""
