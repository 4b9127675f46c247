"""Blocks as files, so that a team can review its endpoints like code.

    blocks/workspaces/acme.yaml    blocks/endpoints/customer-profile.yaml    blocks/audiences/customers.yaml

`{env: NAME}` in a file stands for a variable of the environment. A secret stands in no file: under `secrets:` there are
only `{env: NAME}` and `{secret: BLOCK}`, a Prefect Secret Block by its name.
"""

from __future__ import annotations

from leadpush_prefect.definitions.definition import Definition
from leadpush_prefect.definitions.plan import Plan, plan_blocks

__all__ = ["apply_definitions", "apply_plan"]


def apply_definitions(definitions: list[Definition]) -> Plan:
    """Save what the definitions change: all of it, or where one has errors, nothing.

    Returns:
        What was new or changed, and so saved.

    Raises:
        BlockInvalid: the first one that has errors.
    """
    plan = plan_blocks(definitions)
    apply_plan(plan)
    return plan


def apply_plan(plan: Plan) -> None:
    """Save the Blocks of a plan that are new or changed, over those of the same name."""
    for planned in plan.to_save:
        planned.definition.block.save(planned.definition.name, overwrite=True)
