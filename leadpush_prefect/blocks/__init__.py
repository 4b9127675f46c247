"""The three Blocks: Workspace, ApiEndpoint and Audience.

Prefect imports this when a server or a worker starts (entry point `prefect.collections`), so it is light, and
what sends requests or reads databases is imported where it is used.
"""

from leadpush_prefect.blocks.audience import Audience
from leadpush_prefect.blocks.endpoint import ApiEndpoint
from leadpush_prefect.blocks.workspace import Workspace

__all__ = ["ApiEndpoint", "Audience", "Workspace"]
