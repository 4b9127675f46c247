"""Campaigns in every way in which they can end, with all that logs at DEBUG, in a process of its own.

It is told a folder: `people.csv` in it is the audience, and what it prints and writes there is looked at afterwards. It
knows no secret but by loading the Blocks. Tracebacks with locals, which show people's data wherever they come from, go
to `locals.txt`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich.console
import rich.traceback
from prefect import flow, task
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from leadpush_prefect import (
    ApiEndpoint,
    Audience,
    Batch,
    CampaignContext,
    CampaignRun,
    Workspace,
    afetch_api_data,
    fetch_api_data,
    render_template,
)
from leadpush_prefect.cli import main as command
from leadpush_prefect.flows import endpoint_test
from leadpush_prefect.network.wire import RenderedRequest, Response
from leadpush_prefect.sending.dispatcher import override_transport

FOLDER = Path(sys.argv[1])
ENDPOINTS = sys.argv[2].split(",")
PEOPLE = Audience.from_file(FOLDER / "people.csv")


def log_all() -> None:
    """Have each logger say all that it can, on standard output."""
    logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, force=True)
    for name in [*logging.root.manager.loggerDict, "sqlalchemy.engine.Dispatcher.leadpush", "aiohttp.client"]:
        logging.getLogger(name).setLevel(logging.DEBUG)


def with_locals(error: BaseException) -> None:
    """Write an error, and all that it came from, as tools show it that show locals."""
    with (FOLDER / "locals.txt").open("a") as out:
        seen: list[BaseException] = []
        left: list[BaseException | None] = [error]
        while left:
            one = left.pop()
            if one is None or one in seen:
                continue
            seen.append(one)
            left += [one.__cause__, one.__context__]  # also one that is suppressed
            shown = traceback.TracebackException.from_exception(one, capture_locals=True)
            out.write("".join(shown.format(chain=True)) + repr(one) + repr(vars(one)))
            page = rich.traceback.Traceback.from_exception(
                type(one), one, one.__traceback__, show_locals=True
            )
            rich.console.Console(file=out, width=200).print(page)


def attempt(name: str, body: Callable[[], Any]) -> None:
    print(f"=== {name} {time.monotonic():.1f}", flush=True)
    try:
        state: Any = flow(name=name)(body)(return_state=True)
        print(state, state.message)
        if state.is_failed() or state.is_crashed():
            result = state.result(raise_on_failure=False)
            with_locals(result)
    except BaseException as error:
        print(type(error).__name__, error)
        with_locals(error)


def campaign(workspace: str, endpoints: list[str], *, run_id: str = "", audience: Audience = PEOPLE) -> Any:
    with CampaignRun.start("leaks", workspace=workspace, audience=audience, run_id=run_id) as run:
        for name in endpoints:
            key = name.replace("-", "_")
            for batch in run.batches():
                fetch_api_data.submit(batch, name, output_key=key, on_failure="continue").wait()
        for batch in run.batches():
            fetch_api_data(
                batch,
                endpoints[0],
                output_key="conditional",
                when="contact.attributes.email + 1 == 2",
                on_failure="continue",
            )
            text = "Hi {{ contact.attributes.name }} {{ contact.attributes.nope }}"
            render_template(batch, text, output_key="message", on_failure="continue")
        return run.finish()


def every_end() -> Any:
    return campaign("leaks", ENDPOINTS, run_id="every-end")


def one_contact() -> Any:
    context = next(iter_contexts())
    return fetch_api_data(context, "leaks-echo-error", output_key="profile")


async def one_contact_async() -> Any:
    context = next(iter_contexts())
    return await afetch_api_data(context, ApiEndpoint.load("leaks-timeout", _sync=True), output_key="profile")  # type: ignore[call-arg,arg-type]


def iter_contexts() -> Any:
    import csv

    with (FOLDER / "people.csv").open() as file:
        for row in csv.DictReader(file):
            yield CampaignContext(workspace="leaks", campaign="one", contact=row)


def no_request() -> Any:
    context = CampaignContext(workspace="leaks", campaign="one", contact={"id": "no-attributes"})
    return ApiEndpoint.load("leaks-echo-error", _sync=True).build_request(context)  # type: ignore[call-arg,union-attr]


class Breaking:
    """A transport with a fault that tells all."""

    async def send(
        self, request: RenderedRequest, *, timeout_seconds: float, max_response_bytes: int
    ) -> Response:
        raise RuntimeError(f"{request.url} {request.headers} {request.body!r}")


def unexpected() -> Any:
    former = override_transport(Breaking())
    try:
        return campaign("leaks", ENDPOINTS[:1])
    finally:
        override_transport(former)


def cancelled() -> Any:
    threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    return campaign("leaks", ["leaks-mute"])


def left_by_an_error() -> Any:
    with CampaignRun.start("leaks", workspace="leaks", audience=PEOPLE) as run:
        fetch_api_data.submit(
            run.batches()[0], "leaks-echo-error", output_key="profile", on_failure="stop"
        ).wait()
        raise ZeroDivisionError


@task(persist_result=False)
def of_ones_own(batch: Batch) -> None:
    for context in batch.contexts():
        raise LookupError(f"own task {context.contact_id}")


def incomplete() -> Any:
    with CampaignRun.start("leaks", workspace="leaks", audience=PEOPLE) as run:
        run.add_future("mine", of_ones_own.submit(run.batches()[0]))
        return run.finish()


@flow(name="given")
def given(endpoint: Any, workspace: Any, context: Any, prepared: Any) -> None:
    print(endpoint, repr(endpoint), workspace, context, prepared, repr(prepared), endpoint.config())


def parameters() -> None:
    endpoint: Any = ApiEndpoint.load("leaks-echo-error", _sync=True)  # type: ignore[call-arg]
    workspace: Any = Workspace.load("leaks", _sync=True)  # type: ignore[call-arg]
    given(endpoint, workspace, next(iter_contexts()), endpoint.prepare("leaks"))


def unreachable_database() -> Any:
    return campaign("leaks-unreachable", ENDPOINTS[:1])


def broken_database() -> Any:
    return campaign("leaks-broken", ENDPOINTS[:1])


def unreachable_audience() -> Any:
    return campaign("leaks", ENDPOINTS[:1], audience=Audience.from_sql("leaks-unreachable", "SELECT 1 AS id"))


def without_header() -> Any:
    return campaign("leaks", ENDPOINTS[:1], audience=Audience.from_file(FOLDER / "headerless.csv"))


def bad_rows() -> Any:
    return campaign("leaks", ENDPOINTS[:1], audience=Audience.from_file(FOLDER / "bad.jsonl"))


def repeated() -> Any:
    return campaign("leaks-own-store", ["leaks-echo-output"], run_id="repeated")


def cli(*arguments: str, to: str = "") -> None:
    """Run a command, with its output to a file of its own where it shows people's data."""
    print("===", "leadpush", *arguments, f"{time.monotonic():.1f}", flush=True)
    sys.argv = ["leadpush", *arguments]
    former = os.dup(1)
    if to:
        os.dup2(os.open(FOLDER / to, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    try:
        command()
    except SystemExit as ended:
        print("exit", ended.code)
    except Exception as error:
        with_locals(error)
        raise
    finally:
        sys.stdout.flush()
        os.dup2(former, 1)


def commands() -> None:
    for name in (*ENDPOINTS, "leaks-echo-output"):
        cli("endpoints", "test", name, "--workspace", "leaks", *(["--json"] if name < "leaks-f" else []))
    for contact in ("c0", "c1", "c4", "c8"):
        cli("runs", "show", "every-end", "--contact", contact, to="cli-people.txt")
    own = ("--contact", "c1", "--workspace", "leaks-own-store")
    for json in ((), ("--json",)):
        cli("endpoints", *json)
        cli("runs", *json)
        cli("runs", "show", "every-end", *json)
        cli("runs", "show", "repeated", *own, *json, to="cli-people.txt")
        cli("blocks", "export", str(FOLDER / "blocks"), *json)
        cli("blocks", "plan", str(FOLDER / "blocks"), *json)
    cli("runs", "export", "every-end", "--to", str(FOLDER / "export.csv"), "--attributes")


def endpoint_tests() -> None:
    for name in ("leaks-echo-error", "leaks-form", "leaks-redirect", "leaks-echo-output"):
        endpoint: Any = ApiEndpoint.load(name, _sync=True)  # type: ignore[call-arg]
        endpoint_test.test_api_endpoint(endpoint, workspace="leaks", return_state=True)


ENDS = (
    every_end, one_contact, no_request, unexpected, left_by_an_error, incomplete, parameters, unreachable_database,
    broken_database, unreachable_audience, without_header, bad_rows, repeated, cancelled,
)  # fmt: skip


def main() -> None:
    for end in ENDS:
        attempt(end.__name__, end)
    try:
        asyncio.run(flow(name="one-contact-async")(one_contact_async)())
    except Exception as error:
        with_locals(error)
    endpoint_tests()
    commands()


if __name__ == "__main__":
    log_all()
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):  # else a flow takes a second longer
        main()
