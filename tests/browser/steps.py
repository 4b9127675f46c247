"""What a person does in Prefect's UI (V2), by clicking."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as TooLong

from tests.browser.forms import Value, fill_form

RUN_SECONDS = 60
"""How long a run may take, of which most is its process's start."""

BUSY_SECONDS = 10


def open_block_form(page: Page, kind: str, name: str) -> None:
    """From the list of Blocks to the form of a new one."""
    page.get_by_role("link", name="Blocks", exact=True).first.click()
    page.locator('a[href="/v2/blocks/catalog"]').first.click()
    card = page.locator("[data-slot=card]").filter(has=page.get_by_role("heading", name=kind, exact=True))
    card.get_by_role("link", name="Create").click()
    page.get_by_role("textbox", name="Name", exact=True).fill(name)


def save_block(page: Page) -> None:
    """Save the form, which shows the Block."""
    _press(page.get_by_role("button", name="Save"), page.get_by_text("Paste this snippet"))
    expect(page.get_by_role("button", name="Save")).to_have_count(0)


def create_block(page: Page, kind: str, name: str, values: Mapping[str, Value]) -> None:
    """Create a Block."""
    open_block_form(page, kind, name)
    fill_form(page, values)
    save_block(page)


def edit_block(page: Page, name: str, values: Mapping[str, Value]) -> None:
    """Change some fields of a Block."""
    page.get_by_role("link", name="Blocks", exact=True).first.click()
    page.get_by_role("link", name=name, exact=True).click()
    page.get_by_text("Paste this snippet").wait_for()
    choose(page, "Edit")
    page.get_by_role("button", name="Save").wait_for()
    # Prefect 3.9 shows an empty form, and would save that, where it has shown a form of this kind before.
    page.reload()
    for label in values:
        expect(page.get_by_role("textbox", name=label).first).not_to_have_value("")
    fill_form(page, values)
    save_block(page)


def open_deployment(page: Page, name: str) -> None:
    """From the list of deployments to one of them."""
    page.get_by_role("link", name="Deployments", exact=True).first.click()
    page.get_by_role("link", name=name, exact=True).first.click()
    page.get_by_role("button", name="Run", exact=True).wait_for()


def open_run_form(page: Page, deployment: str) -> None:
    """From the list of deployments to the form of a run with parameters."""
    open_deployment(page, deployment)
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Custom run").click()
    page.get_by_role("button", name="Submit").wait_for()


def submit_run(page: Page) -> None:
    """Submit the form of a run, and open the run's page."""
    name = page.get_by_role("textbox", name="Run Name").input_value()
    note = page.get_by_role("listitem").filter(has_text=f"{name} scheduled")
    _press(page.get_by_role("button", name="Submit"), note)
    note.get_by_role("link", name="View run").click()
    page.wait_for_url("**/runs/flow-run/*")


def expect_state(page: Page, name: str) -> None:
    """Watch a run's page until it shows a state."""
    shown = page.locator("main").get_by_text(name, exact=True).first
    expect(shown).to_be_visible(timeout=RUN_SECONDS * 1000)


def open_artifact(page: Page, key: str, description: str | re.Pattern[str] = "") -> Locator:
    """From a run's page to one of its artifacts.

    Args:
        page: The page.
        key: The artifact's key.
        description: Where a run that was retried has several of the key: what is under it.

    Returns:
        Where it is shown.
    """
    page.get_by_role("tab", name="Artifacts").click()
    cards = page.get_by_role("link").filter(has=page.get_by_role("heading", name=key, exact=True))
    cards.filter(has_text=description).click()
    shown = page.get_by_role("tabpanel", name="Artifact")
    shown.get_by_role("heading").or_(shown.get_by_role("table")).first.wait_for()
    return shown


def switch_ui(page: Page, version: str) -> None:
    """Switch to the other version of the UI in the menu on the left; the one that is left asks why."""
    entry = page.get_by_role("button", name=f"Switch to {version} UI", exact=True)
    entry.click()
    if version == "V1":
        page.get_by_role("button", name="Skip feedback and switch").click()
    entry.wait_for(state="detached")


def choose(page: Page, entry: str) -> None:
    """Choose an entry of the menu of what the page shows; where a dialog asks for it again, confirm."""
    page.get_by_role("button", name="Open menu").first.click()
    page.get_by_role("menuitem", name=entry, exact=True).click()
    if entry in ("Retry", "Cancel"):
        page.get_by_role("alertdialog").get_by_role("button", name=re.compile(f"^{entry}")).last.click()


def _press(button: Locator, shown: Locator) -> None:
    """Click until it does what it should: a server on SQLite may be busy, which the page says in a passing note."""
    for _ in range(3):
        button.click()
        with suppress(TooLong):
            shown.wait_for(timeout=BUSY_SECONDS * 1000)
            return
    shown.wait_for()
