"""How it went, for people."""
