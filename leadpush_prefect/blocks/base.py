"""What the three Blocks share: they load from any JSON, and `problems()` says what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from uuid import UUID

from prefect.blocks.core import Block
from pydantic import GetJsonSchemaHandler, HttpUrl
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

import leadpush_prefect.blocks.lenient as lenient
from leadpush_prefect.errors import BlockInvalid, Problem, Reason
from leadpush_prefect.text.display import shortened

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

__all__ = ["DOCUMENTATION", "CheckedBlock", "block_of_any_json"]

DOCUMENTATION = HttpUrl("https://github.com/leadpush/leadpush-prefect#blocks")
LOGO = HttpUrl("https://raw.githubusercontent.com/leadpush/leadpush-prefect/main/docs/logo.png")

if TYPE_CHECKING:
    _Base = Block
else:
    _Base = object
BlockT = TypeVar("BlockT", bound="CheckedBlock")


class CheckedBlock(_Base):
    """What the three Blocks share. Not a Block itself, since Prefect would list it as a type."""

    _unusable: list[Problem]
    _readers: ClassVar[Mapping[str, Callable[[Any], Any]]]
    _main_field: ClassVar[str]
    _reason: ClassVar[Reason | None] = None
    _logo_url: ClassVar[HttpUrl | None] = LOGO

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        # A flow's parameter is either a reference to a saved Block or a whole one, and Prefect refuses a run whose
        # parameter fits both. With no field required, a reference would.
        schema = handler(core_schema)
        handler.resolve_ref_schema(schema)["required"] = [cls._main_field]
        return schema

    @property
    def name(self) -> str:
        """The name of the Block's document; empty while it is not saved."""
        return self._block_document_name or ""

    def problems(self) -> list[Problem]:
        """What is wrong with the Block, errors first."""
        raise NotImplementedError

    def save(
        self, name: str | None = None, overwrite: bool = False, client: PrefectClient | None = None
    ) -> Any:
        """Save the Block.

        Raises:
            BlockInvalid: if it has problems.
        """
        self._refuse_problems(name)
        return super().save(name=name, overwrite=overwrite, client=client)

    async def asave(
        self, name: str | None = None, overwrite: bool = False, client: PrefectClient | None = None
    ) -> UUID:
        """Save the Block; the awaitable twin of `save`."""
        self._refuse_problems(name)
        saved: UUID = await super().asave(name=name, overwrite=overwrite, client=client)
        return saved

    def _refuse_problems(self, name: str | None) -> None:
        found = [*self._problems_of_saving(), *_name_problems(name or self.name)]
        errors = [problem for problem in found if problem.severity == "error"]
        if errors:
            shown = shortened(name or self.name)
            raise BlockInvalid(f"{type(self).__name__} {shown}".strip(), errors, self._reason)

    def _problems_of_saving(self) -> list[Problem]:
        return self.problems()


def _name_problems(name: str) -> list[Problem]:
    if re.fullmatch(r"[a-z0-9-]+", name):
        return []
    sentence = f"{name!r} is no name of a Block." if name else "The Block has no name."
    return [
        Problem(
            "error", "name", sentence, "Use lower-case letters, digits and dashes, such as customer-profile."
        )
    ]


def block_of_any_json(cls: type[BlockT], data: Any, handler: Callable[[Any], BlockT]) -> BlockT:
    if not isinstance(data, Mapping):
        return handler(data)
    usable, problems = lenient.block_of_any_json(cls.model_fields, cls._readers, data)
    block = handler(usable)
    block._unusable = problems
    return block
