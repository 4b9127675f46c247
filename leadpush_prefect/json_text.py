"""Until 0.4: what an earlier version has pickled names this module."""

from leadpush_prefect.text.json_text import JsonNumber as JsonNumber
