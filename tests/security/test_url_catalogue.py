"""Each spelling of the catalogue, by what the process was asked to connect to."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.security.calling import REFUSED, called, sent
from tests.security.url_catalogue import (
    BOUNDED,
    BOUNDED_VARIABLES,
    CATALOGUE,
    HOST_NAMES,
    IMPOSSIBLE,
    IN_THE_PATH,
    LOCATIONS,
    NAMES,
    START,
    UNBOUNDED,
    Group,
)
from tests.security.wiretap import Wiretap
from tests.support.raw_server import RawServer, Request, each, respond

pytestmark = pytest.mark.timeout(60)

groups = pytest.mark.parametrize("group", CATALOGUE.values(), ids=CATALOGUE.keys())


@pytest.fixture(autouse=True)
def names(wire: Wiretap) -> None:
    wire.names.update(NAMES)
    wire.names.update(HOST_NAMES)


def test_many_spellings() -> None:
    """The catalogue has hundreds of spellings, none of them twice."""
    spellings = [url for group in CATALOGUE.values() for url in group.urls]
    assert 750 < len(spellings) == len(set(spellings))


def expected(group: Group, instead: str) -> dict[str, str]:
    """The verdicts of a group where they may be other ones than for an endpoint's URL."""
    return {} if instead == IMPOSSIBLE else {url: instead or verdict for url, verdict in group.urls.items()}


@groups
def test_as_the_url(wire: Wiretap, group: Group) -> None:
    """A spelling written out in the endpoint's URL leads where the catalogue says, and nowhere else."""
    assert group.urls == {url: called(wire, url) for url in group.urls}


@groups
def test_as_a_variable(wire: Wiretap, group: Group) -> None:
    """So does a variable of the workspace that the URL is made of."""
    url = "{{ workspace.variables.api }}"
    assert group.urls == {text: called(wire, url, {}, {"variables": {"api": text}}) for text in group.urls}


@groups
def test_without_templates(wire: Wiretap, group: Group) -> None:
    """So does the transport alone, which relies on nothing that was checked before."""
    verdicts = expected(group, group.transport)
    assert verdicts == {url: sent(wire, url) for url in verdicts}


@groups
def test_as_a_redirect(wire: Wiretap, group: Group) -> None:
    """So does the `Location` of a redirect."""
    verdicts = expected(group, group.location)
    assert verdicts == redirected(wire, verdicts)


def test_as_a_relative_redirect(wire: Wiretap) -> None:
    """So does what only a `Location` can be."""
    assert redirected(wire, LOCATIONS) == LOCATIONS


def redirected(wire: Wiretap, locations: Mapping[str, str]) -> dict[str, str]:
    """Where an endpoint is led that is redirected once."""
    pending: list[str] = []

    def response(_: Request) -> bytes:
        return respond(b"", status=302, headers=[("Location", pending.pop())]) if pending else respond()

    became = {}
    with RawServer(each(response)) as server:
        [address] = NAMES[START]
        wire.ports[address] = server.port
        for location in locations:
            pending[:] = [location]
            url = f"http://{START}/n/x"
            became[location] = called(wire, url, behind=1, follow_redirects=True, reuse_connections=False)
    return became


@pytest.mark.parametrize(("template", "verdicts"), BOUNDED.items(), ids=BOUNDED.keys())
def test_in_a_bounded_host(wire: Wiretap, template: str, verdicts: Mapping[object, str]) -> None:
    """A contact's value leads to none but the hosts that the workspace allows, and to public addresses."""
    workspace = {"allowed_hosts": ["*.bounded.example"], "variables": BOUNDED_VARIABLES}
    assert verdicts == {value: called(wire, template, {"v": value}, workspace) for value in verdicts}


@pytest.mark.parametrize("template", UNBOUNDED)
def test_in_an_unbounded_host(wire: Wiretap, template: str) -> None:
    """Without such a list, a contact's value is in no host."""
    workspace = {"variables": BOUNDED_VARIABLES}
    values = ["good.bounded.example", "127.0.0.1", "80", "x", "host"]
    assert {REFUSED} == {called(wire, template, {"v": value}, workspace) for value in values}


@pytest.mark.parametrize(
    "template",
    [
        "http://api.example/{{ contact.attributes.v }}",
        "http://api.example/{{ contact.attributes.v }}/x",
        "{{ workspace.variables.whole }}/{{ contact.attributes.v }}",
        "{{ workspace.variables.whole }}/a{{ workspace.variables.host }}/{{ contact.attributes.v }}/",
    ],
)
def test_in_the_path(wire: Wiretap, template: str) -> None:
    """A contact's value in the path changes nothing about the host."""
    workspace = {"variables": BOUNDED_VARIABLES | {"whole": "http://api.example"}}
    assert IN_THE_PATH == {value: called(wire, template, {"v": value}, workspace) for value in IN_THE_PATH}


def test_in_the_query(wire: Wiretap) -> None:
    """Nor does one in the query, in either place where that is written."""
    url = "http://api.example?a={{ contact.attributes.v }}"
    values = [value for value in IN_THE_PATH if value is not None]
    query = {"b": "{{ contact.attributes.v }}"}
    assert {"93.184.216.34"} == {called(wire, url, {"v": value}, query=query) for value in values}
