"""dlt's `rest_api` source: two endpoints that are asked for each contact, in parallel, loaded into DuckDB.

No message is rendered. It runs in an environment of its own, without this package.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import dlt
from dlt.sources.rest_api import rest_api_source

from tests.benchmarks.people import people
from tests.benchmarks.result import Result

CONCURRENCY = 64


def run(url: str, contacts: int) -> Result:
    os.environ |= {
        "EXTRACT__WORKERS": str(CONCURRENCY),
        "EXTRACT__MAX_PARALLEL_ITEMS": str(CONCURRENCY),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        _pipeline(folder, "warm_up").run(_source(url, 1))
        pipeline = _pipeline(folder, "campaign")
        started = perf_counter()
        pipeline.run(_source(url, contacts))
        seconds = perf_counter() - started
        with pipeline.sql_client() as client:
            for table in ("profiles", "offers"):
                [[rows]] = client.execute_sql(f"select count(*) from {table}") or []
                assert rows == contacts
    return Result(contacts, 2 * contacts, seconds, other_requests=2)


def _pipeline(folder: str, name: str) -> Any:
    return dlt.pipeline(
        name, pipelines_dir=folder, destination=dlt.destinations.duckdb(f"{folder}/{name}.duckdb")
    )


def _source(url: str, contacts: int) -> Any:
    @dlt.resource(name="contacts", selected=False)  # type: ignore[untyped-decorator]
    def audience() -> Iterator[list[dict[str, str]]]:
        yield list(people(contacts))

    def endpoint(name: str, path: str) -> dict[str, Any]:
        return {
            "name": name,
            "endpoint": {"path": path, "paginator": "single_page"},
            "include_from_parent": ["id"],
            "parallelized": True,
        }

    return rest_api_source(
        {
            "client": {"base_url": url},
            "resources": [
                audience,
                endpoint("profiles", "customers/{resources.contacts.email}"),
                endpoint("offers", "offers/{resources.contacts.id}"),
            ],
        }
    )
