"""The demo's API is a judge: it must itself be right about what arrived, and about how often it was asked."""

from __future__ import annotations

import ast
import csv
import io
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import jinja2
import pytest
import yaml

from tests.support.demo import API_KEY, DEMO, demo_script

ROOT = Path(__file__).parents[2]
KEY = {"Authorization": f"Bearer {API_KEY}"}
CONTACTS = {
    row["id"]: row
    for row in csv.DictReader(io.StringIO((DEMO / "audience.csv").read_bytes().decode(), newline=""))
}
EXPECTED = json.loads((DEMO / "expected.json").read_text("utf-8"))


def start_api() -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(demo_script("api", "--port", "0"), stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, process.stdout.readline().strip()


def stop_api(process: subprocess.Popen[str], signal_number: int = signal.SIGTERM) -> int:
    process.send_signal(signal_number)
    status = process.wait(10)
    assert process.stdout
    process.stdout.close()
    return status


@pytest.fixture(scope="module")
def running_api() -> Iterator[str]:
    process, url = start_api()
    yield url
    stop_api(process)


@pytest.fixture
def api(running_api: str) -> Iterator[httpx.Client]:
    """A client of the API, which counts from zero."""
    with httpx.Client(base_url=running_api, headers=KEY, trust_env=False) as client:
        client.post("/_reset")
        yield client


def profile_path(email: str) -> str:
    return f"/v1/customers/{quote(email, safe='')}/profile"


def profile_of(api: httpx.Client, contact_id: str) -> dict[str, Any]:
    """A profile with its numbers' digits kept."""
    response = api.get(profile_path(CONTACTS[contact_id]["email"]))
    assert response.status_code == 200
    profile: dict[str, Any] = json.loads(response.text, parse_float=Decimal)
    return profile


def offers_path(contact_id: str, customer: dict[str, Any]) -> str:
    locale = CONTACTS[contact_id]["locale"]
    segment = quote(customer["customer_id"], safe="")
    return f"/v1/customers/{segment}/offers?plan={customer['plan']}&locale={locale}"


def offers_body(contact_id: str, customer: dict[str, Any], **changed: str) -> str:
    """The right body as JSON text; `changed` holds the JSON text of what shall be wrong."""
    fields = {
        "name": json.dumps(CONTACTS[contact_id]["first_name"]),
        "points": str(customer["loyalty"]["points"]),
        "tags": json.dumps(customer["tags"]),
        "channel": '"email"',
    }
    return "{" + ",".join(f'"{name}":{text}' for name, text in {**fields, **changed}.items()) + "}"


def send_slow(api: httpx.Client) -> socket.socket:
    """Ask for the slow profile and wait until the API has counted it."""
    connection = socket.create_connection((api.base_url.host, api.base_url.port or 80))
    head = f"GET {profile_path('slow@example.com')} HTTP/1.1\r\nAuthorization: {KEY['Authorization']}\r\n\r\n"
    connection.sendall(head.encode())
    while "slow" not in api.get("/_count").json()["profile"]:
        pass
    return connection


class KeysOnly(jinja2.Environment):
    """As in the product, `.items` is a key and no method."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)


def message_template() -> jinja2.Template:
    """The flow's MESSAGE, read without importing the flow."""
    tree = ast.parse((ROOT / "flows/renewal_reminder.py").read_text("utf-8"))
    values = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MESSAGE"
    ]
    return KeysOnly().from_string(ast.literal_eval(values[0]))


def output_of(script: str) -> bytes:
    return subprocess.run(demo_script(script), capture_output=True, check=True).stdout


def test_profile_echoes_the_decoded_email(api: httpx.Client) -> None:
    """What was percent-encoded arrives as one segment, character for character."""
    for email in ("ana+vip/2026@example.com", "50%25off#é?x=1&y@example.com"):
        assert api.get(profile_path(email)).json()["email"] == email


def test_profile_keeps_trailing_zeros(api: httpx.Client) -> None:
    """A number is written with its digits, which a float would lose."""
    text = api.get(profile_path("digits@example.com")).text
    assert '"points":12345678901234567890.10,' in text


def test_profile_needs_the_key(api: httpx.Client) -> None:
    """No key and a wrong key are both refused."""
    for wrong in ("", "Bearer demo-key"):
        response = api.get(profile_path("user000001@example.com"), headers={"Authorization": wrong})
        assert response.status_code == 401


def test_profile_wants_the_raw_target_encoded(api: httpx.Client) -> None:
    """An unencoded slash is another route, a broken escape is a bad request, an unknown email nobody."""
    url = str(api.base_url).rstrip("/")
    assert api.get(f"{url}/v1/customers/ana+vip/2026@example.com/profile").status_code == 404
    assert api.get(f"{url}/v1/customers/%FF/profile").status_code == 400
    assert api.get(profile_path("user1@example.com")).status_code == 404
    assert api.get("/_count").json()["other"] == {"404": 1}


def test_awkward_profiles(api: httpx.Client) -> None:
    """Not found, always broken, and not JSON."""
    assert api.get(profile_path("gone@example.com")).status_code == 404
    assert api.get(profile_path("broken@example.com")).status_code == 500
    html = api.get(profile_path("html@example.com"))
    assert (html.status_code, html.text[0]) == (200, "<")


@pytest.mark.parametrize("contact_id", [i for i in CONTACTS if i in EXPECTED["messages"]][:480:20])
def test_offers_take_what_is_known(api: httpx.Client, contact_id: str) -> None:
    """The right name, points and tags are accepted for any contact."""
    customer = profile_of(api, contact_id)
    body = offers_body(contact_id, customer)
    assert api.post(offers_path(contact_id, customer), content=body).status_code == 200


def test_awkward_contacts_get_offers_and_the_expected_message(api: httpx.Client) -> None:
    """Each contact that is awkward but fine goes through every step, to the message of expected.json."""
    awkward = [i for i, row in CONTACTS.items() if i in EXPECTED["messages"] and "user" not in row["email"]]
    assert len(awkward) == 13
    for contact_id in awkward:
        customer = profile_of(api, contact_id)
        assert customer["plan"] == "pro"
        body = offers_body(contact_id, customer)
        response = api.post(offers_path(contact_id, customer), content=body)
        assert response.status_code == 200, response.text
        workflow = {
            "customer_profile": customer,
            "offer": json.loads(response.text, parse_float=Decimal),
        }
        message = message_template().render(contact={"attributes": CONTACTS[contact_id]}, workflow=workflow)
        assert message == EXPECTED["messages"][contact_id]


def test_message_without_offer(api: httpx.Client) -> None:
    """A contact on another plan has a message without a gap where the offer would be."""
    customer = profile_of(api, "u000004")
    contact = {"attributes": CONTACTS["u000004"]}
    message = message_template().render(contact=contact, workflow={"customer_profile": customer})
    assert customer["plan"] == "free"
    assert message == EXPECTED["messages"]["u000004"]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("name", '"Conan The O\'Brien"'),
        ("points", '"12345678901234567890.10"'),
        ("points", "12345678901234567890.1"),
        ("points", "null"),
        ("tags", '"[]"'),
        ("tags", '["nobody has this"]'),
        ("channel", '"sms"'),
        ("more", "1"),
    ],
)
def test_offers_refuse_what_is_not_known(api: httpx.Client, field: str, text: str) -> None:
    """A digit, a type or a character that got lost is a 400 that names the field."""
    contact_id = "u000077"
    customer = profile_of(api, contact_id)
    response = api.post(
        offers_path(contact_id, customer), content=offers_body(contact_id, customer, **{field: text})
    )
    assert response.status_code == 400
    assert response.json()["error"].startswith(f"{field}: ")


def test_offers_refuse_another_customer_plan_or_locale(api: httpx.Client) -> None:
    """The path and the query are verified too."""
    customer = profile_of(api, "u000042")
    assert customer["customer_id"] == "c/42 ü?"
    body = offers_body("u000042", customer)
    path = offers_path("u000042", customer)
    wrong_paths = [
        path.replace("%2F", "/"),
        path.replace("c%2F42%20%C3%BC%3F", "c-000043"),
        path.replace("pro", "free"),
        path.replace("de-AT", "de-DE"),
        path + "&more=1",
    ]
    assert [api.post(wrong, content=body).status_code for wrong in wrong_paths] == [404, 400, 400, 400, 400]
    assert api.post(path, content="not JSON").status_code == 400
    assert api.post(path, content=body).status_code == 200


def test_counts_by_route_and_status(api: httpx.Client) -> None:
    """Requests are counted by what was answered; asking for the count is not."""
    for email in ("user000001@example.com", "user000002@example.com", "gone@example.com"):
        api.get(profile_path(email))
    assert api.get("/_count").json() == {
        "profile": {"200": 2, "404": 1},
        "offers": {},
        "other": {},
        "total": 3,
    }
    api.post("/_reset")
    assert api.get("/_count").json()["total"] == 0


def test_slow_profile_holds_up_nobody(api: httpx.Client) -> None:
    """It is counted when it arrives, and others are answered meanwhile."""
    with send_slow(api) as connection:
        assert api.get(profile_path("user000001@example.com")).status_code == 200
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
    assert api.get("/_count").json()["profile"] == {"slow": 1, "200": 1}


def test_two_requests_at_once_and_one_in_pieces(api: httpx.Client) -> None:
    """The hand-made HTTP finds where requests begin and end."""
    request = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection((api.base_url.host, api.base_url.port or 80), timeout=5) as connection:
        connection.sendall(request + request + request[:20])
        connection.sendall(request[20:-4] + b"\r\nConnection: close\r\n\r\n")
        with connection.makefile("rb") as file:
            assert file.read().count(b"HTTP/1.1 404 Not Found\r\n") == 3


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_api_ends_cleanly(signal_number: int) -> None:
    """A signal ends it at once with status 0, even while a response is due."""
    process, url = start_api()
    with httpx.Client(base_url=url, trust_env=False) as client, send_slow(client):
        assert stop_api(process, signal_number) == 0


def test_committed_files_are_what_their_makers_make() -> None:
    """audience.csv and expected.json are generated, never edited."""
    assert output_of("contacts") == (DEMO / "audience.csv").read_bytes()
    assert output_of("make_expected") == (DEMO / "expected.json").read_bytes()


def test_expected_is_worked_out_without_the_product() -> None:
    """make_expected.py imports nothing of the product but its own two files, so that its agreement means something."""
    program = (
        "import sys, leadpush_prefect.cli; before = {*sys.modules}; import leadpush_prefect.cli.demo.make_expected; "
        "assert 'jinja2' not in sys.modules; "
        "print(*sorted(name for name in {*sys.modules} - before if name.startswith('leadpush_prefect')))"
    )
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = [f"leadpush_prefect.cli.demo.{name}" for name in ("contacts", "customers", "make_expected")]
    assert names == printed.split()


def test_the_demo_runs_the_repositorys_examples() -> None:
    """What the package brings is what blocks/ and flows/ hold, byte for byte: `just examples` makes it so."""
    examples = {path.relative_to(ROOT): path for path in (ROOT / "blocks").rglob("*.yaml")}
    brought = {path.relative_to(DEMO): path for path in (DEMO / "blocks").rglob("*.yaml")}
    assert examples.keys() == brought.keys()
    for name, path in examples.items():
        assert path.read_bytes() == brought[name].read_bytes(), name
    campaign = Path("renewal_reminder.py")
    assert (ROOT / "flows" / campaign).read_bytes() == (DEMO / campaign).read_bytes()


def test_blocks_are_yaml_mappings_without_a_name() -> None:
    """The file's name is the Block's name."""
    files = sorted((ROOT / "blocks").glob("*/*.yaml"))
    documents = {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in files}
    assert {"acme", "customer-profile", "pro-offers"} <= documents.keys()
    assert all("name" not in document for document in documents.values())
