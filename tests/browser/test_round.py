"""One whole round, as docs/guide.md tells it: configure, test, run, read the report, mend, retry."""

from __future__ import annotations

import re
from collections import Counter

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Shot
from tests.browser.forms import fill_form, pick_block
from tests.browser.steps import (
    choose,
    create_block,
    edit_block,
    expect_state,
    open_artifact,
    open_block_form,
    open_run_form,
    save_block,
    submit_run,
)
from tests.support.campaign_api import KEY, CustomerApi
from tests.support.prefect_site import Site

URL = "{{ workspace.variables.api }}/customers/{{ contact.attributes.email }}/profile"
HEADERS = '{"Authorization": "Bearer {{ secrets.api_key }}"}'
SECRETS = f'{{"api_key": "{KEY}"}}'
FAILING = {4: 404, 9: 404, 12: 503, 14: 404, 17: 503}


def test_round(page: Page, site: Site, api: CustomerApi, shot: Shot) -> None:
    """A person gets from nothing to a campaign that has served everybody, and sees no secret on the way."""
    create_workspace(page, api, shot)
    create_endpoints(page, shot)
    create_audience(page, shot)

    open_run_form(page, "test-api-endpoint")
    pick_block(page, "endpoint", "customer-profile")
    shot("test-form")
    submit_run(page)
    expect_state(page, "template_missing")
    report = open_artifact(page, "endpoint-test-customer-profile")
    expect(report).to_contain_text("workspace.variables.apis")
    expect(report).to_contain_text("the nearest name is workspace.variables.api")
    expect(report).to_contain_text("(in url)")
    assert not api.asked_since()

    before = site.stored("leadpush-api-endpoint", "customer-profile")
    edit_block(page, "customer-profile", {"URL": URL})
    assert KEY not in page.content()
    assert before | {"url": URL} == site.stored("leadpush-api-endpoint", "customer-profile")
    assert {"api_key": KEY} == before["secrets"]

    open_run_form(page, "test-api-endpoint")
    pick_block(page, "endpoint", "customer-profile")
    submit_run(page)
    expect_state(page, "OK")
    report = open_artifact(page, "endpoint-test-customer-profile")
    expect(report).to_contain_text("HTTP 200 with JSON")
    expect(report).to_contain_text("Authorization: Bearer ********")
    expect(report).to_contain_text('"plan": "basic"')
    assert KEY not in page.content()
    shot("test-report")

    run_campaign(page, api, shot)
    api.mend()
    mark = api.mark()
    choose(page, "Retry")
    expect_state(page, "Completed")
    assert Counter(dict.fromkeys(FAILING, 1)) == api.asked_since(mark)
    page.reload()  # the list of artifacts is the one of before
    report = open_artifact(page, "campaign-renewal-reminder-report", re.compile("Completed$"))
    expect(report).to_contain_text("20 to the end")

    open_run_form(page, "api-endpoints")
    submit_run(page)
    expect_state(page, "Completed")
    overview = open_artifact(page, "api-endpoints")
    expect(overview.get_by_role("row", name="customer-profile")).to_contain_text("OK")
    assert KEY not in page.content()
    shot("api-endpoints")


def create_workspace(page: Page, api: CustomerApi, shot: Shot) -> None:
    """The picture shows an address as a person would have it."""
    open_block_form(page, "Leadpush Workspace", "acme")
    fill_form(
        page,
        {
            "Variables": '{"api": "https://api.example.com"}',
            "Sample contact": '{"id": "7", "email": "customer07@example.com", "first_name": "Ana", "locale": "en-GB"}',
        },
    )
    shot("workspace-form")
    fill_form(page, {"Variables": f'{{"api": "{api.url}"}}', "Allowed networks": ["127.0.0.0/8"]})
    save_block(page)


def create_endpoints(page: Page, shot: Shot) -> None:
    """One of them with a slip in its URL, which the form takes."""
    open_block_form(page, "Leadpush API Endpoint", "customer-profile")
    fill_form(
        page, {"Workspace": "acme", "URL": URL, "Headers": HEADERS, "Secrets": '{"api_key": "s3cr3t-k3y"}'}
    )
    shot("endpoint-form")
    fill_form(page, {"URL": URL.replace(".api ", ".apis "), "Secrets": SECRETS, "Attempts": "2"})
    save_block(page)
    offers = {
        "Workspace": "acme",
        "Method": "POST",
        "URL": "{{ workspace.variables.api }}/customers/{{ workflow.customer_profile.customer_id }}/offers",
        "Headers": HEADERS,
        "Secrets": SECRETS,
    }
    create_block(page, "Leadpush API Endpoint", "pro-offers", offers)
    assert KEY not in page.content()


def create_audience(page: Page, shot: Shot) -> None:
    """The form says first who may be asked, before it asks where the contacts are."""
    open_block_form(page, "Leadpush Audience", "customers")
    expect(page.get_by_text("says which contacts may be asked")).to_be_visible()
    fill_form(page, {"File": "customers.csv"})
    shot("audience-form")
    save_block(page)


def run_campaign(page: Page, api: CustomerApi, shot: Shot) -> None:
    """Of the first 20 contacts five cannot be served; the report and the table say why. Ends on the run's page."""
    api.failing = dict(FAILING)
    mark = api.mark()
    open_run_form(page, "renewal-reminder")
    pick_block(page, "audience", "customers")
    fill_form(page, {"limit": "20"})
    shot("campaign-form")
    submit_run(page)
    expect_state(page, "Completed with failures")
    assert set(range(1, 21)) == set(api.asked_since(mark))
    run = page.url

    report = open_artifact(page, "campaign-renewal-reminder-report")
    expect(report).to_contain_text("20 contacts: 15 to the end, 5 stopped by a failure")
    expect(report.get_by_role("row", name="3 http_status_404 customer_profile")).to_be_visible()
    expect(report.get_by_role("row", name="2 http_status_503 customer_profile")).to_be_visible()
    expect(report.get_by_role("listitem").filter(has_text="http_status_404")).to_contain_text(
        "http_status_503: Read the response's beginning"
    )
    expect(report.locator("code").get_by_text("leadpush runs show RUN --contact ID")).to_be_visible()
    picture = report.locator("svg[id^=mermaid]")
    expect(picture).to_contain_text("audience: 20")
    shot("report", report)
    assert_within_panel(page)

    page.goto(run)
    failures = open_artifact(page, "campaign-renewal-reminder-failures")
    assert_not_cut_off(failures)
    expect(failures.get_by_role("row")).to_have_count(1 + len(FAILING))
    expect(failures.get_by_role("row", name="c12")).to_contain_text("http_status_503")
    shot("failures")
    page.goto(run)


def assert_not_cut_off(shown: Locator) -> None:
    """The table is not wider than its place, where it would have to be moved to be read."""
    assert shown.get_by_role("table").evaluate(
        "table => table.scrollWidth <= table.parentElement.clientWidth"
    )


def assert_within_panel(page: Page) -> None:
    """No table of the page is laid over the panel beside it."""
    panel = page.get_by_role("complementary").bounding_box()
    assert panel
    for table in page.get_by_role("tabpanel").get_by_role("table").all():
        box = table.bounding_box()
        assert box
        assert box["x"] + box["width"] <= panel["x"]
