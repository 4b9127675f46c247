"""The three Blocks keep Prefect's rules for integrations."""

from __future__ import annotations

import pytest
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite
from pydantic import HttpUrl

from leadpush_prefect import ApiEndpoint, Audience, Workspace


@pytest.mark.parametrize("block", [Workspace, ApiEndpoint, Audience])
class TestBlockStandards(BlockStandardTestSuite):
    @pytest.fixture
    def block(self, block: type[Block]) -> type[Block]:
        return block

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """Prefect's own test fetches the logo from the internet; here it need only be http(s), or not
        there."""
        assert block._logo_url is None or HttpUrl(str(block._logo_url)).scheme in ("http", "https")


@pytest.mark.parametrize("block", [Workspace, ApiEndpoint, Audience])
def test_no_field_is_called_name(block: type[Block]) -> None:
    """The form asks for the document's name; a field `name` would be a second one. Each field has a title."""
    assert "name" not in block.model_fields
    assert all(field.title for field in block.model_fields.values())
    schema = block.model_json_schema()
    assert not [name for name, field in schema["properties"].items() if "anyOf" in field], (
        "two tabs in the form"
    )
