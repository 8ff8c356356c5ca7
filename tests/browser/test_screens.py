"""Every page can be read at 360, 800 and 1280 pixels, in light and in dark: WCAG AA, no sideways.

The measuring script is tests/browser/look.js; it is tried on a page with planted faults first.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import pytest

from registry.domain.roles import Role

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Site

LOOK = (Path(__file__).parent / "look.js").read_text()
WIDTHS = (360, 800, 1280)
SCHEMES = ("light", "dark")

PUBLIC = (
    "/",
    "/projects/RO-WHOLE",
    "/projects/RO-EMPTY",
    "/market",
    "/batches/{batch}",
    "/retirements/{retirement}",
    "/log",
    "/kinds",
    "/reference",
    "/problems/land-overlap",
    "/sign-in",
)
MEMBERS: dict[Role, tuple[str, ...]] = {
    Role.DEVELOPER: (
        "/projects/new",
        "/projects/RO-EMPTY/boundary",
        "/projects/RO-WHOLE/monitoring",
        "/projects/RO-EMPTY/monitoring",
        "/holdings",
        "/offer?batch={batch}",
    ),
    Role.VERIFIER: ("/review", "/review/{taken}", "/review/{waiting}"),
    Role.BUYER: ("/holdings", "/market", "/market/{listing}", "/retire?batch={batch}"),
}


def look(page: Page, path: str) -> list[str]:
    """Measure a page at every width and in both schemes; give what cannot be read."""
    faults = []
    page.goto(path)
    for scheme in SCHEMES:
        chosen = cast("Literal['light', 'dark']", scheme)
        page.emulate_media(color_scheme=chosen, reduced_motion="reduce")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            found = page.evaluate(LOOK)
            faults += [f"{path} {scheme} {width}: {fault}" for fault in found]
    return faults


def test_measuring_finds_planted_faults(site: Site) -> None:
    page = site.open(scripts=True)
    page.set_content(
        "<body style='background: #fff'><h1>a</h1><h1 id=x>b</h1><h3 id=x>c</h3>"
        "<p style='color: #999'>pale words</p><input name=lost><img src='data:,'>"
        "<div style='width: 9000px'>wide</div><a href=/></a></body>"
    )
    found = " | ".join(page.evaluate(LOOK))
    for fault in (
        "contrast 2.8",
        "wider than the window",
        "not one h1",
        "no language",
        "an id stands twice",
        "no label: lost",
        "no words for",
        "empty",
        "heading 1 then 3",
    ):
        assert fault in found


@pytest.fixture
def ids(site: Site) -> dict[str, str]:
    """Let everything happen once and give the ids that the addresses need."""
    stage = site.stage
    stage.area = stage.land("RO-WHOLE", name="Forest above the river")
    stage.world.project(stage.developer, code="RO-EMPTY")
    batch = stage.mint()
    stage.deposit()
    listing = stage.offer(batch)
    stage.buy(listing)
    retirement = stage.retire(batch)
    stage.seal()
    taken = stage.report(net=40.0)
    stage.take(taken)
    waiting = stage.report(stage.land("RO-WAITS"))
    lost = stage.report(stage.land("RO-LOST"), kind="indicative", agb_t_per_ha=None)
    stage.decide(lost, "opinion")
    return {
        "batch": str(batch.id),
        "listing": str(listing.id),
        "retirement": str(retirement.id),
        "taken": str(taken.id),
        "waiting": str(waiting.id),
    }


def test_every_page_can_be_read(site: Site, ids: dict[str, str]) -> None:
    anybody = site.open(scripts=True)
    faults = [fault for path in PUBLIC for fault in look(anybody, path.format(**ids))]
    stage = site.stage
    people = {
        Role.DEVELOPER: stage.developer,
        Role.VERIFIER: stage.verifier,
        Role.BUYER: stage.buyer,
    }
    for role, person in people.items():
        page = site.sign_in(person, scripts=True)
        faults += [fault for path in MEMBERS[role] for fault in look(page, path.format(**ids))]
    assert not faults, "\n".join(faults)
    site.witness.look()


def test_keyboard_reaches_the_content_first(site: Site) -> None:
    page = site.open(scripts=True)
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    box = page.get_by_text("Skip to the content").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
