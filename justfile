# The recipes of development, in the project's own environment: `uv run just RECIPE`. `.ci/run` calls them too.

set positional-arguments

# What there is
default:
    @just --list --unsorted

# Once, after cloning: all dependencies, compiled, and the checks before each commit
setup:
    uv sync --compile-bytecode
    uv run --no-sync pre-commit install

# The main tests
test *arguments:
    uv run pytest "$@"

# The tests of single parts: seconds
test-unit *arguments:
    uv run pytest tests/unit "$@"

# Each test there is; PostgreSQL comes with the dependencies, Chromium is the machine's
test-all: test test-slow test-browser test-lowest

# PostgreSQL, killed processes, demo and wheel as a user runs them, whole catalogues, the benchmarks' counts
test-slow *arguments:
    uv run pytest -m "(postgres or faults or demo or benchmark or slow) and not browser" "$@"

# Prefect's UI in Chromium
test-browser *arguments:
    LEADPUSH_BROWSER=required uv run pytest -n 0 -m browser "$@"

# On the lowest versions that pyproject.toml allows
test-lowest:
    uv run --isolated --compile-bytecode --resolution lowest-direct --no-dev \
      --with 'pytest>=9' --with 'pytest-asyncio>=1.5' --with 'pytest-timeout>=2.4' --with 'pytest-xdist>=3.8' \
      --with 'psutil>=7' --with 'hypothesis>=6.170' --with 'cloudpickle>=3' --with 'pyarrow>=20' --with 'pyyaml>=6' \
      pytest tests/unit tests/server tests/store tests/security/test_protocol_faults.py tests/security/test_idle_connections.py

# Style, and whether the formatter would change anything
lint:
    uv run ruff check
    uv run ruff format --check

# Types, strict
types:
    uv run mypy

# The layers: imports point one way (the contracts in pyproject.toml)
imports:
    uv run lint-imports --no-logo

# Copy the examples that the demo runs into the package, after a change to them
examples:
    rm -r leadpush_prefect/cli/demo/blocks
    cp -r blocks leadpush_prefect/cli/demo/
    cp flows/renewal_reminder.py leadpush_prefect/cli/demo/

# The benchmarks, a table of ratios (tests/benchmarks/README.md)
bench *arguments:
    uv run python -m tests.benchmarks "$@"
