"""What docs/json.md lists is what scripts read."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.json_keys import KEYS

PAGE = (Path(__file__).parents[2] / "docs/json.md").read_text("utf-8")


def test_keys() -> None:
    """Each command, event and file has its section, and each of its keys a line, in which something is said."""
    sections = re.split(r"^### (.+)$", PAGE, flags=re.MULTILINE)[1:]
    listed = {
        title.strip("`"): re.findall(r"^\| `(\S+)` \| .*\w.* \|$", text, re.MULTILINE)
        for title, text in zip(sections[::2], sections[1::2], strict=True)
    }
    assert sorted(listed) == sorted(KEYS)
    for title, keys in listed.items():
        assert sorted(keys) == sorted(KEYS[title]), title
