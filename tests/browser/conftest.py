"""A page in Chromium that shows Prefect's UI, and nothing of the internet."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect, sync_playwright

from tests.support.campaign_api import KEY, CustomerApi, audience_csv
from tests.support.prefect_site import REPOSITORY, Site, running_site

LOGO = "https://raw.githubusercontent.com/leadpush/leadpush-prefect/main/docs/logo.png"
NO_NOTES = "[data-sonner-toaster] { display: none }"
HEIGHT = "Math.max(...[...document.querySelectorAll('html, main')].map(each => each.scrollHeight))"
SIZE = {"width": 1280, "height": 900}
SECONDS = 20
"""How long a person waits for what a click should show."""

Shot = Callable[..., None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test here is marked, and has the time that several runs take."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, headless. Where there is none the tests are skipped, unless LEADPUSH_BROWSER=required."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        missing = "There is no Chromium here: apt-get install chromium"
        (pytest.fail if os.environ.get("LEADPUSH_BROWSER") == "required" else pytest.skip)(missing)
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"] if is_root else [])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def _api() -> Iterator[CustomerApi]:
    with CustomerApi() as api:
        yield api


@pytest.fixture
def api(_api: CustomerApi) -> CustomerApi:
    """The campaigns' API, mended and fast until the test says otherwise."""
    _api.mend()
    return _api


@pytest.fixture(scope="session")
def _site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("prefect")
    (home / "customers.csv").write_text(audience_csv())
    with running_site(home) as site:
        yield site


@pytest.fixture
def site(_site: Site) -> Site:
    """Prefect with the deployments, and without a Block."""
    _site.delete_blocks()
    return _site


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A browser's tab that shows the dashboard. What the UI logged as an error is printed when a test fails."""
    context = browser.new_context(viewport=SIZE, color_scheme="light")  # type: ignore[arg-type]
    context.set_default_timeout(SECONDS * 1000)
    expect.set_options(timeout=SECONDS * 1000)
    context.route("**/*", lambda route: _response(route, site.url))
    page = context.new_page()
    page.on("console", lambda said: print(f"{page.url}: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: print(f"{page.url}: {error}"))
    page.goto(site.url)
    yield page
    context.close()


def _response(route: Route, url: str) -> None:
    """Prefect's own answers, the Blocks' logo, and nothing else: the UI would ask others for theirs."""
    if route.request.url.startswith(f"{url}/"):
        route.continue_()
    elif route.request.url == LOGO:
        route.fulfill(path=REPOSITORY / "docs" / "logo.png")
    else:
        route.fulfill(status=204)  # a refusal would fill the console


@pytest.fixture
def shot(page: Page, tmp_path: Path) -> Shot:
    """Takes a picture of the whole page, or of a part: for docs/guide.md, where LEADPUSH_SCREENSHOTS=1."""
    folder = REPOSITORY / "docs" / "images" if os.environ.get("LEADPUSH_SCREENSHOTS") == "1" else tmp_path

    def shot(name: str, part: Locator | None = None) -> None:
        # In a window of the page's height: in a smaller one, the side bar would hang somewhere in the picture.
        for _ in range(3):  # some of the page comes late
            height = page.evaluate(HEIGHT)
            page.set_viewport_size({"width": SIZE["width"], "height": max(height, SIZE["height"])})
        (part or page).screenshot(path=folder / f"{name}.png", animations="disabled", style=NO_NOTES)
        page.set_viewport_size({"width": SIZE["width"], "height": SIZE["height"]})

    return shot


@pytest.fixture
def blocks(site: Site, api: CustomerApi) -> None:
    """What the campaign takes: a workspace, two endpoints and an audience, saved by somebody else."""
    url, headers = "{{ workspace.variables.api }}", {"Authorization": "Bearer {{ secrets.api_key }}"}
    profile = f"{url}/customers/{{{{ contact.attributes.email }}}}/profile"
    offers = f"{url}/customers/{{{{ workflow.customer_profile.customer_id }}}}/offers"
    endpoint = {"workspace": "acme", "headers": headers, "secrets": {"api_key": KEY}, "timeout_seconds": 30}
    site.save_block(
        "leadpush-workspace", "acme", variables={"api": api.url}, allowed_networks=["127.0.0.0/8"]
    )
    site.save_block("leadpush-api-endpoint", "customer-profile", url=profile, **endpoint)
    site.save_block("leadpush-api-endpoint", "pro-offers", method="POST", url=offers, **endpoint)
    site.save_block("leadpush-audience", "customers", path="customers.csv")
