"""Cancel while a campaign works, and go on by Retry."""

from __future__ import annotations

from collections import Counter

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import choose, expect_state, open_artifact, open_run_form, submit_run
from tests.support.campaign_api import CONTACTS, CustomerApi

ANSWERED = 10
AT_ONCE = 16
"""How many requests an endpoint has under way."""


@pytest.mark.usefixtures("blocks")
def test_cancel(page: Page, api: CustomerApi) -> None:
    """The requests stop, the report says so, and a retry fetches what is missing and nothing else.

    The form's audience is not touched: that is the deployment's own.
    """
    api.slow_from = ANSWERED + 1
    mark = api.mark()
    open_run_form(page, "renewal-reminder")
    submit_run(page)
    expect_state(page, "Running")
    api.wait_until_asked(ANSWERED + AT_ONCE, since=mark)
    choose(page, "Cancel")
    expect_state(page, "Cancelled")
    api.wait_until_idle()
    run = page.url
    report = open_artifact(page, "campaign-renewal-reminder-report")
    expect(report.get_by_role("heading", level=1)).to_contain_text("Stopped")
    expect(report.get_by_role("row", name="customer_profile")).to_contain_text(f"{ANSWERED}")

    api.mend()
    mark = api.mark()
    page.goto(run)
    choose(page, "Retry")
    expect_state(page, "Completed")
    assert Counter(range(ANSWERED + 1, CONTACTS + 1)) == api.asked_since(mark)
