"""Prefect's default UI saves any JSON as a Block: it loads, and `problems()` says what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from prefect import flow
from prefect.blocks.core import Block
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentCreate, BlockDocumentUpdate
from prefect.types import SecretDict

from leadpush_prefect import ApiEndpoint, Audience, BlockInvalid, CampaignContext, Workspace, fetch_api_data

BLOCKS: list[type[Any]] = [Workspace, ApiEndpoint, Audience]
VALUES: list[Any] = [
    None,
    5,
    -0.5,
    True,
    "some text",
    "",
    [1, "a", None, {}],
    {"a": 1, "b": None, "c": [2], "d": {"e": 3}},
]
GOOD: dict[type[Any], dict[str, Any]] = {
    Workspace: {},
    ApiEndpoint: {"url": "https://api.example.com/"},
    Audience: {"path": "audience.csv"},
}


class Documents:
    """Block documents written over REST, as the UI writes them: nothing is validated."""

    def __init__(self) -> None:
        self.ids: dict[type[Any], Any] = {}

    def write(self, kind: type[Any], data: dict[str, Any]) -> str:
        name = f"any-json-{kind.__name__.lower()}"
        with get_client(sync_client=True) as client:
            if kind in self.ids:
                update = BlockDocumentUpdate(data=data, merge_existing_data=False)
                client._client.patch(
                    f"/block_documents/{self.ids[kind]}", json=update.model_dump(mode="json")
                )
            else:
                kind.register_type_and_schema()
                create = BlockDocumentCreate(
                    name=name,
                    data=data,
                    block_type_id=kind._block_type_id,
                    block_schema_id=kind._block_schema_id,
                )
                body = create.model_dump(mode="json", exclude_unset=True)
                response = client._client.post("/block_documents/", json=body)
                assert response.status_code == 201
                self.ids[kind] = response.json()["id"]
        return name


@pytest.fixture(scope="module")
def documents(prefect_server: None) -> Documents:
    return Documents()


def check(block: Any, kind: type[Any], field: str, value: Any) -> None:
    default = getattr(kind(), field)
    errors = [p for p in block.problems() if p.severity == "error" and p.field.split(".")[0] == field]
    assert all(p.sentence.endswith(".") and p.remedy.endswith(".") for p in errors)
    if value is None:
        assert getattr(block, field) == default, "null is the default"
    elif not errors:
        assert type(getattr(block, field)) is type(default), (
            f"{value!r} was read as {getattr(block, field)!r}"
        )


@pytest.mark.parametrize("value", [None, 5, True, "some text", *VALUES[-2:]], ids=str)
@pytest.mark.parametrize("kind", BLOCKS)
def test_all_fields_as_any_json_over_rest(kind: type[Any], value: Any, documents: Documents) -> None:
    """Whatever all fields hold, the Block loads; what it cannot use is a problem of its field, in a
    sentence."""
    block = kind.load(documents.write(kind, dict.fromkeys(kind.model_fields, value)))
    for field in kind.model_fields:
        check(block, kind, field, value)
    assert [problem for problem in block.problems() if problem.severity == "error"] or kind is Workspace


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind in BLOCKS for field in kind.model_fields], ids=str
)
def test_each_field_as_any_json(kind: type[Any], field: str) -> None:
    """A bad field among good ones is the one that the problems name."""
    for value in VALUES:
        block = kind.model_validate({**GOOD[kind], field: value})
        check(block, kind, field, value)
        named = {p.field.split(".")[0] for p in block.problems() if p.severity == "error"}
        assert named <= {field, "path", "query", "connector"} if kind is Audience else named <= {field}


@pytest.mark.parametrize(
    ("kind", "field", "value", "sentence"),
    [
        (ApiEndpoint, "method", {"a": 1}, "It is an object, and must be text."),
        (ApiEndpoint, "headers", "X-A: 1", "It is text, and must be an object."),
        (ApiEndpoint, "headers", [1], "It is a list, and must be an object."),
        (ApiEndpoint, "timeout_seconds", "soon", "It is text, and must be a number."),
        (ApiEndpoint, "timeout_seconds", True, "It is true or false, and must be a number."),
        (ApiEndpoint, "max_attempts", 1.5, "It is a number, and must be a whole number."),
        (ApiEndpoint, "enabled", "perhaps", "It is text, and must be true or false."),
        (Workspace, "variables", 5, "It is a number, and must be an object."),
        (Workspace, "max_response_bytes", [], "It is a list, and must be a number."),
        (Audience, "path", {"a": 1}, "It is an object, and must be text."),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_said(
    kind: type[Any], field: str, value: Any, sentence: str, documents: Documents
) -> None:
    """The sentence says what the value is, and what it must be."""
    block = kind.load(documents.write(kind, {**GOOD[kind], field: value}))
    assert sentence in [problem.sentence for problem in block.problems() if problem.field == field]


def test_what_is_kindly_read(documents: Documents) -> None:
    """Numbers in text, texts in place of lists, a body as JSON and entries one by one are understood."""
    headers = {"X-A": 5, "X-B": True, "X-C": {"n": 1}}
    written = {
        "url": "https://a.example/",
        "timeout_seconds": "7",
        "max_attempts": "2",
        "enabled": "false",
        "headers": headers,
        "query": {"tag": ["a", 1]},
        "body": {"name": "{{ contact._id }}"},
        "method": "post",
        "secrets": {"key": 42},
    }
    endpoint: Any = ApiEndpoint.load(documents.write(ApiEndpoint, written))
    assert (endpoint.timeout_seconds, endpoint.max_attempts, endpoint.enabled) == (7.0, 2, False)
    assert endpoint.headers == {"X-A": 5, "X-B": True}, "one bad entry does not spoil the others"
    assert endpoint.query == {"tag": ["a", 1]}
    assert endpoint.body == '{"name":"{{ contact._id }}"}'
    assert endpoint.config().method == "POST"
    assert endpoint.config().secrets == {"key": "42"}
    assert [p.field for p in endpoint.problems() if p.severity == "error"] == ["headers.X-C"]
    workspace: Any = Workspace.load(documents.write(Workspace, {"allowed_hosts": "api.example.com"}))
    assert workspace.allowed_hosts == ["api.example.com"]


@pytest.mark.parametrize(
    ("kind", "wrong", "near"),
    [(ApiEndpoint, "timeout", "timeout_seconds"), (ApiEndpoint, "header", "headers"),
     (Workspace, "uid", "uuid"), (Audience, "qeury", "query")],
)  # fmt: skip
def test_an_unknown_field_names_the_nearest(
    kind: type[Any], wrong: str, near: str, documents: Documents
) -> None:
    """A field that is not there is a problem, with the name that was meant."""
    block = kind.load(documents.write(kind, {**GOOD[kind], wrong: 5}))
    [problem] = [problem for problem in block.problems() if problem.field == wrong]
    assert problem.severity == "error"
    assert near in problem.remedy


@pytest.mark.parametrize("data", [{"timeout_seconds": [1]}, {"urll": "https://a.example/"}, {"url": 5}])
def test_every_use_asks_first(data: dict[str, Any], documents: Documents) -> None:
    """A Block with problems, saved by the UI, fails the task with them as its message; nothing is sent."""
    name = documents.write(ApiEndpoint, {**GOOD[ApiEndpoint], **data})

    @flow
    def campaign() -> None:
        context = CampaignContext(workspace=Workspace(), campaign="c", contact={"id": 1})
        fetch_api_data(context, name, output_key="profile")

    state = campaign(return_state=True)
    assert state.is_failed()
    assert "endpoint_invalid" in str(state.message)
    assert next(iter(data)) in str(state.message)


def test_save_refuses_problems() -> None:
    """save() and asave() refuse a Block with problems, and name them; a warning does not stop them."""
    with pytest.raises(BlockInvalid, match="method: FETCH is none of"):
        ApiEndpoint(url="https://a.example/", method="FETCH").save("refused")
    with pytest.raises(BlockInvalid, match="max_timeout_seconds"):
        Workspace(max_timeout_seconds=-1).save("refused")
    with pytest.raises(BlockInvalid, match="no source"):
        Audience().save("refused")
    with pytest.raises(BlockInvalid, match="cannot be saved"):
        Audience.from_contacts([{"id": 1}]).save("refused")
    warned = ApiEndpoint(url="https://a.example/", headers={"Authorization": "Bearer abcdefghijkl"})
    assert [problem.severity for problem in warned.problems()] == ["warning"]
    warned.save("warned", overwrite=True)
    with pytest.raises(ValueError, match="Unable to find block document"):
        ApiEndpoint.load("refused")


async def test_asave_refuses_problems() -> None:
    """The awaitable twins refuse as well, and save what is good."""
    with pytest.raises(BlockInvalid, match="url: It is empty"):
        await ApiEndpoint().asave("refused")
    await ApiEndpoint(url="https://a.example/").asave("good", overwrite=True)
    loaded: Any = await ApiEndpoint.aload("good")
    assert (loaded.name, loaded.problems()) == ("good", [])


def test_an_unknown_workspace_is_a_problem(acme: Workspace) -> None:
    """An endpoint that names a workspace which is not there says so; one that is there counts with its
    limits."""
    [problem] = ApiEndpoint(workspace="nowhere", url="https://a.example/").problems()
    assert (problem.field, problem.severity) == ("workspace", "error")
    assert "'nowhere'" in problem.sentence
    [too_long] = ApiEndpoint(workspace="acme", url="https://a.example/", timeout_seconds=31).problems()
    assert too_long.field == "timeout_seconds"


async def test_problems_on_a_running_loop(acme: Workspace) -> None:
    """problems() looks the workspace up on a running loop too."""
    assert ApiEndpoint(workspace="acme", url="https://a.example/").problems() == []
    assert ApiEndpoint(workspace="nowhere", url="https://a.example/").problems() != []


def test_secrets_are_masked(documents: Documents) -> None:
    """No secret shows in repr, dumps, the configuration's repr, or what the API of Prefect gives without
    asking."""
    endpoint = ApiEndpoint(url="https://a.example/", secrets=SecretDict({"key": "s3cret-value"}))
    endpoint.save("secretive", overwrite=True)
    loaded: Any = ApiEndpoint.load("secretive")
    assert loaded.config().secrets == {"key": "s3cret-value"}
    for block in (endpoint, loaded):
        shown = [
            repr(block),
            str(block),
            str(block.model_dump()),
            block.model_dump_json(),
            repr(block.config()),
        ]
        assert not [text for text in shown if "s3cret" in text]
    with get_client(sync_client=True) as client:
        document = client.read_block_document_by_name(
            "secretive", "leadpush-api-endpoint", include_secrets=False
        )
    assert "s3cret" not in str(document.data)


def test_huge_numbers_load(documents: Documents) -> None:
    """A number that no float can hold is a problem, not a Block that does not load."""
    huge = 10**400
    for kind, field in ((ApiEndpoint, "timeout_seconds"), (Workspace, "max_response_bytes")):
        block = kind.model_validate({**GOOD[kind], field: huge})
        assert [problem.field for problem in block.problems() if problem.severity == "error"] == [field]


def test_blocks_are_blocks() -> None:
    """All three are registered as types under their slugs."""
    slugs = {kind: kind.get_block_type_slug() for kind in BLOCKS}
    assert list(slugs.values()) == ["leadpush-workspace", "leadpush-api-endpoint", "leadpush-audience"]
    assert all(issubclass(kind, Block) for kind in BLOCKS)
