"""A step, whether of one contact or of a batch: is the output's key free, does the condition hold, what is
rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leadpush_prefect.endpoints.attempt import render_failure
from leadpush_prefect.endpoints.mock import Mock
from leadpush_prefect.endpoints.prepared import PreparedEndpoint
from leadpush_prefect.errors import Reason, StepRefused
from leadpush_prefect.model.effects import IDEMPOTENT_METHODS
from leadpush_prefect.model.names import ROOTS
from leadpush_prefect.model.outcome import Failure, Outcome, Status
from leadpush_prefect.model.step import Step
from leadpush_prefect.templates import (
    TEXT,
    Condition,
    Template,
    TemplateFailed,
    compile_condition,
    compile_json,
    compile_template,
)
from leadpush_prefect.text.json_text import MAX_DEPTH, NestedTooDeeply, check_json, to_json

__all__ = ["Fetch", "Message", "condition_of", "decide", "message_template", "render_values"]

Message = str | dict[str, Any] | list[Any]
"""A message's template: a text, or an object or list whose texts are templates."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """A step that fetches, ready for contacts.

    Attributes:
        step: The step.
        endpoint: What it calls, for the workspace of its contacts.
        mock: What stands in for the response in a simulated run.
    """

    step: Step
    endpoint: PreparedEndpoint
    mock: Mock

    @property
    def writes(self) -> bool:
        """Whether its requests must not be sent twice."""
        return self.endpoint.endpoint.config.method.upper() not in IDEMPOTENT_METHODS

    def without_request(
        self, condition: Condition | None, values: Mapping[str, Any], *, simulate: bool
    ) -> Outcome | None:
        """The outcome of a contact for which nothing is to be sent, or None."""
        decided = decide(self.step, condition, values)
        return self.mock.outcome(self.endpoint, values) if decided is None and simulate else decided


def condition_of(step: Step) -> Condition | None:
    """The compiled `when=`.

    Raises:
        StepRefused: if it can never be evaluated.
    """
    if not step.when:
        return None
    try:
        return compile_condition(step.when, roots=ROOTS)
    except TemplateFailed as failed:
        raise _refused(step, failed) from None


def message_template(template: Message, step: Step) -> tuple[Template, bool]:
    """The compiled template of a message, and whether it renders to text (else to the JSON of an object or
    list).

    Raises:
        StepRefused: if it can never be rendered.
    """
    try:
        if isinstance(template, str):
            return compile_template(template, TEXT, field="template", roots=ROOTS), True
        return compile_json(to_json(template), field="template", roots=ROOTS), False
    except TemplateFailed as failed:
        raise _refused(step, failed) from None
    except (TypeError, RecursionError):
        message = "It has no form in JSON: its keys are texts, and it is nested less than 250 levels."
        raise _refused(step, TemplateFailed(Reason.TEMPLATE_INVALID, message, "template")) from None


def _refused(step: Step, failed: TemplateFailed) -> StepRefused:
    message = f"Step {step.node}: {failed.field}: {failed.message} {failed.reason.remedy}"
    return StepRefused(failed.reason, message)


def decide(step: Step, condition: Condition | None, values: Mapping[str, Any]) -> Outcome | None:
    """The outcome of a contact for which nothing is to be done, or None."""
    try:
        if condition is not None and not condition.holds(values):
            return Outcome(Status.SKIPPED)  # so that two branches may store under one key
    except TemplateFailed as failed:
        return _failed(render_failure(failed))
    if step.output_key and step.output_key in values["workflow"]:
        message = f"The contact already has an output `{step.output_key}`."
        return _failed(Failure(Reason.OUTPUT_KEY_TAKEN, message))
    return None


def render_values(template: Template, is_text: bool, values: Mapping[str, Any]) -> Outcome:
    """The outcome of rendering a message for one contact: its output is JSON, for a text a JSON string."""
    try:
        text = template.render(values)
        if is_text:
            return Outcome(Status.FETCHED, to_json(text))
        check_json(
            text.encode()
        )  # a value may be as deep as a response, and stands in the message's own levels
        return Outcome(Status.FETCHED, text)
    except TemplateFailed as failed:
        return _failed(render_failure(failed))
    except NestedTooDeeply:
        message = f"The message is nested more deeply than {MAX_DEPTH} levels."
        return _failed(Failure(Reason.TEMPLATE_TOO_LARGE, message, "template"))
    except (TypeError, UnicodeEncodeError):  # half a surrogate pair
        return _failed(Failure(Reason.TEMPLATE_INVALID, "The message has no form in UTF-8.", "template"))


def _failed(failure: Failure) -> Outcome:
    return Outcome(Status.FAILED, failure=failure)
