"""`leadpush demo` and all that it needs: an API, an audience, Blocks, a campaign, and what a run must give.

`blocks/` and `renewal_reminder.py` are the repository's examples, byte for byte: a test compares them.
"""
