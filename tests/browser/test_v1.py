"""Prefect's former UI (V1), which a browser can choose: the Blocks' forms open there, and lose nothing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from leadpush_prefect import ApiEndpoint
from tests.browser.steps import create_block, switch_ui
from tests.support.campaign_api import KEY
from tests.support.prefect_site import Site

FIELDS = {
    "leadpush-workspace": ["UUID", "Variables", "Sample contact", "Allowed networks", "Database"],
    "leadpush-api-endpoint": ["Workspace", "Method", "URL", "Headers", "Secrets", "Attempts"],
    "leadpush-audience": [
        "File",
        "Database",
        "SQL query",
        "Id column",
        "Subscribed column",
        "Unsubscribed column",
    ],
}


@pytest.mark.usefixtures("blocks")
def test_v1(page: Page, site: Site) -> None:
    """An endpoint that was saved in the other UI is edited; its secret and all else stay as they were."""
    values = {
        "Workspace": "acme",
        "URL": "{{ workspace.variables.api }}/offers",
        "Headers": '{"Authorization": "Bearer {{ secrets.api_key }}"}',
        "Query": '{"tag": ["a", "b"], "plan": "{{ workflow.customer_profile.plan }}"}',
        "Secrets": f'{{"api_key": "{KEY}"}}',
    }
    create_block(page, "Leadpush API Endpoint", "offers", values)
    before = site.stored("leadpush-api-endpoint", "offers")
    block = page.url.replace("/v2/", "/")
    switch_ui(page, "V1")
    page.goto(site.url)
    page.wait_for_url(f"{site.url}/dashboard*")  # where this browser begins from now on

    for kind, labels in FIELDS.items():
        page.goto(f"{site.url}/blocks/catalog/{kind}/create")
        for label in labels:
            expect(page.locator("label").get_by_text(label).first).to_be_visible()

    page.goto(f"{block}/edit")
    field = page.locator(".p-label").filter(has=page.locator("label").get_by_text("URL", exact=True))
    field.locator("textarea").fill("{{ workspace.variables.api }}/offers/new")
    page.get_by_role("button", name="Save").click()
    page.wait_for_url(block)
    expect(page.get_by_text("/offers/new")).to_be_visible()
    assert KEY not in page.content()
    assert {"api_key": KEY} == before["secrets"]
    changed = before | {"url": "{{ workspace.variables.api }}/offers/new"}
    stored = site.stored("leadpush-api-endpoint", "offers")  # without what is as by default
    assert ApiEndpoint(**changed).config() == ApiEndpoint(**stored).config()

    switch_ui(page, "V2")
    page.goto(site.url)
    page.wait_for_url(f"{site.url}/v2/*")
