"""No quantity leaves without its kind, its environment and its methodology's status.

The rule is tried on every answer and every page of a stage on which everything has happened, not
on a list of fields: what is added later is tried too.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from registry.domain import claims

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.conftest import Scene

READS = (
    "/v1",
    "/v1/projects",
    "/v1/projects/{code}",
    "/v1/projects/{code}/areas",
    "/v1/projects/{code}/reports",
    "/v1/projects/{code}/monitoring-requests",
    "/v1/projects/{code}/batches",
    "/v1/areas/{area}/boundary",
    "/v1/reports/{waiting}",
    "/v1/reports/{waiting}/estimate",
    "/v1/reports/{waiting}/files",
    "/v1/monitoring-requests/{queued}",
    "/v1/batches/{batch}",
    "/v1/batches/{batch}/blocks",
    "/v1/listings",
    "/v1/listings/{listing}",
    "/v1/purchases",
    "/v1/balances",
    "/v1/retirements",
    "/v1/retirements/{retirement}",
    "/v1/retirements/{retirement}/certificate",
    "/v1/log/checkpoint",
    "/v1/log/events",
    "/v1/log/proof?action=ledger:credits:retire&subject=retirement:{retirement}",
    "/v1/invariants",
    "/health",
    "/ready",
)

PAGES = (
    "/",
    "/projects/{code}",
    "/projects/{refused_code}",
    "/market",
    "/batches/{batch}",
    "/retirements/{retirement}",
    "/log",
    "/kinds",
    "/reference",
    "/sign-in",
    "/nothing-here",
)


def fill(scene: Scene, pattern: str) -> str:
    """Fill in the ids of the scene."""
    assert scene.stage.area is not None
    report = scene.public.get(f"/v1/reports/{scene.waiting.id}").json()
    refused = scene.public.get(f"/v1/reports/{scene.refused.id}").json()
    return pattern.format(
        code=report["project_code"],
        refused_code=refused["project_code"],
        area=scene.stage.area.id,
        waiting=scene.waiting.id,
        queued=scene.queued.id,
        batch=scene.batch.id,
        listing=scene.listing.id,
        retirement=scene.retirement.id,
    )


def quantities(value: Any, claim: Any = None) -> Iterator[tuple[dict[str, Any], Any]]:
    """Give every quantity in an answer with the claim that stands nearest above it."""
    if isinstance(value, dict):
        claim = value.get("claim", claim)
        if isinstance(value.get("batch"), dict):
            claim = value["batch"].get("claim", claim)
        if "kg" in value:
            yield value, claim
        for inner in value.values():
            yield from quantities(inner, claim)
    elif isinstance(value, list):
        for inner in value:
            yield from quantities(inner, claim)


@pytest.mark.parametrize("pattern", READS)
def test_every_answer_says_the_environment(scene: Scene, pattern: str) -> None:
    answer = scene.buyer.get(fill(scene, pattern))
    assert answer.status_code == 200
    assert answer.json()["environment"] == "sandbox"
    assert answer.headers["amanar-environment"] == "sandbox"


@pytest.mark.parametrize("pattern", READS)
def test_every_quantity_has_kind_and_methodology_status(scene: Scene, pattern: str) -> None:
    for quantity, claim in quantities(scene.buyer.get(fill(scene, pattern)).json()):
        assert quantity["unit"] == "kg CO2e"
        assert float(quantity["tonnes"]) * 1000 == pytest.approx(quantity["kg"])
        assert claim is not None, quantity
        assert claim["kind"] == "demonstration"
        assert claim["methodology"]["conformity"] == "not-assessed"
        expected = claims.statement_for(
            kind="demonstration", environment="sandbox", methodology=claim["methodology"]
        )
        assert claim["sentences"] == list(expected)


def test_the_walk_really_finds_quantities(scene: Scene) -> None:
    paths = ("/v1/projects", "/v1/balances", "/v1/listings", "/v1/retirements", "/v1/purchases")
    for path in (*paths, f"/v1/batches/{scene.batch.id}/blocks"):
        assert list(quantities(scene.buyer.get(path).json())), path


class Tree(HTMLParser):
    """Collects, for every text, the texts of the nearest part of the page around it."""

    PARTS = ("article", "section", "form", "aside", "figure", "main")
    VOID = ("meta", "link", "img", "input", "br", "path", "line", "circle", "rect", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[list[str]] = [[]]
        self.depth: list[str] = []
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a part."""
        del attrs
        if tag in self.PARTS:
            self.open.append([])

    def handle_endtag(self, tag: str) -> None:
        """Close a part and keep what stood in it."""
        if tag in self.PARTS:
            self.parts.append(" ".join(self.open.pop()))

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self.open[-1].append(data.strip())


AMOUNT = re.compile(r"\d[\d\u202f]*\.\d{3}\b")


def parts_with_amounts(html: str) -> list[str]:
    """Give the parts of a page in which tonnes are named."""
    tree = Tree()
    tree.feed(html)
    return [part for part in tree.parts if "CO2e" in part and AMOUNT.search(part)]


@pytest.mark.parametrize("pattern", PAGES)
def test_every_page_says_that_it_is_a_sandbox(scene: Scene, pattern: str) -> None:
    answer = scene.public.get(fill(scene, pattern))
    assert answer.status_code == (404 if "nothing" in pattern else 200)
    assert claims.SANDBOX in answer.text


@pytest.mark.parametrize("pattern", PAGES)
def test_every_part_of_a_page_with_tonnes_says_their_kind(scene: Scene, pattern: str) -> None:
    page = scene.public.get(fill(scene, pattern)).text
    for part in parts_with_amounts(page):
        assert "Demonstration" in part or "demonstration" in part, part[:400]


@pytest.mark.parametrize(
    ("pattern", "role"),
    [
        ("/holdings", "buyer"),
        ("/holdings", "developer"),
        ("/market", "buyer"),
        ("/market/{listing}", "buyer"),
        ("/retire?batch={batch}", "buyer"),
        ("/offer?batch={batch}", "developer"),
        ("/review", "verifier"),
        ("/review/{waiting}", "verifier"),
    ],
)
def test_pages_for_members_say_kind_and_methodology_status(
    scene: Scene, pattern: str, role: str
) -> None:
    client = scene.public.client
    visit = client.app.state.seals.new_visit(getattr(scene.stage, role).user_id)  # type: ignore[attr-defined]
    cookie = client.app.state.seals.sealed(visit)  # type: ignore[attr-defined]
    answer = client.get(fill(scene, pattern), headers={"Cookie": f"amanar_visit={cookie}"})
    assert answer.status_code == 200
    page = answer.text
    assert claims.SANDBOX in page
    assert parts_with_amounts(page)
    for part in parts_with_amounts(page):
        assert "Demonstration" in part or "demonstration" in part, part[:400]
    assert "conformity not assessed" in page


@pytest.mark.parametrize(
    "pattern", ["/projects/{code}", "/market", "/batches/{batch}", "/retirements/{retirement}"]
)
def test_public_pages_with_tonnes_say_the_methodology_status(scene: Scene, pattern: str) -> None:
    page = scene.public.get(fill(scene, pattern)).text
    assert "Methodology stock-difference, conformity not assessed." in page


def test_nothing_promises_what_must_not_be_said(scene: Scene) -> None:
    for pattern in PAGES:
        page = scene.public.get(fill(scene, pattern)).text.lower()
        for word in ("carbon neutral", "net zero", " vcu", "offset your", "compliant"):
            assert word not in page, (pattern, word)
