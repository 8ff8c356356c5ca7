"""A real server and a real Chromium: pages are tried as people see them.

The browser may reach 127.0.0.1 and nothing else; whatever it asked for, said on its console or got
as an error is kept, and each test looks at it at its end.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.sync_api import Page, sync_playwright

from api.main import create_app
from tests.api.stage import PASSWORD, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Response

    from registry.domain.roles import Actor
    from registry.settings import Settings

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
START_SECONDS = 10.0


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start the distribution's Chromium once a file.

    Not once a session: as long as Playwright runs, no other test of this process may start an
    event loop.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Witness:
    """What a browser did beside what the test asked of it."""

    address: str
    console: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Keep what this page says, asks for and gets."""
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.on("response", self._got)

    def _said(self, message: ConsoleMessage) -> None:
        if "the server responded with a status of 4" not in message.text:
            self.console.append(message.text)

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and f"http://{parts.netloc}" != self.address:
            self.elsewhere.append(url)

    def _got(self, response: Response) -> None:
        if response.status >= 400:
            self.errors.append(f"{response.status} {urlsplit(response.url).path}")

    def look(self, *expected: str) -> None:
        """Compare: nothing on the console, nothing from elsewhere, only the expected refusals."""
        assert self.console == []
        assert self.elsewhere == []
        assert self.errors == list(expected)


@dataclass(frozen=True)
class Site:
    """A served registry with people who can sign in."""

    address: str
    stage: Stage
    browser: Browser
    witness: Witness

    def open(self, *, scripts: bool = False) -> Page:
        """Open a fresh window: no cookies, and no JavaScript unless told."""
        context = self.browser.new_context(
            base_url=self.address,
            java_script_enabled=scripts,
            viewport={"width": 1280, "height": 900},
        )
        context.set_default_timeout(10_000)
        page = context.new_page()
        self.witness.watch(page)
        return page

    def sign_in(self, actor: Actor, *, scripts: bool = False) -> Page:
        """Open a window and sign in as a person."""
        page = self.open(scripts=scripts)
        page.goto("/sign-in")
        page.get_by_label("Email").fill(self.stage.email(actor))
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        return page


@pytest.fixture
def site(settings: Settings, chromium: Browser) -> Iterator[Site]:
    """Serve an application of this test's own on a free port."""
    config = uvicorn.Config(create_app(settings), host="127.0.0.1", port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + START_SECONDS
    while not server.started:
        assert time.monotonic() < until, "the server did not start"
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    yield Site(address, Stage(settings, passwords=True), chromium, Witness(address))
    for context in chromium.contexts:
        context.close()
    server.should_exit = True
    thread.join(START_SECONDS)
