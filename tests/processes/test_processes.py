"""The campaign of flows/ with its batches in other processes: a process pool, and a Dask cluster."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes.conftest import Ask, Start, processes_of, write_audience
from tests.support.demo import demo_script
from tests.support.waiting import eventually

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(240)]

CONTACTS = 6_000  # three batches
MANY = 8_000
UNWRITTEN = 500 + 2 * 64  # of a batch: outcomes, and requests in flight
NOISE = ("Traceback", "Exception ignored", "leaked", "Error", "Warning")


@pytest.fixture(scope="module")
def audiences(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("audiences")
    paths = {count: folder / f"{count}.csv" for count in (CONTACTS, MANY)}
    for count, path in paths.items():
        write_audience(path, count)
    return paths


def outcomes(ask: Ask, run_id: str) -> Counter[tuple[Any, ...]]:
    """All that a run has stored: contact, node, status, code, output."""
    return Counter(
        ask(
            "SELECT contact_id, node, outcome.status, code, output FROM leadpush_outcome outcome "
            "JOIN leadpush_run run USING (run) JOIN leadpush_contact USING (run, number) "
            f"JOIN leadpush_step USING (run, step) WHERE run_id = '{run_id}'"
        )
    )


def stored(ask: Ask, run_id: str) -> int:
    found = ask(
        f"SELECT count(*) FROM leadpush_outcome JOIN leadpush_run run USING (run) WHERE run_id = '{run_id}'"
    )
    return int(found[0][0])


def attempts(ask: Ask, run_id: str) -> int:
    found = ask(
        "SELECT coalesce(sum(attempts), 0) FROM leadpush_outcome JOIN leadpush_run run USING (run) "
        f"WHERE run_id = '{run_id}'"
    )
    return int(found[0][0])


def requests(api: str) -> int:
    """How many the API has counted since the last time."""
    counted: int = httpx.get(f"{api}/_count").json()["total"]
    httpx.post(f"{api}/_reset")
    return counted


def check_ended(process: subprocess.Popen[str], folder: Path, code: int) -> None:
    said = (folder / "stdout").read_text() + (folder / "stderr").read_text()
    assert process.wait(120) == code, said
    eventually(lambda: not processes_of(process))


def check_quiet(folder: Path) -> None:
    said = (folder / "stderr").read_text()
    assert [] == [word for word in NOISE if word in said], said


def expected(count: int) -> Any:
    script = demo_script("make_expected", "--count", str(count))
    return json.loads(subprocess.run(script, check=True, capture_output=True).stdout)


def check_expected(ask: Ask, run_id: str, wanted: Any, *, may_be_unknown: bool = False) -> int:
    """See that all have what they should; of a kill, who was being written to may be unknown: gives how many are."""
    found = outcomes(ask, run_id)
    failed = {contact: code for contact, _, status, code, _ in found if status == 3}
    unknown = {contact for contact, code in failed.items() if code == "outcome_unknown"}
    messages = {
        contact: json.loads(text) for contact, node, _, _, text in found if node == "message" and text
    }
    assert may_be_unknown or not unknown
    assert unknown.isdisjoint(messages)
    for what, all_found in (("failed", failed), ("messages", messages)):
        known = {contact: value for contact, value in wanted[what].items() if contact not in unknown}
        assert known == {contact: value for contact, value in all_found.items() if contact not in unknown}
    return len(unknown)


@pytest.fixture(scope="module")
def wanted() -> Any:
    return expected(CONTACTS)


@pytest.mark.parametrize("runner", ["threads", "processes", "dask"])
def test_the_same_outcomes(
    runner: str, start: Start, ask: Ask, api: str, audiences: dict[int, Path], wanted: Any, tmp_path: Path
) -> None:
    """Those that must be, each contact asked for once, nothing said on stderr, and no process left."""
    requests(api)
    process = start(runner, runner, audiences[CONTACTS])
    check_ended(process, tmp_path, 0)
    check_quiet(tmp_path)
    check_expected(ask, runner, wanted)
    if runner != "threads":
        assert outcomes(ask, "threads") == outcomes(ask, runner)
    assert requests(api) == attempts(ask, runner)
    assert max(outcomes(ask, runner).values()) == 1


def workers(process: subprocess.Popen[str]) -> list[Any]:
    return [child for child in processes_of(process) if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.parametrize("whom", ["worker", "flow"])
def test_kill(
    whom: str, start: Start, ask: Ask, api: str, audiences: dict[int, Path], tmp_path: Path
) -> None:
    """kill -9 leaves no process; the next execution loses nothing, and repeats at most what was unwritten."""
    requests(api)
    process = start("processes", whom, audiences[MANY])
    eventually(lambda: _has(ask, whom, 2_000))
    if whom == "flow":
        process.kill()
        check_ended(process, tmp_path, -signal.SIGKILL)
    else:
        workers(process)[0].kill()
        check_ended(process, tmp_path, 1)
        assert [("stopped", "")] == ask(f"SELECT status, holder FROM leadpush_run WHERE run_id = '{whom}'")
    before = stored(ask, whom)
    assert before < 3 * MANY
    again = start("processes", whom, audiences[MANY])
    check_ended(again, tmp_path, 0)
    unknown = check_expected(ask, whom, expected(MANY), may_be_unknown=True)
    repeats = requests(api) - attempts(ask, whom)
    print(f"{before} outcomes stored at the kill, {repeats} requests repeated, {unknown} unknown")
    assert -unknown <= repeats <= 2 * UNWRITTEN


def test_kill_of_a_dask_worker(
    start: Start, ask: Ask, api: str, audiences: dict[int, Path], tmp_path: Path
) -> None:
    """Dask gives its batch to another worker, and the run completes."""
    requests(api)
    process = start("dask", "dask-worker", audiences[MANY])
    eventually(lambda: _has(ask, "dask-worker", 2_000))
    workers(process)[0].kill()
    check_ended(process, tmp_path, 0)
    unknown = check_expected(ask, "dask-worker", expected(MANY), may_be_unknown=True)
    assert -unknown <= requests(api) - attempts(ask, "dask-worker") <= 2 * UNWRITTEN


@pytest.mark.parametrize("runner", ["processes", "dask"])
def test_sigterm(
    runner: str, start: Start, ask: Ask, api: str, audiences: dict[int, Path], tmp_path: Path
) -> None:
    """All processes end, the run is stopped and free, and no request is sent any more."""
    run_id = f"ended-{runner}"
    process = start(runner, run_id, audiences[MANY])
    eventually(lambda: _has(ask, run_id, 2_000))
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    eventually(lambda: not processes_of(process))
    assert process.returncode != 0
    assert ask(f"SELECT status, holder FROM leadpush_run WHERE run_id = '{run_id}'") == [("stopped", "")]
    assert stored(ask, run_id) < 3 * MANY
    requests(api)
    assert requests(api) == 0


def test_cancel(
    start: Start,
    ask: Ask,
    api: str,
    environment: dict[str, str],
    audiences: dict[int, Path],
    tmp_path: Path,
) -> None:
    """Cancel in Prefect's UI: all processes of the run end, and no request is sent any more; it goes on later."""
    requests(api)
    served = start(script="on_processes.py")
    with httpx.Client(base_url=environment["PREFECT_API_URL"]) as prefect:
        name = "/deployments/name/on-processes/served"
        deployment = eventually(lambda: (found := prefect.get(name)).is_success and found.json()["id"])
        parameters = {"audience": str(audiences[MANY]), "run_id": "cancelled"}
        run = prefect.post(
            f"/deployments/{deployment}/create_flow_run", json={"parameters": parameters}
        ).json()
        eventually(lambda: _has(ask, "cancelled", 2_000))
        cancelling = {"state": {"type": "CANCELLING"}, "force": True}
        prefect.post(f"/flow_runs/{run['id']}/set_state", json=cancelling).raise_for_status()
        eventually(lambda: prefect.get(f"/flow_runs/{run['id']}").json()["state"]["type"] == "CANCELLED")
    eventually(lambda: not [left for left in processes_of(served) if not _serves(left.cmdline())])
    assert [("stopped", "")] == ask("SELECT status, holder FROM leadpush_run WHERE run_id = 'cancelled'")
    assert stored(ask, "cancelled") < 3 * MANY
    sent = requests(api)
    assert requests(api) == 0
    again = start("processes", "cancelled", audiences[MANY])
    check_ended(again, tmp_path, 0)
    unknown = check_expected(ask, "cancelled", expected(MANY), may_be_unknown=True)
    assert -unknown <= sent + requests(api) - attempts(ask, "cancelled") <= 2 * UNWRITTEN


def _serves(command: list[str]) -> bool:
    """Whether a process is the one that serves the deployment, or the helper that Python gives it."""
    return command[1].endswith("on_processes.py") or "resource_tracker" in command[-1]


def _has(ask: Ask, run_id: str, count: int) -> bool:
    return (
        bool(ask("SELECT 1 FROM pg_tables WHERE tablename = 'leadpush_outcome'"))
        and stored(ask, run_id) >= count
    )
