"""Answers at the edge of what is accepted, through all that comes after: the database, later steps, commands, files."""

from __future__ import annotations

import csv
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import pyarrow.parquet
import pytest
from sqlalchemy import Engine

from leadpush_prefect import (
    ApiEndpoint,
    Audience,
    CampaignContext,
    CampaignRun,
    Workspace,
    fetch_api_data,
    render_template,
)
from leadpush_prefect.cli import runs
from leadpush_prefect.endpoints.endpoint_test import run_endpoint_test
from leadpush_prefect.reports.export import export_run
from leadpush_prefect.store.database import open_database
from leadpush_prefect.store.runs import find_run
from leadpush_prefect.text.json_text import MAX_DEPTH, to_json
from tests.support.flows import on_database, run_flow
from tests.support.raw_server import RawServer, Request, each, respond

DEEP = "[" * (MAX_DEPTH - 1) + "1.10" + "]" * (MAX_DEPTH - 1)
VALUES = [
    *("1.10", "-0", "1e3", "1e400", "-1e400", "12345678901234567890123", "0.10000000000000000000001"),
    *("9" * 4300, "-" + "9" * 4300, "9" * 4301, "9" * 50_000, "1." + "0" * 50_000, "1e" + "9" * 5_000),
    r'"\u0000"',
    r'{"\u0000":"\u0000\u0001\u001f"}',
    r'"\ud83d\ude00\uffff\ufeff\u2028\u0085"',
    r'"\"\\\/\b\f\n\r\t"',
    '"=1+1"',
    '"{{ secrets.key }}"',
    '{"a":1,"a":2}',
    "[" + ",".join(["{}"] * 5_000) + "]",
    '"' + "x" * 200_000 + '"',
    "null",
    DEEP,
]
DEEP_NUMBER = len(VALUES) - 1


def numbered(request: Request) -> bytes:
    """The value of the number at the path's end; what is posted is only recorded."""
    if request.method == b"POST":
        return respond()
    return respond(f'{{"n":{VALUES[int(request.target[1:])]}}}'.encode())


def texts(text: str | bytes) -> Any:
    """The value of a JSON text, with its numbers as texts."""
    return json.loads(text, parse_int=str, parse_float=str)


@pytest.fixture
def acme(acme: Workspace, block: str) -> Workspace:
    """The workspace, on either database."""
    return on_database(acme, block)


@pytest.fixture
def database(url: str) -> Engine:
    return open_database(url)


def test_all_that_comes_after(
    acme: Workspace, block: str, database: Engine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is stored, read by later steps to the last digit, shown and exported."""
    body = '{"all": "{{ workflow.x }}", "n": "{{ workflow.x.n }}", "text": "<{{ workflow.x.n }}>"}'
    audience = Audience.from_contacts({"id": n, "nul": "\0"} for n in range(len(VALUES)))
    found: dict[str, Any] = {}

    def campaign() -> None:
        get = ApiEndpoint(url=f"{server.url}/{{{{ contact._id }}}}", max_attempts=1)
        post = ApiEndpoint(
            url=f"{server.url}/{{{{ contact._id }}}}",
            method="POST",
            body=body,
            max_attempts=1,
            query={"q": "{{ contact.attributes.nul }}"},
        )
        with CampaignRun.start("edge", workspace=acme, audience=audience) as run:
            for batch in run.batches():
                fetched = fetch_api_data.submit(batch, get, output_key="x")
                posted = fetch_api_data.submit(fetched, post, output_key="y")
                told = render_template.submit(posted, "{{ workflow.x.n }}", output_key="text")
                render_template.submit(
                    told, {"n": "{{ workflow.x }}"}, output_key="json", on_failure="continue"
                )
            run.finish()
            found["id"] = run.id
            found["outputs"] = dict(run.outputs(["x"]))
            found["failures"] = [(contact, node, failure.code) for contact, node, failure in run.failures()]

    with RawServer(each(numbered)) as server:
        run_flow(campaign)
        posted = {
            int(r.target[1:].split(b"?")[0]): texts(r.body) for r in server.requests if r.method == b"POST"
        }

    for number, value in enumerate(VALUES):
        assert posted[number]["all"] == {"n": texts(value)}
        assert posted[number]["n"] == texts(value)
        assert str(number) in found["outputs"]
    assert found["failures"] == [(str(DEEP_NUMBER), "json", "template_too_large")]

    run = find_run(database, found["id"])
    assert run is not None
    files = [tmp_path / f"out.{kind}" for kind in ("jsonl", "csv", "parquet")]
    for file in files:
        assert export_run(database, run, file, attributes=True) == len(VALUES)
    lines = [texts(line) for line in files[0].read_text("utf-8").split("\n") if line]
    assert [line["x"]["n"] for line in lines] == [texts(value) for value in VALUES]
    csv.field_size_limit(sys.maxsize)
    with files[1].open(encoding="utf-8", newline="") as opened:
        assert [texts(row["x"])["n"] for row in csv.DictReader(opened)] == [texts(value) for value in VALUES]
    table = pyarrow.parquet.read_table(files[2]).to_pydict()
    assert [texts(cell)["n"] for cell in table["x"]] == [texts(value) for value in VALUES]

    capsys.readouterr()
    for number, value in enumerate(VALUES):
        options: dict[str, Any] = {"contact": str(number), "workspace": "acme-elsewhere" if block else ""}
        assert runs.show(run.run_id, **options) == 0
        capsys.readouterr()
        assert runs.show(run.run_id, json=True, **options) == 0
        assert texts(capsys.readouterr().out)["x"]["output"] == {"n": texts(value)}


@pytest.mark.parametrize("number", [DEEP_NUMBER, VALUES.index("9" * 4301)])
def test_one_contact(acme: Workspace, number: int) -> None:
    """A contact by itself, in a flow: its context in another process, its message, the test of its endpoint."""
    with RawServer(each(numbered)) as server:
        endpoint = ApiEndpoint(url=f"{server.url}/{{{{ contact._id }}}}", max_attempts=1)
        context = CampaignContext(workspace=acme, campaign="edge", contact={"id": number})

        def campaign() -> Any:
            after = fetch_api_data(context, endpoint, output_key="x")
            sent = pickle.loads(cloudpickle.dumps(after))
            return render_template(sent, ["{{ workflow.x.n }}"])

        assert texts(to_json(run_flow(campaign).result())) == [texts(VALUES[number])]
        test = run_endpoint_test(endpoint.prepare(acme), context)
        assert texts(test.output) == {"n": texts(VALUES[number])}
