"""A campaign's times, on the page of its deployment."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.forms import fill_form
from tests.browser.steps import open_deployment
from tests.support.prefect_site import Site
from tests.support.waiting import eventually

AUDIENCE = {"$ref": {"block_document_slug": "leadpush-audience/customers"}}


@pytest.mark.usefixtures("blocks")
def test_schedules(page: Page, site: Site) -> None:
    """A schedule is paused by its switch; another one gets a time and a parameter of its own, and takes
    the deployment's for the others."""
    open_deployment(page, "renewal-reminder")
    page.get_by_role("switch", name="toggle At 09:00 AM").click()
    eventually(lambda: [False] == [each.active for each in site.deployment("renewal-reminder").schedules])

    page.get_by_role("button", name="Schedule", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("tab", name="Cron").click()
    dialog.get_by_role("textbox", name="Value").fill("0 7 2 1 *")
    fill_form(dialog, {"limit": "20"})
    dialog.get_by_role("button", name="Save").click()
    page.get_by_role("switch", name="toggle At 07:00 AM").wait_for()
    [added] = [each for each in site.deployment("renewal-reminder").schedules if each.active]
    assert "0 7 2 1 *" == added.schedule.cron  # type: ignore[union-attr]
    assert {"limit": 20} == added.parameters
    [planned] = eventually(lambda: site.planned("renewal-reminder", added.parameters))
    assert {"limit": 20, "audience": AUDIENCE} == planned.parameters
