"""The flow "Test API endpoint", run on Prefect's server against a real API, and the page of all endpoints."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact, State
from prefect.client.schemas.sorting import ArtifactSort
from prefect.types import SecretDict

from leadpush_prefect import ApiEndpoint, Audience, CampaignRun, Workspace, fetch_api_data
from leadpush_prefect.flows import endpoint_test, endpoints_overview
from tests.support.flows import run_flow
from tests.support.raw_server import Handler, RawServer, echo, mute, respond

SECRET = "s3cr3t-k3y"


@pytest.fixture(scope="module", autouse=True)
def workspace(_server: None) -> None:
    sample = {"id": 7, "email": "ana@example.com", "first_name": "Ana"}
    Workspace(allowed_networks=["127.0.0.0/8"], sample_contact=sample).save("tests", overwrite=True)


@pytest.fixture
def api() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server


def saved(api: str, /, **fields: Any) -> ApiEndpoint:
    """An endpoint as the run form gives it: it is saved, and its secrets are read from Prefect."""
    defaults: dict[str, Any] = {
        "workspace": "tests",
        "url": api + "/customers/{{ contact.attributes.email }}",
        "headers": {"Authorization": "Bearer {{ secrets.key }}"},
        "secrets": SecretDict({"key": SECRET}),
    }
    ApiEndpoint(**defaults | fields).save("tried", overwrite=True)
    return ApiEndpoint.load("tried", _sync=True)  # type: ignore[call-arg,return-value]


def tried(endpoint: ApiEndpoint, **parameters: Any) -> State[Any]:
    flow: Any = endpoint_test.test_api_endpoint
    state: State[Any] = flow(endpoint, return_state=True, **parameters)
    return state


def pages(key: str) -> list[Artifact]:
    """The artifacts of a key, the newest first."""
    with get_client(sync_client=True) as client:
        return client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key])),
            sort=ArtifactSort.CREATED_DESC,
        )


def page(key: str = "endpoint-test-tried") -> str:
    return str(pages(key)[0].data)


def test_ok(api: RawServer) -> None:
    """The request is the workspace's sample contact's; state and page say OK, and show what went and came."""
    state = tried(saved(api.url))
    assert (True, "OK") == (state.is_completed(), state.name)
    [request] = api.requests
    assert b"/customers/ana%40example.com" == request.target
    assert f"Bearer {SECRET}".encode() == request.header("Authorization")

    shown = page()
    assert shown.startswith("# tried: OK\n")
    for part in (
        f"GET {api.url}/customers/ana%40example.com",
        "Authorization: Bearer ********",
        "curl ",
        "HTTP 200 in",
        "| connect |",
        "| first byte |",
        "| body |",
        '"target": "/customers/ana%40example.com"',
    ):
        assert part in shown


def test_a_key_of_its_own(api: RawServer) -> None:
    """Each test of a write has another key: under an old one the API would answer from its memory."""
    endpoint = saved(api.url, method="POST", idempotency_header="Idempotency-Key")
    assert ["OK", "OK"] == [tried(endpoint).name, tried(endpoint).name]
    first, second = ((request.header("Idempotency-Key") or b"").decode() for request in api.requests)
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second
    assert f"Idempotency-Key: {second}" in page()


def test_no_body() -> None:
    """A write that is done without a word is OK, and the page says that there was no body."""
    with RawServer(respond(b"", status=204)) as api:
        assert "OK" == tried(saved(api.url, method="POST")).name
        shown = page()
        assert "HTTP 204 and no body in " in shown
        assert " ms, no body." in shown
        assert "response_empty" == tried(saved(api.url)).name
        assert "a GET with HTTP 204 and no body" in page()


@pytest.mark.parametrize(
    ("handler", "fields", "name", "sentences"),
    [
        (
            respond(b'{"error": "no such customer"}', status=404),
            {},
            "http_status_404",
            ["The API answered with HTTP 404.", "no such customer", "would not have tried again"],
        ),
        (
            respond(b"", status=503, headers=[("Retry-After", "7")]),
            {},
            "http_status_503",
            ["would have tried again, after 7 s at most"],
        ),
        (
            mute,
            {"timeout_seconds": 0.3},
            "timeout",
            ["no whole response", "Raise timeout", "| first byte |", "failed here"],
        ),
        (respond(b"<h1>Hi</h1>"), {}, "response_not_json", ["<h1>Hi</h1>", "Check the URL"]),
        (
            echo,
            {"url": "https://no-such-host.invalid/{{ contact._id }}"},
            "dns_failed",
            ["| resolve |", "failed here", "Check the host in the URL."],
        ),
        (
            echo,
            {"url": "https://api.example.com/{{ contact.attributes.mail }}"},
            "template_missing",
            ["in url", "email"],
        ),
    ],
)
def test_failures(handler: Handler | bytes, fields: dict[str, Any], name: str, sentences: list[str]) -> None:
    """A test that fails is a failed run whose state is the reason, with a page that says what to do."""
    with RawServer(handler) as api:
        state = tried(saved(api.url, **fields))
    assert (True, name) == (state.is_failed(), state.name)
    shown = page().replace("\\", "")
    assert shown.startswith(f"# tried: {name}\n")
    assert str(state.message) in shown
    assert [] == [sentence for sentence in sentences if sentence not in shown]


def test_problems(api: RawServer) -> None:
    """An endpoint that cannot be called says why in sentences, and sends nothing."""
    disabled = tried(saved(api.url, enabled=False))
    assert (True, "endpoint_disabled") == (disabled.is_failed(), disabled.name)
    assert "Enable it" in page()

    bad = ApiEndpoint(workspace="tests", url="https://{{ contact.attributes.host }}/", method="FETCH")
    state = tried(bad)
    assert (True, "endpoint_invalid") == (state.is_failed(), state.name)
    assert "method" in str(state.message)
    assert "url" in str(state.message)
    assert "**url**" in page("endpoint-test-unsaved")

    nowhere = tried(ApiEndpoint(url="https://api.example.com/"))
    assert "Say in which one to test it." in str(nowhere.message)
    assert [] == api.requests


def test_secrets_that_come_back(api: RawServer, caplog: pytest.LogCaptureFixture) -> None:
    """A secret that the API gives back is masked in the page, the state, the logs and the run's parameters."""
    endpoint = saved(api.url, body='{"key": "{{ secrets.key }}"}', method="POST")
    with caplog.at_level(logging.DEBUG):
        state = tried(endpoint)
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(state.state_details.flow_run_id)  # type: ignore[arg-type]
    assert "tried" == run.name
    seen = [
        page(),
        str(pages("endpoint-test-tried")[0].description),
        str(state),
        caplog.text,
        run.model_dump_json(),
    ]
    assert "Bearer ********" in seen[0]
    assert [] == [text for text in seen if SECRET in text]

    with RawServer(respond(f"{SECRET} is wrong".encode(), status=403)) as refusing:
        state = tried(saved(refusing.url))
    assert [] == [text for text in (page(), str(state)) if SECRET in text]
    assert "******** is wrong" in page()


def test_whose_contact(api: RawServer) -> None:
    """A contact that is given comes first, then one of an audience; without either and sample it has an id."""
    audience = Audience.from_contacts([{"id": 1, "email": "bo@example.com"}, {"id": 2, "email": "cy@x.org"}])
    endpoint = saved(api.url, url=api.url + "/{{ contact._id }}/{{ workflow.profile.plan }}")
    outputs = {"profile": {"plan": "pro"}}
    tried(endpoint, contact={"id": 9}, audience=audience, contact_id="2", outputs=outputs)
    tried(endpoint, audience=audience, contact_id="2", outputs=outputs)
    Workspace(allowed_networks=["127.0.0.0/8"]).save("no-sample", overwrite=True)
    anywhere = ApiEndpoint(url=api.url + "/{{ contact._id }}")
    tried(anywhere, workspace="no-sample")
    assert [b"/9/pro", b"/2/pro", b"/sample"] == [request.target for request in api.requests]

    unknown = tried(endpoint, audience=audience, contact_id="3")
    assert (True, "not_tested") == (unknown.is_failed(), unknown.name)
    assert "Contact 3 is not in the audience" in str(unknown.message)
    half = tried(endpoint, contact_id="3")
    assert "together" in str(half.message)
    assert 3 == len(api.requests)


@pytest.fixture
def endpoint(api: RawServer) -> ApiEndpoint:
    return saved(api.url)


async def test_in_a_notebook(endpoint: ApiEndpoint) -> None:
    """Where an event loop runs already, both flows work as well."""
    assert "OK" == tried(endpoint).name
    overview: Any = endpoints_overview.list_api_endpoints
    assert overview(return_state=True).is_completed()


def test_form() -> None:
    """The run form describes each parameter, and lists the saved endpoints and audiences."""
    schema = endpoint_test.test_api_endpoint.parameters.model_dump()
    assert ["endpoint"] == schema["required"]
    assert [] == [name for name, field in schema["properties"].items() if not field.get("description")]
    assert "leadpush-api-endpoint" in json.dumps(schema)
    assert "#/definitions/Audience" == schema["properties"]["audience"]["$ref"], (
        "a list, without a tab for None"
    )


def test_overview(api: RawServer) -> None:
    """One page has all endpoints by workspace, with limits, problems, last test, and how many calls failed."""
    endpoint = saved(api.url)
    tried(endpoint)
    contacts: list[dict[str, Any]] = [
        {"id": 1, "email": "ana@example.com"},
        {"id": 2},
        {"id": 3},
        {"id": 4, "email": "cy@x.org"},
    ]

    def campaign() -> Any:
        audience = Audience.from_contacts(contacts)
        with CampaignRun.start("overview", workspace="tests", audience=audience) as run:
            for batch in run.batches():
                fetch_api_data.submit(batch, "tried", output_key="profile")
            return run.finish()

    run_flow(campaign)
    state: Any = endpoints_overview.list_api_endpoints(return_state=True)
    assert state.is_completed()
    shown = page("api-endpoints").replace("\\", "")
    assert (
        "## Workspace tests\n\ntimeout up to 30 s, responses up to 1,048,576 bytes, hosts any public" in shown
    )
    [row] = [line for line in shown.splitlines() if line.startswith("| tried |")]
    assert "| tried | 10 s | yes |  |" in row
    assert "UTC: OK | 2 of 4, 50.0% |" in row
    assert f"- **tried** `GET {api.url}/customers/{{{{ contact.attributes.email }}}}`" in shown
