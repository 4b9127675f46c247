"""Endpoints, switched on and off."""

from __future__ import annotations

from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentUpdate
from prefect.exceptions import ObjectNotFound

import leadpush_prefect.blocks.lenient as lenient
from leadpush_prefect.blocks import ApiEndpoint
from leadpush_prefect.errors import LeadpushError

__all__ = ["switch_endpoint"]


def switch_endpoint(name: str, *, enabled: bool) -> bool:
    """Say whether campaigns may call an endpoint, from their next run on.

    Nothing else of what is saved is touched, so that an endpoint with problems can be switched off as well.

    Args:
        name: The endpoint's name.
        enabled: Whether it may be called.

    Returns:
        Whether that changed anything.

    Raises:
        LeadpushError: if there is no such endpoint.
    """
    with get_client(sync_client=True) as client:
        try:
            document = client.read_block_document_by_name(
                name, ApiEndpoint.get_block_type_slug(), include_secrets=False
            )
        except ObjectNotFound:
            raise LeadpushError(f"There is no endpoint {name!r}. `leadpush endpoints` lists them.") from None
        if _is_enabled(document.data.get("enabled")) is enabled:
            return False
        update = BlockDocumentUpdate(data={"enabled": enabled}, merge_existing_data=True)
        client.update_block_document(document.id, update)
    return True


def _is_enabled(value: Any) -> bool | None:
    """What a saved value says; None for one that says nothing."""
    if value is None:
        return True
    try:
        return lenient.switch(value)
    except lenient.Unusable:
        return None
