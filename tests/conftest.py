"""For all tests: a Prefect home of their own, and a Prefect server for those that ask for it."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.one_parser import parse_one_at_a_time

parse_one_at_a_time()

# A busy machine is no reason to fail; a failure prints what repeats it.
settings.register_profile(
    "here", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("here")

pytest_plugins = ["tests.support.databases"]

# Before Prefect is imported: whatever the user is logged into stays as it is, and nothing is reported to anybody.
for _name in [name for name in os.environ if name.startswith("PREFECT_")]:
    del os.environ[_name]
_home = tempfile.TemporaryDirectory(prefix="leadpush-tests-")
os.environ |= {
    "PREFECT_HOME": _home.name,
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_TEST_MODE": "1",
    # Two things that cost a tenth of the tests' time: the whole world's certificates, which each of Prefect's clients
    # reads, and looking at each event for an automation.
    "PREFECT_API_SSL_CERT_FILE": str(Path(__file__).with_name("support") / "localhost.pem"),
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}

# Tests start many processes, and each compiles all of Prefect where none may keep what it has compiled.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker more than there are cores: tests wait for servers and processes, some of their time."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """Prefect's own server on a database of its own, one for all tests of a process."""
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=120),
        temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}),  # else a flow takes a second longer
    ):
        yield
