"""All that a template may read for one contact."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from leadpush_prefect.errors import AudienceInvalid, FetchFailed, Reason, StepRefused
from leadpush_prefect.model.config import HasConfig, WorkspaceConfig
from leadpush_prefect.model.consent_columns import ConsentColumns
from leadpush_prefect.model.contact import ContactKeys, InvalidRow, read_contact
from leadpush_prefect.model.names import check_identifier
from leadpush_prefect.text.json_text import from_json

__all__ = ["CampaignContext", "workspace_values"]


class CampaignContext:
    """One contact on its way through a campaign. Immutable: `with_output` gives a new one.

    The objects and lists inside are shared by those that came from each other: read them, and change a copy.

    Args:
        workspace: A `Workspace`, or the name of a saved one.
        campaign: The campaign's name, or an object with `name`, `run_id` and `started_at`.
        contact: In Leadpush's shape (`_id` or `uuid`, `subscribed`, `attributes`), or flat: an `id`, `subscribed`,
            and anything else is an attribute.
        workflow: The outputs so far, by output key.
        simulate: Whether no request is ever sent; steps then need a `mock_response`.
        include_unsubscribed: Whether the tasks ask for the contact although it is not subscribed; otherwise they raise
            `FetchFailed` with the reason `not_subscribed`.

    Attributes:
        contact: `_id`, `uuid`, `subscribed`, `attributes` and what else Leadpush gave.
        workflow: The outputs so far, read-only.

    Raises:
        AudienceInvalid: if the contact has no id, or it is not clear whether it is subscribed: it has a key such as
            `opt_out`, and no `subscribed`.

    Example:
        >>> context = CampaignContext(workspace="acme", campaign="welcome", contact={"id": 7, "plan": "pro"})
        >>> context.contact["_id"], context.contact["attributes"]["plan"]
        ('7', 'pro')
        >>> context.with_output("profile", {"points": 3}).workflow["profile"]
        {'points': 3}
    """

    __module__ = "leadpush_prefect"  # for what is pickled: so the file may move
    __slots__ = (
        "campaign",
        "contact",
        "include_unsubscribed",
        "nodes",
        "origin",
        "simulate",
        "workflow",
        "workspace",
    )

    workspace: HasConfig | WorkspaceConfig | str
    campaign: Mapping[str, Any]
    contact: Mapping[str, Any]
    workflow: Mapping[str, Any]
    simulate: bool
    include_unsubscribed: bool
    nodes: frozenset[str]  # the steps that this context has been through, so that none is taken twice
    origin: object  # where a batch of a run gave it from; None for a context of one's own

    def __init__(
        self,
        *,
        workspace: HasConfig | WorkspaceConfig | str,
        campaign: str | Mapping[str, Any],
        contact: Mapping[str, Any],
        workflow: Mapping[str, Any] = MappingProxyType({}),
        simulate: bool = False,
        include_unsubscribed: bool = False,
    ) -> None:
        if isinstance(campaign, str):
            campaign = {"name": campaign, "run_id": "", "started_at": datetime.now(UTC).isoformat()}
        plain = contact_from(contact, include_unsubscribed=include_unsubscribed)
        self._fill(workspace, campaign, plain, workflow, simulate, frozenset(), None, include_unsubscribed)

    def _fill(
        self,
        workspace: HasConfig | WorkspaceConfig | str,
        campaign: Mapping[str, Any],
        contact: Mapping[str, Any],
        workflow: Mapping[str, Any],
        simulate: bool,
        nodes: frozenset[str],
        origin: object,
        include_unsubscribed: bool = False,  # not among what an earlier version has pickled
    ) -> None:
        put = object.__setattr__
        put(self, "workspace", workspace)
        put(self, "campaign", MappingProxyType(dict(campaign)))
        put(self, "contact", MappingProxyType(dict(contact)))
        put(self, "workflow", MappingProxyType(dict(workflow)))
        put(self, "simulate", simulate)
        put(self, "nodes", nodes)
        put(self, "origin", origin)
        put(self, "include_unsubscribed", include_unsubscribed)

    @classmethod
    def of_run(
        cls,
        *,
        workspace: WorkspaceConfig,
        campaign: Mapping[str, Any],
        contact: Mapping[str, Any],
        workflow: Mapping[str, Any],
        simulate: bool,
        origin: object,
        include_unsubscribed: bool,
    ) -> CampaignContext:
        """A context of a contact that is stored, and so in Leadpush's shape already."""
        none: frozenset[str] = frozenset()
        return _rebuild(workspace, campaign, contact, workflow, simulate, none, origin, include_unsubscribed)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("A CampaignContext does not change. with_output() gives a new one.")

    def __repr__(self) -> str:
        outputs = ", ".join(self.workflow)
        return f"CampaignContext(campaign={self.campaign['name']!r}, contact={self.contact_id!r}, outputs=[{outputs}])"

    def __reduce__(self) -> tuple[Any, ...]:
        plain = dict(self.campaign), dict(self.contact), dict(self.workflow)
        facts = self.simulate, self.nodes, self.origin, self.include_unsubscribed
        return CampaignContext._rebuilt, (self.workspace, *plain, *facts)

    @classmethod
    def _rebuilt(cls, *values: Any) -> CampaignContext:
        context = cls.__new__(cls)
        context._fill(*values)
        return context

    @property
    def contact_id(self) -> str:
        """The contact's id."""
        return str(self.contact["_id"])

    @property
    def is_subscribed(self) -> bool:
        """Whether the contact may be asked, as far as it says so itself.

        Example:
            >>> CampaignContext(workspace="acme", campaign="welcome", contact={"id": 7, "subscribed": "no"}).is_subscribed
            False
        """
        return bool(self.contact.get("subscribed", True))

    def refuse_unsubscribed(self, endpoint: str = "") -> None:
        """See that the contact may be asked.

        Args:
            endpoint: Whom to ask, for the message.

        Raises:
            FetchFailed: `not_subscribed`, if it is not subscribed and the context does not include such contacts.
        """
        if not (self.include_unsubscribed or self.is_subscribed):
            message = "Nothing was sent or rendered: the contact is not subscribed."
            raise FetchFailed(Reason.NOT_SUBSCRIBED, message, endpoint=endpoint, contact_id=self.contact_id)

    def with_output(self, key: str, value: Any) -> CampaignContext:
        """A context that also has this output.

        Args:
            key: An identifier, not yet taken.
            value: Anything that JSON can hold.

        Raises:
            StepRefused: `output_key_taken`, if the key has an output already.
            ValueError: if the key is no identifier.
        """
        check_identifier("output_key", key)
        if key in self.workflow:
            raise StepRefused(
                Reason.OUTPUT_KEY_TAKEN,
                f"Contact {self.contact_id} already has an output `{key}`. {Reason.OUTPUT_KEY_TAKEN.remedy}",
            )
        return self._with(workflow={**self.workflow, key: value})

    def after(self, node: str) -> CampaignContext:
        """A context that has been through a step.

        Raises:
            StepRefused: `output_key_taken`, if it has been through one of this name.
        """
        if node in self.nodes:
            raise StepRefused(
                Reason.OUTPUT_KEY_TAKEN,
                f"Contact {self.contact_id} has already been through a step `{node}`. Give this one a node of its own.",
            )
        return self._with(nodes=self.nodes | {node})

    def _with(
        self, *, workflow: Mapping[str, Any] | None = None, nodes: frozenset[str] | None = None
    ) -> CampaignContext:
        return _rebuild(
            self.workspace,
            self.campaign,
            self.contact,
            self.workflow if workflow is None else workflow,
            self.simulate,
            self.nodes if nodes is None else nodes,
            self.origin,
            self.include_unsubscribed,
        )

    def values(self, workspace: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
        """What a template reads, by root."""
        return {
            "workspace": workspace,
            "contact": self.contact,
            "campaign": self.campaign,
            "node": node,
            "workflow": self.workflow,
        }


def contact_from(row: Mapping[str, Any], *, include_unsubscribed: bool = False) -> dict[str, Any]:
    """A contact in Leadpush's shape, whatever shape it came in, as an audience would read it.

    Raises:
        AudienceInvalid: if it cannot be used, or only look-alikes say whether it is subscribed.
    """
    consent = ConsentColumns(refuse=False)
    read = read_contact(ContactKeys("", consent).read, row, "")
    if isinstance(read, InvalidRow):
        raise AudienceInvalid(f"The contact cannot be used: {read.sentence}")
    if consent.ignored and not consent.found and not include_unsubscribed:
        raise AudienceInvalid(
            f"It is not clear whether contact {read.contact_id} is subscribed: it has {next(iter(consent.ignored))!r}, "
            "and no `subscribed`. Give the contact `subscribed`, true or false, or the context "
            "include_unsubscribed=True."
        )
    contact: dict[str, Any] = from_json(read.data)
    return contact


def _rebuild(*values: Any) -> CampaignContext:
    return CampaignContext._rebuilt(*values)


def workspace_values(workspace: WorkspaceConfig) -> dict[str, Any]:
    """What a template reads of a workspace."""
    return {"name": workspace.name, "uuid": workspace.uuid, "variables": workspace.variables}
