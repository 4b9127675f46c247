"""What a type checker knows of the tasks, which Prefect's `Task` loses: their arguments, also of `submit` and `map`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol, Required, Self, TypeAlias, TypedDict, TypeVar, Unpack, overload

from prefect import State
from prefect.futures import PrefectFuture, PrefectFutureList
from prefect.utilities.annotations import unmapped

from leadpush_prefect.blocks import ApiEndpoint
from leadpush_prefect.campaigns.batch import Batch
from leadpush_prefect.campaigns.steps import Message
from leadpush_prefect.model.context import CampaignContext
from leadpush_prefect.model.step import OnFailure

__all__ = ["AsyncFetchTask", "FetchTask", "RenderTask"]

TargetT = TypeVar("TargetT", CampaignContext, Batch)
T = TypeVar("T")

Given: TypeAlias = T | PrefectFuture[T]
"""What may be the result of another task."""

Unmapped: TypeAlias = unmapped[Any]  # type: ignore[type-arg]  # mypy does not see that it is generic

Each: TypeAlias = T | Unmapped | list[T]
"""What `map` takes one by one, or the same for all."""

WaitFor: TypeAlias = Iterable[Any] | PrefectFuture[Any] | None


class _Options(TypedDict, total=False):
    output_key: Required[str]
    node: str
    when: str
    on_failure: OnFailure
    keep: Sequence[str]
    mock_response: Any
    mock_status: int
    wait_for: WaitFor


class _EachOptions(TypedDict, total=False):
    output_key: Required[Each[str]]
    node: Each[str]
    when: Each[str]
    on_failure: Each[OnFailure]
    keep: Unmapped | list[list[str]]  # a plain list would be taken apart
    mock_response: Any
    mock_status: Each[int]
    wait_for: WaitFor
    deferred: bool


class _RenderOptions(TypedDict, total=False):
    node: str
    when: str
    on_failure: OnFailure
    wait_for: WaitFor


class _MessageOptions(_RenderOptions, total=False):
    output_key: str


class _MessagesOptions(_RenderOptions):
    output_key: str


class _EachRenderOptions(TypedDict, total=False):
    node: Each[str]
    when: Each[str]
    on_failure: Each[OnFailure]
    wait_for: WaitFor
    deferred: bool


class _EachMessageOptions(_EachRenderOptions, total=False):
    output_key: Each[str]


class _EachMessagesOptions(_EachRenderOptions):
    output_key: Each[str]


class _Task(Protocol):
    """What each of the tasks has as a Prefect task."""

    @property
    def name(self) -> str: ...
    @property
    def fn(self) -> Any: ...
    def with_options(self, **options: Any) -> Self: ...


class _Submittable(_Task, Protocol):
    """How a fetch is submitted and mapped, whether its function is async or not."""

    @overload
    def submit(
        self,
        target: Given[TargetT],
        endpoint: ApiEndpoint | str,
        *,
        return_state: Literal[False] = False,
        **options: Unpack[_Options],
    ) -> PrefectFuture[TargetT]: ...
    @overload
    def submit(
        self,
        target: Given[TargetT],
        endpoint: ApiEndpoint | str,
        *,
        return_state: Literal[True],
        **options: Unpack[_Options],
    ) -> State[TargetT]: ...
    @overload
    def map(
        self,
        target: Iterable[Given[TargetT]] | Unmapped,
        endpoint: Each[ApiEndpoint] | Each[str],
        *,
        return_state: Literal[False] = False,
        **options: Unpack[_EachOptions],
    ) -> PrefectFutureList[TargetT]: ...
    @overload
    def map(
        self,
        target: Iterable[Given[TargetT]] | Unmapped,
        endpoint: Each[ApiEndpoint] | Each[str],
        *,
        return_state: Literal[True],
        **options: Unpack[_EachOptions],
    ) -> list[State[TargetT]]: ...


class FetchTask(_Submittable, Protocol):
    """`fetch_api_data`."""

    @overload
    def __call__(
        self,
        target: TargetT,
        endpoint: ApiEndpoint | str,
        *,
        output_key: str,
        node: str = "",
        when: str = "",
        on_failure: OnFailure = "stop",
        keep: Sequence[str] = (),
        mock_response: Any = None,
        mock_status: int = 200,
        return_state: Literal[False] = False,
        wait_for: WaitFor = None,
    ) -> TargetT: ...
    @overload
    def __call__(
        self,
        target: TargetT,
        endpoint: ApiEndpoint | str,
        *,
        return_state: Literal[True],
        **options: Unpack[_Options],
    ) -> State[TargetT]: ...


class AsyncFetchTask(_Submittable, Protocol):
    """`afetch_api_data`."""

    @overload
    async def __call__(
        self,
        target: TargetT,
        endpoint: ApiEndpoint | str,
        *,
        output_key: str,
        node: str = "",
        when: str = "",
        on_failure: OnFailure = "stop",
        keep: Sequence[str] = (),
        mock_response: Any = None,
        mock_status: int = 200,
        return_state: Literal[False] = False,
        wait_for: WaitFor = None,
    ) -> TargetT: ...
    @overload
    async def __call__(
        self,
        target: TargetT,
        endpoint: ApiEndpoint | str,
        *,
        return_state: Literal[True],
        **options: Unpack[_Options],
    ) -> State[TargetT]: ...


class RenderTask(_Task, Protocol):
    """`render_template`: of a context it gives the message, whose type is the template's."""

    @overload
    def __call__(
        self,
        target: CampaignContext,
        template: Message,
        *,
        output_key: str = "",
        node: str = "",
        when: str = "",
        on_failure: OnFailure = "stop",
        return_state: Literal[False] = False,
        wait_for: WaitFor = None,
    ) -> Any: ...
    @overload
    def __call__(
        self,
        target: Batch,
        template: Message,
        *,
        output_key: str,
        node: str = "",
        when: str = "",
        on_failure: OnFailure = "stop",
        return_state: Literal[False] = False,
        wait_for: WaitFor = None,
    ) -> Batch: ...
    @overload
    def __call__(
        self,
        target: CampaignContext,
        template: Message,
        *,
        return_state: Literal[True],
        **options: Unpack[_MessageOptions],
    ) -> State[Any]: ...
    @overload
    def __call__(
        self,
        target: Batch,
        template: Message,
        *,
        return_state: Literal[True],
        **options: Unpack[_MessagesOptions],
    ) -> State[Batch]: ...
    @overload
    def submit(
        self,
        target: Given[CampaignContext],
        template: Message,
        *,
        return_state: Literal[False] = False,
        **options: Unpack[_MessageOptions],
    ) -> PrefectFuture[Any]: ...
    @overload
    def submit(
        self,
        target: Given[Batch],
        template: Message,
        *,
        return_state: Literal[False] = False,
        **options: Unpack[_MessagesOptions],
    ) -> PrefectFuture[Batch]: ...
    @overload
    def submit(
        self,
        target: Given[CampaignContext],
        template: Message,
        *,
        return_state: Literal[True],
        **options: Unpack[_MessageOptions],
    ) -> State[Any]: ...
    @overload
    def submit(
        self,
        target: Given[Batch],
        template: Message,
        *,
        return_state: Literal[True],
        **options: Unpack[_MessagesOptions],
    ) -> State[Batch]: ...
    @overload
    def map(
        self,
        target: Iterable[Given[CampaignContext]] | Unmapped,
        template: str | Unmapped | list[Any],
        *,
        return_state: Literal[False] = False,
        **options: Unpack[_EachMessageOptions],
    ) -> PrefectFutureList[Any]: ...
    @overload
    def map(
        self,
        target: Iterable[Given[Batch]] | Unmapped,
        template: str | Unmapped | list[Any],
        *,
        return_state: Literal[False] = False,
        **options: Unpack[_EachMessagesOptions],
    ) -> PrefectFutureList[Batch]: ...
    @overload
    def map(
        self,
        target: Iterable[Given[CampaignContext]] | Unmapped,
        template: str | Unmapped | list[Any],
        *,
        return_state: Literal[True],
        **options: Unpack[_EachMessageOptions],
    ) -> list[State[Any]]: ...
    @overload
    def map(
        self,
        target: Iterable[Given[Batch]] | Unmapped,
        template: str | Unmapped | list[Any],
        *,
        return_state: Literal[True],
        **options: Unpack[_EachMessagesOptions],
    ) -> list[State[Batch]]: ...
