"""What docs/settings.md says of the settings: each of them, with the name, type and default that it has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from leadpush_prefect.model.tunables import Tunables
from leadpush_prefect.settings import LeadpushSettings

PAGE = (Path(__file__).parents[2] / "docs/settings.md").read_text("utf-8")
ROWS = [
    [cell.strip().strip("`") for cell in row.strip("|").split("|")]
    for row in re.findall(r"^\| `.*$", PAGE, re.MULTILINE)
]
TYPES = {"path": Path, "float": float, "int": int, "bool": bool}


def shown(default: Any) -> str:
    """A default as the page writes it."""
    if default is None:
        return "leadpush/outputs.db` in Prefect's home"
    return str(default).lower()


def test_each_setting() -> None:
    """The table has one row for each field, in the class's order, with its environment variable, type and default."""
    prefix = LeadpushSettings.model_config["env_prefix"]
    fields = LeadpushSettings.model_fields
    assert [row[:2] for row in ROWS] == [[name, f"{prefix}{name.upper()}"] for name in fields]
    assert [row[4] for row in ROWS] == [shown(field.default) for field in fields.values()]
    for row, field in zip(ROWS, fields.values(), strict=True):
        assert TYPES[row[2]] in (field.annotation, *getattr(field.annotation, "__args__", ()))
        assert f"- `{row[0]}`: " in PAGE, "each is explained"


def test_units_are_in_the_names() -> None:
    """What is in seconds says so in its name, and nothing else does."""
    assert [row[0] for row in ROWS if row[3] == "seconds"] == [
        name for name in LeadpushSettings.model_fields if name.endswith("_seconds")
    ]


def test_the_class_and_its_plain_values() -> None:
    """The values that the rooms are given are those of the settings, with the same defaults."""
    assert LeadpushSettings.model_construct().model_dump() == {
        name: getattr(Tunables(), name) for name in Tunables.__dataclass_fields__
    }
