"""The public surface as a type checker sees it: read by mypy and pyright, and never run.

What must be an error stands beside the comment that expects it; a checker that finds none there fails.
"""

from __future__ import annotations

from typing import Any, assert_type

from prefect import State, task, unmapped
from prefect.futures import PrefectFuture, PrefectFutureList
from prefect.types import SecretDict

from leadpush_prefect import (
    ApiEndpoint,
    Audience,
    Batch,
    CampaignContext,
    CampaignRun,
    RunSummary,
    Workspace,
    afetch_api_data,
    fetch_api_data,
    render_template,
)


def blocks(headers: dict[str, str], secrets: dict[str, str]) -> None:
    """Blocks are made of plain dicts, and give what their fields say."""
    endpoint = ApiEndpoint(url="https://api.example.com", secrets={"key": "s"}, body={"plan": "pro"})
    assert_type(endpoint.secrets, SecretDict)
    assert_type(endpoint.body, str)
    ApiEndpoint(headers=headers, secrets=secrets, body=[1, {"a": None}])
    ApiEndpoint(query={"tag": ["a", "b"]}, secrets=SecretDict({"key": "s"}), body="text")
    ApiEndpoint(timeout_seconds=5, requests_per_second=2, missing_variables="empty")
    Workspace(variables={"api": "https://api.example.com"}, allowed_hosts=["api.example.com"])
    ApiEndpoint(ulr="https://api.example.com")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    ApiEndpoint(max_attempts="many")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ApiEndpoint(missing_variables="maybe")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Workspace(variable={})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def calls(context: CampaignContext, batch: Batch, endpoint: ApiEndpoint) -> None:
    """A task gives what it is given; a message is anything."""
    assert_type(fetch_api_data(context, endpoint, output_key="a"), CampaignContext)
    assert_type(fetch_api_data(batch, "name", output_key="a", keep=["plan"], wait_for=[context]), Batch)
    assert_type(fetch_api_data(batch, endpoint, output_key="a", return_state=True), State[Batch])
    assert_type(await afetch_api_data(context, endpoint, output_key="a"), CampaignContext)
    assert_type(await afetch_api_data(batch, endpoint, output_key="a", on_failure="continue"), Batch)
    assert_type(await afetch_api_data(batch, "name", output_key="a", return_state=True), State[Batch])
    assert_type(render_template(context, "Hi"), Any)
    assert_type(render_template(batch, ["Hi"], output_key="m"), Batch)
    assert_type(fetch_api_data.with_options(retries=2)(context, endpoint, output_key="a"), CampaignContext)


def wrong_calls(context: CampaignContext, batch: Batch, endpoint: ApiEndpoint) -> None:
    """What a task refuses when it runs is an error before."""
    fetch_api_data(batch, endpoint, outptu_key="a")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    fetch_api_data(batch, endpoint)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    fetch_api_data("batch", endpoint, output_key="a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    fetch_api_data(batch, 7, output_key="a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    fetch_api_data(batch, endpoint, output_key="a", on_failure="ignore")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    render_template(batch, "Hi")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


def submitted(context: CampaignContext, batch: Batch, endpoint: ApiEndpoint) -> None:
    """`submit` takes what a call takes, or the future of it."""
    one = fetch_api_data.submit(context, endpoint, output_key="a")
    assert_type(one, PrefectFuture[CampaignContext])
    many = fetch_api_data.submit(batch, "name", output_key="a", when="contact._id == '1'", wait_for=[one])
    assert_type(many, PrefectFuture[Batch])
    assert_type(fetch_api_data.submit(many, "name", output_key="b"), PrefectFuture[Batch])
    assert_type(afetch_api_data.submit(many, "name", output_key="b"), PrefectFuture[Batch])
    assert_type(afetch_api_data.submit(one, "name", output_key="b"), PrefectFuture[CampaignContext])
    assert_type(fetch_api_data.submit(batch, "name", output_key="a", return_state=True), State[Batch])
    assert_type(render_template.submit(many, "Hi", output_key="m", wait_for=many), PrefectFuture[Batch])
    assert_type(render_template.submit(one, "Hi"), PrefectFuture[Any])
    assert_type(render_template.submit(batch, "Hi", output_key="m", return_state=True), State[Batch])


def wrongly_submitted(batch: Batch, endpoint: ApiEndpoint) -> None:
    """`submit` refuses what a call refuses."""
    fetch_api_data.submit(batch, endpoint, outptu_key="a")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    fetch_api_data.submit(batch, endpoint, output_key="a", on_failure="ignore")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    fetch_api_data.submit("batch", endpoint, output_key="a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    fetch_api_data.submit([batch], endpoint, output_key="a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    afetch_api_data.submit(batch, endpoint, ouput_key="a")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    render_template.submit(batch, "Hi", output_key="m", on_failure="ignore")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    render_template.submit(batch, "Hi")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


def mapped(contexts: list[CampaignContext], batches: list[Batch], endpoint: ApiEndpoint) -> None:
    """`map` takes lists of what a call takes."""
    futures = fetch_api_data.map(batches, "name", output_key="a")
    assert_type(futures, PrefectFutureList[Batch])
    assert_type(fetch_api_data.map(contexts, endpoint, output_key="a"), PrefectFutureList[CampaignContext])
    assert_type(
        fetch_api_data.map(futures, ["one", "other"], output_key=["b", "c"]), PrefectFutureList[Batch]
    )
    assert_type(
        afetch_api_data.map(batches, unmapped("name"), output_key="a", keep=unmapped(["plan"])),
        PrefectFutureList[Batch],
    )
    assert_type(
        fetch_api_data.map(batches, "name", output_key="a", return_state=True, wait_for=futures),
        list[State[Batch]],
    )
    assert_type(render_template.map(futures, unmapped({"a": "Hi"}), output_key="m"), PrefectFutureList[Batch])
    assert_type(render_template.map(contexts, "Hi"), PrefectFutureList[Any])


def wrongly_mapped(batch: Batch, batches: list[Batch]) -> None:
    """`map` refuses what a call refuses, and what Prefect would take apart."""
    fetch_api_data.map(batches, "name", outptu_key="a")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    fetch_api_data.map(batches, "name", output_key="a", on_failure="ignore")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    fetch_api_data.map(batches, "name", output_key="a", keep=["plan"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    fetch_api_data.map(batch, "name", output_key="a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    render_template.map(batches, {"a": "Hi"}, output_key="m")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    render_template.map(batches, "Hi")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@task
def own(batch: Batch) -> Batch:
    """A task of the flow's own."""
    for context in batch.contexts():
        assert_type(context, CampaignContext)
        batch.store(context, "score", {"points": 7})
    return batch


def campaign(audience: Audience) -> State[RunSummary]:
    """A flow over an audience."""
    with CampaignRun.start("renewal", workspace="acme", audience=audience, limit=20) as run:
        assert_type(run, CampaignRun)
        for batch in run.batches():
            scored = own.submit(batch)  # pyright: ignore[reportUnknownMemberType]  # Prefect's own
            profiled = fetch_api_data.submit(scored, "customer-profile", output_key="profile")
            render_template.submit(profiled, "Hi", output_key="message")
        return run.finish()
