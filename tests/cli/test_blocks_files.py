"""Blocks as files: planned, applied, exported and migrated, against a Prefect server without other Blocks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentCreate, BlockDocumentUpdate, BlockSchemaCreate
from prefect.client.schemas.objects import BlockDocument
from prefect.testing.utilities import prefect_test_harness
from prefect.types import SecretDict
from pydantic import SecretStr

from leadpush_prefect import ApiEndpoint, Audience, Workspace
from leadpush_prefect.cli import main
from leadpush_prefect.definitions.definition import KINDS
from leadpush_prefect.definitions.export import export_blocks
from leadpush_prefect.definitions.plan import plan_blocks
from leadpush_prefect.definitions.read import read_definitions
from tests.support.depth import explored
from tests.support.texts import TEXTS

Run = Callable[..., tuple[int, str]]

KEY = "s3cr3t-k3y"
OTHER_KEY = "0th3r-k3y"

WORKSPACE = "variables: {api: {env: FILES_API}}\nallowed_networks: [127.0.0.0/8]\n"
ENDPOINT = """\
# What the shop knows of a contact.
workspace: acme
url: "{{ workspace.variables.api }}/customers/{{ contact.attributes.email }}"
headers: {Authorization: "Bearer {{ secrets.api_key }}"}
secrets: {api_key: {env: FILES_KEY}}
timeout_seconds: 2
"""


@pytest.fixture(scope="module")
def server() -> Iterator[None]:
    """A server of these tests alone: `export` writes all that is saved, and `plan` lists it."""
    with prefect_test_harness(server_startup_timeout=120):
        yield


def delete_all() -> None:
    with get_client(sync_client=True) as client:
        for document in client.read_block_documents():
            client.delete_block_document(document.id)


@pytest.fixture
def run(
    server: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Run:
    """Run a command in an empty folder; gives its exit code and what it printed, in which no secret may be."""
    delete_all()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("FILES_API", "https://api.example.com")
    monkeypatch.setenv("FILES_KEY", KEY)

    def command(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["leadpush", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = "".join(capsys.readouterr())
        assert KEY not in printed
        assert OTHER_KEY not in printed
        assert isinstance(ended.value.code, int)
        return ended.value.code, printed

    return command


def write(**files: str) -> None:
    for kind in KINDS:
        Path("blocks", kind).mkdir(parents=True, exist_ok=True)
    for name, text in {"workspaces_acme": WORKSPACE, "endpoints_crm": ENDPOINT, **files}.items():
        Path("blocks", *name.split("_")).with_suffix(".yaml").write_text(text)


def document(name: str = "crm", kind: type[Any] = ApiEndpoint) -> BlockDocument:
    with get_client(sync_client=True) as client:
        return client.read_block_document_by_name(name, kind.get_block_type_slug())


def planned(run: Run) -> dict[str, Any]:
    response: dict[str, Any] = json.loads(run("blocks", "plan", "--json")[1])
    return {block["name"]: block for block in response["blocks"]}


def test_plan_then_apply_then_plan(run: Run) -> None:
    """What is new is saved once; a second apply saves nothing, and the exit code of a plan says whether one would."""
    write()
    code, printed = run("blocks", "plan")
    assert (1, True, True) == (code, "Workspace acme: new" in printed, "ApiEndpoint crm: new" in printed)
    assert [] == saved_names()

    code, printed = run("blocks", "apply")
    assert (0, True, True) == (code, "ApiEndpoint crm: new" in printed, "Saved 2 Blocks." in printed)
    assert {"api_key": KEY} == document().data["secrets"]
    before = document().updated

    code, printed = run("blocks", "apply")
    assert (0, True) == (code, "Nothing to save" in printed)
    assert before == document().updated
    assert 0 == run("blocks", "plan")[0]


def saved_names() -> list[str]:
    with get_client(sync_client=True) as client:
        return [document.name or "" for document in client.read_block_documents()]


def test_a_plan_says_what_changes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Field by field, entry by entry, long texts as a diff; of secrets and of the environment only that they change."""
    body = "<p>\n  Hi {{ contact.attributes.first_name }},\n  how are you?\n  Your plan renews soon.\n</p>\n"
    before = ENDPOINT + "method: POST\nquery: {page: 1, gone: x}\nbody: " + json.dumps(body)
    write(endpoints_crm=before)
    run("blocks", "apply")
    after = before.replace("seconds: 2", "seconds: 3").replace("page: 1, gone", "page: true, tag")
    write(endpoints_crm=after.replace("how are you?", "are you well?"))
    monkeypatch.setenv("FILES_KEY", OTHER_KEY)
    monkeypatch.setenv("FILES_API", "https://elsewhere.example.com")

    code, printed = run("blocks", "plan")
    lines = [line.strip() for line in printed.splitlines()]
    assert 1 == code
    assert {
        "Workspace acme: changed",
        "variables.api: changed from {env: FILES_API}",
        "ApiEndpoint crm: changed",
        "timeout_seconds: 2.0 → 3.0",
        "query.page: 1 → true",
        'query.gone: removed "x"',
        'query.tag: added "x"',
        "-  how are you?",
        "+  are you well?",
        "secrets.api_key: changed",
        "0 new, 2 changed, 0 unchanged.",
    } <= set(lines)
    assert "<p>" not in printed, "of a long text only what is around the change"
    changes = {change["field"]: change for change in planned(run)["crm"]["changes"]}
    assert {"field": "secrets.api_key", "change": "changed"} == changes["secrets.api_key"]

    run("blocks", "apply")
    assert 0 == run("blocks", "plan")[0]
    assert {"api_key": OTHER_KEY} == document().data["secrets"]


def test_a_secret_is_masked_in_other_fields(run: Run) -> None:
    """Somebody may have pasted the secret into a header, where the UI shows it; a plan does not."""
    write()
    run("blocks", "apply")
    pasted = ApiEndpoint.load("crm")
    assert isinstance(pasted, ApiEndpoint)
    pasted.headers = {"Authorization": f"Bearer {KEY}"}
    pasted.save("crm", overwrite=True)
    _, printed = run("blocks", "plan")
    assert '"Bearer ********" → "Bearer {{ secrets.api_key }}"' in printed


def test_a_secret_of_several_lines_is_masked_in_a_diff(run: Run) -> None:
    """Not one line of it shows, and nothing that a terminal would obey."""
    write()
    run("blocks", "apply")
    pem = "-----BEGIN-----\nfirst-half-of-it\nsecond-half-of-it\n-----END-----"
    pasted = ApiEndpoint(url="https://a.example/", method="POST", body=f"a\n\x1b[31m{pem}\nb" + "c" * 60)
    pasted.headers, pasted.secrets = {"Content-Type": "text/plain"}, SecretDict({"api_key": pem})
    pasted.save("crm", overwrite=True)
    _, printed = run("blocks", "plan")
    assert "half-of-it" not in printed
    assert "\x1b" not in printed
    assert "body:" in printed


def test_what_no_file_defines_is_left(run: Run) -> None:
    """Saved Blocks of the three kinds are listed, and never deleted."""
    write()
    Audience(path="all.csv").save("everybody")
    code, printed = run("blocks", "apply")
    assert (0, True) == (code, "Not in the files, and left as they are: Audience everybody" in printed)
    assert "all.csv" == document("everybody", Audience).data["path"]


def test_what_a_file_leaves_out_is_the_default(run: Run) -> None:
    """Also where it was an object with entries, or a secret."""
    write()
    run("blocks", "apply")
    write(endpoints_crm="workspace: acme\nurl: https://api.example.com/\n")
    _, printed = run("blocks", "plan")
    assert "secrets.api_key: removed\n" in printed
    assert 'headers.Authorization: removed "Bearer {{ secrets.api_key }}"' in printed
    run("blocks", "apply")
    assert ({}, {}) == (document().data["secrets"], document().data["headers"])
    assert 0 == run("blocks", "plan")[0]


def test_what_cannot_be_used_is_a_change(run: Run) -> None:
    """A saved value that the Block cannot use is shown, and replaced by what the file says."""
    write()
    run("blocks", "apply")
    with get_client(sync_client=True) as client:
        client.update_block_document(document().id, BlockDocumentUpdate(data={"max_attempts": "many"}))
    assert [{"field": "max_attempts", "change": "changed", "old": '"many"', "new": "3"}] == planned(run)[
        "crm"
    ]["changes"]
    run("blocks", "apply")
    assert 0 == run("blocks", "plan")[0]


def test_errors_are_not_planned(run: Run) -> None:
    """A file with errors is named, and the exit code is 2: nothing is known of what would be saved."""
    write(endpoints_crm=ENDPOINT + "method: FETCH\n")
    for command in ("plan", "apply"):
        code, printed = run("blocks", command)
        assert (2, True) == (code, "crm.yaml: method: FETCH is none of" in " ".join(printed.split()))
    assert [] == saved_names()


@pytest.mark.parametrize(
    "secrets",
    [f"{{api_key: {KEY}}}", f'\'{{"api_key": "{KEY}"}}\'', f"[{KEY}]", f"{{api_key: [{{env: {KEY}}}]}}"],
)
def test_a_literal_secret_is_refused(run: Run, secrets: str) -> None:
    """A sentence says what to write instead, without the secret."""
    write(endpoints_crm=ENDPOINT.replace("{api_key: {env: FILES_KEY}}", secrets))
    code, printed = run("blocks", "plan")
    assert (2, True) == (
        code,
        "a secret must not stand in a file. Write {env: NAME}" in " ".join(printed.split()),
    )


def test_a_secret_from_a_secret_block(run: Run) -> None:
    """`{secret: BLOCK}` is read from Prefect, as it is; where there is none, the sentence names file and field."""
    write(endpoints_crm=ENDPOINT.replace("{env: FILES_KEY}", "{secret: crm-key}"))
    code, printed = run("blocks", "apply")
    assert (2, True) == (code, "There is no Secret block named 'crm-key'" in " ".join(printed.split()))
    assert "crm.yaml: secrets.api_key" in " ".join(printed.split())
    for value in (KEY, "0123"):
        secret: Any = Secret(value=SecretStr(value))
        secret.save("crm-key", overwrite=True)
        assert 0 == run("blocks", "apply")[0]
        assert {"api_key": value} == document().data["secrets"]
    before = Path("blocks/endpoints/crm.yaml").read_text()
    run("blocks", "export", "blocks")
    assert before == Path("blocks/endpoints/crm.yaml").read_text()


def test_export(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of what is saved: fields that are not the default, in the Block's order, references in place of secrets."""
    Workspace(variables={"api": "https://api.example.com"}).save("acme")
    ApiEndpoint(
        workspace="acme",
        url="{{ workspace.variables.api }}/customers",
        method="POST",
        body="Hi {{ contact.attributes.first_name }},\nbye\n",
        secrets=SecretDict({"api_key": KEY}),
        headers={"Content-Type": "text/plain", "Authorization": "Bearer {{ secrets.api_key }}"},
        timeout_seconds=5,
    ).save("customer-profile")
    code, printed = run("blocks", "export", "out")
    assert (0, True) == (code, "{env: CUSTOMER_PROFILE_API_KEY}" in printed)
    assert """\
workspace: acme
method: POST
url: '{{ workspace.variables.api }}/customers'
headers:
  Content-Type: text/plain
  Authorization: Bearer {{ secrets.api_key }}
body: |
  Hi {{ contact.attributes.first_name }},
  bye
secrets:
  api_key: {env: CUSTOMER_PROFILE_API_KEY}
timeout_seconds: 5
""" == Path("out/endpoints/customer-profile.yaml").read_text()
    code, printed = run("blocks", "plan", "out")
    assert (2, True) == (code, "CUSTOMER_PROFILE_API_KEY is not set" in " ".join(printed.split()))
    monkeypatch.setenv("CUSTOMER_PROFILE_API_KEY", KEY)
    assert 0 == run("blocks", "plan", "out")[0]
    assert not [path for path in Path("out").rglob("*") if path.is_file() and KEY in path.read_text()]


def test_export_over_files(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that says the same stays as it is, comments included; in one that changes, references stay."""
    write()
    run("blocks", "apply")
    before = {path: path.stat().st_mtime_ns for path in Path("blocks").rglob("*.yaml")}
    _, printed = run("blocks", "export", "blocks")
    assert "0 of the files written" in printed
    assert before == {path: path.stat().st_mtime_ns for path in before}

    with get_client(sync_client=True) as client:
        data = {"timeout_seconds": 4, "secrets": {"api_key": OTHER_KEY, "second": KEY}}
        client.update_block_document(document().id, BlockDocumentUpdate(data=data))
    exported = json.loads(run("blocks", "export", "blocks", "--json")[1])
    assert {"acme": False, "crm": True} == {block["name"]: block["written"] for block in exported}
    text = Path("blocks/endpoints/crm.yaml").read_text()
    assert "  api_key: {env: FILES_KEY}\n  second: {env: CRM_SECOND}\ntimeout_seconds: 4\n" in text
    assert WORKSPACE == Path("blocks/workspaces/acme.yaml").read_text()

    monkeypatch.setenv("FILES_KEY", OTHER_KEY)
    monkeypatch.setenv("CRM_SECOND", KEY)
    assert 0 == run("blocks", "plan")[0]


REVIEWED = """\
# What the shop knows of a contact.
max_attempts: 3  # the default, but said
url: "{{ workspace.variables.api }}/customers/{{ contact.attributes.email }}"  # by e-mail address

# The shop's gateway wants both.
headers:
  X-Plan: 'pro'     # of the sales team
  Authorization: "Bearer {{ secrets.api_key }}"
secrets:
  api_key: {env: FILES_KEY}  # in the vault
# Agreed on with the shop.
timeout_seconds: 2.0
workspace: acme
"""


def test_export_keeps_what_people_wrote(run: Run) -> None:
    """Of a reviewed file only the values that changed change: comments, the order of keys and quotes stay."""
    write(endpoints_crm=REVIEWED)
    run("blocks", "apply")
    with get_client(sync_client=True) as client:
        headers = {"X-Plan": "basic", "Authorization": "Bearer {{ secrets.api_key }}"}
        client.update_block_document(
            document().id, BlockDocumentUpdate(data={"headers": headers, "method": "PUT"})
        )
    run("blocks", "export", "blocks")
    wanted = REVIEWED.replace("'pro'     #", "'basic'   #") + "method: PUT\n"
    assert wanted == Path("blocks/endpoints/crm.yaml").read_text()
    assert 0 == run("blocks", "plan")[0]


def test_export_keeps_the_order_of_json(run: Run) -> None:
    """Also of a file that is JSON, in which there are no comments."""
    write()
    Path("blocks/endpoints/crm.yaml").unlink()
    file = Path("blocks/endpoints/crm.json")
    file.write_text('{"timeout_seconds": 2, "url": "https://a.example/", "workspace": "acme"}')
    run("blocks", "apply")
    with get_client(sync_client=True) as client:
        client.update_block_document(document().id, BlockDocumentUpdate(data={"max_attempts": 5}))
    run("blocks", "export", "blocks")
    assert ["timeout_seconds", "url", "workspace", "max_attempts"] == list(json.loads(file.read_text()))


def test_export_of_a_value_from_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference stays where its variable is not set; where it says something else now, what is saved is written."""
    write()
    run("blocks", "apply")
    monkeypatch.delenv("FILES_API")
    run("blocks", "export", "blocks")
    assert WORKSPACE == Path("blocks/workspaces/acme.yaml").read_text()
    monkeypatch.setenv("FILES_API", "https://elsewhere.example.com")
    run("blocks", "export", "blocks")
    assert "  api: https://api.example.com\n" in Path("blocks/workspaces/acme.yaml").read_text()


def test_export_replaces_a_literal_secret(run: Run) -> None:
    """A secret that somebody wrote into a file is a reference after an export."""
    write()
    run("blocks", "apply")
    Path("blocks/endpoints/crm.yaml").write_text(ENDPOINT.replace("{env: FILES_KEY}", KEY))
    run("blocks", "export", "blocks")
    assert "api_key: {env: CRM_API_KEY}" in Path("blocks/endpoints/crm.yaml").read_text()


def test_export_names_each_secret_once(run: Run) -> None:
    """Two secrets whose names would be the same get two names, since they have two values."""
    for name, key in (("a-b", "c"), ("a", "b-c"), ("3d", "ü")):
        ApiEndpoint(url="https://a.example/", secrets=SecretDict({key: KEY + name})).save(name)
    exported = json.loads(run("blocks", "export", "out", "--json")[1])
    assert {"a": "A_B_C", "a-b": "A_B_C_2", "3d": "_3D__"} == {
        block["name"]: block["secrets"][0]["env"] for block in exported
    }


@pytest.mark.parametrize(
    "secrets", [KEY, [KEY], {"a": [KEY], "b": {"c": KEY}}, {"env": KEY}, {"secret": KEY}], ids=str
)
def test_export_of_what_cannot_be_used(run: Run, secrets: Any) -> None:
    """It is written as it is and said; but what stands for secrets is a reference, whatever it is."""
    write()
    run("blocks", "apply")
    with get_client(sync_client=True) as client:
        data = {"secrets": secrets, "max_attempts": "many", "old_field": KEY}
        client.update_block_document(document().id, BlockDocumentUpdate(data=data))
    _, printed = run("blocks", "export", "out")
    text = Path("out/endpoints/crm.yaml").read_text()
    assert "max_attempts: many\n" in text
    assert "max_attempts: It is text, and must be a number." in printed
    assert KEY not in text
    assert "{env: CRM_" in text


@explored(
    examples=10,
    sample=2,
    rules=settings(suppress_health_check=[HealthCheck.function_scoped_fixture]),
    body=TEXTS.filter(lambda text: "\ud800" not in text),
    variables=st.dictionaries(
        st.sampled_from(["env", "secret", "a", "null", "1"]),
        st.one_of(
            TEXTS, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none()
        )
        | st.dictionaries(st.sampled_from(["env", "b"]), TEXTS, max_size=1)
        | st.lists(TEXTS, max_size=2),
        max_size=3,
    ),
    query=st.dictionaries(
        st.sampled_from(["env", "tag"]), st.sampled_from(["yes", "1e3", " x", 1, 1.0, True]), max_size=2
    ),
)
def test_round_trip(
    run: Run, tmp_path: Path, body: str, variables: dict[str, Any], query: dict[str, Any]
) -> None:
    """What is exported says exactly what is saved, whatever it is: also what looks like a reference."""
    Workspace(variables=variables).save("nasty", overwrite=True)
    Audience(path="all.csv", id_column=body).save("nasty", overwrite=True)
    ApiEndpoint(url="https://a.example/", query=query, secrets=SecretDict({"k": KEY})).save(
        "nasty", overwrite=True
    )
    for folder in (tmp_path / "new", tmp_path / "kept"):
        export_blocks(folder, {})
        plan = plan_blocks(read_definitions(folder, {"NASTY_K": KEY}))
        assert [] == [str(change) for block in plan.blocks for change in block.changes]
        assert ["unchanged"] * 3 == [block.state for block in plan.blocks]
    assert not any(block.written for block in export_blocks(tmp_path / "kept", {}))
    for path in (tmp_path / "new").rglob("*.yaml"):
        path.unlink()


OLD_SCHEMA: dict[str, Any] = {
    "title": "ApiEndpoint",
    "type": "object",
    "properties": {
        "url": {"title": "URL", "type": "string", "default": ""},
        "secrets": {"title": "Secrets", "type": "object", "default": {}},
        "max_attempts": {"title": "Attempts", "type": "integer", "default": 3},
    },
    "secret_fields": ["secrets.*"],
    "block_type_slug": "leadpush-api-endpoint",
    "block_schema_references": {},
}
DATA = {
    "url": "https://a.example/",
    "secrets": {"api_key": KEY},
    "max_attempts": "many",
    "former": {"x": [1, None]},
}


def old_document(name: str, version: str) -> None:
    """A document as another version of the package saved it."""
    ApiEndpoint.register_type_and_schema()
    with get_client(sync_client=True) as client:
        kind = client.read_block_type_by_slug("leadpush-api-endpoint")
        schema = client.create_block_schema(
            BlockSchemaCreate(fields=OLD_SCHEMA, block_type_id=kind.id, capabilities=[], version=version)
        )
        create = BlockDocumentCreate(name=name, data=DATA, block_type_id=kind.id, block_schema_id=schema.id)
        client.create_block_document(create)


def fields_in_form(name: str) -> set[str]:
    schema = document(name).block_schema
    assert schema is not None
    return set(schema.fields["properties"])


def test_migrate(run: Run) -> None:
    """A document of a former version gets the newest form; values, secrets and what cannot be used stay."""
    ApiEndpoint(url="https://b.example/").save("current")
    old_document("old", "0.0.1")
    assert {"url", "secrets", "max_attempts"} == fields_in_form("old")
    code, printed = run("blocks", "migrate", "--json")
    migrated = {block["name"]: block for block in json.loads(printed)}
    assert (0, "current", "re-saved") == (code, migrated["current"]["state"], migrated["old"]["state"])
    assert ["max_attempts: It is text, and must be a number. Give it as a number."] == [
        f"{problem['field']}: {problem['sentence']} {problem['remedy']}"
        for problem in migrated["old"]["problems"]
        if "former" not in problem["field"]
    ]
    assert set(ApiEndpoint.model_fields) == fields_in_form("old")
    assert DATA == document("old").data

    before = document("old").updated
    code, printed = run("blocks", "migrate")
    assert (0, True) == (code, "Nothing to re-save" in printed)
    assert before == document("old").updated


def test_migrate_leaves_what_is_newer(run: Run) -> None:
    """A document that a later version of the package saved is not brought back to an older form."""
    old_document("future", "99.0.0")
    [migrated] = json.loads(run("blocks", "migrate", "--json")[1])
    assert "newer" == migrated["state"]
    assert {"url", "secrets", "max_attempts"} == fields_in_form("future")


def test_enable_and_disable(run: Run) -> None:
    """The switch is all that changes, also of an endpoint with problems; a second time nothing does."""
    old_document("old", "0.0.1")
    code, printed = run("endpoints", "disable", "old")
    assert (0, True) == (code, "old is now disabled" in printed)
    assert {**DATA, "enabled": False} == document("old").data
    before = document("old").updated
    code, printed = run("endpoints", "disable", "old")
    assert (0, True) == (code, "old was disabled already" in printed)
    assert before == document("old").updated
    assert 0 == run("endpoints", "enable", "old")[0]
    assert {**DATA, "enabled": True} == document("old").data
    assert 2 == run("endpoints", "enable", "none")[0]


def test_an_unusable_switch_is_set(run: Run) -> None:
    """What is saved as `enabled` may be anything; after the command it is what was asked for."""
    write()
    run("blocks", "apply")
    for value, command, wanted in (
        ("perhaps", "enable", True),
        ("perhaps", "disable", False),
        ([], "disable", False),
    ):
        with get_client(sync_client=True) as client:
            client.update_block_document(document().id, BlockDocumentUpdate(data={"enabled": value}))
        _, printed = run("endpoints", command, "crm")
        assert "crm is now" in printed
        assert wanted is document().data["enabled"]
    assert {"api_key": KEY} == document().data["secrets"]
