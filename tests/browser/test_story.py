"""The whole story through the pages, without JavaScript, in a real browser.

A developer brings land, a measurement comes, a verifier decides, a buyer retires, and everybody can
see and check it. The measurement itself is filed as the flows file it; here it is the example's.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from registry.db import session_scope
from registry.domain.proof import verify_certificate
from registry.queries.monitoring import get_request
from tests.world import square

if TYPE_CHECKING:
    from uuid import UUID

    from playwright.sync_api import FilePayload, Page

    from tests.browser.conftest import Site

BOW_TIE = [[[8.0, 45.0], [8.01, 45.01], [8.01, 45.0], [8.0, 45.01], [8.0, 45.0]]]
PLOTS = """plot_id,lon,lat,date,area_ha,agb_t_per_ha
A,8.001,45.001,2016-03-01,0.05,180
A,8.001,45.001,2018-11-01,0.05,190
"""
BAD_PLOTS = PLOTS + 'B,8.002,45.002,2016-03-01,0.05,"12,5"\nC,208,45.0,1.3.2016,0.05,-4\n'


def file(name: str, text: str) -> FilePayload:
    """Give a file to upload."""
    return {"name": name, "mimeType": "application/octet-stream", "buffer": text.encode()}


def feature(geometry: object) -> str:
    """Write a GeoJSON feature."""
    return json.dumps({"type": "Feature", "properties": {"name": "Slope"}, "geometry": geometry})


def register(page: Page, code: str) -> None:
    """Register a project through its form."""
    page.goto("/projects/new")
    page.get_by_label("Name").fill("Forest above the river")
    page.get_by_label("Code").fill(code)
    page.get_by_label("Country").fill("IT")
    page.get_by_label("What is done on the land").fill("Forest left standing")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("status")).to_contain_text("The project is registered")


def bring_land(page: Page, code: str, geometry: object) -> None:
    """Upload a boundary through its form."""
    page.goto(f"/projects/{code}/boundary")
    page.get_by_label("Boundary file").set_input_files(file("slope.geojson", feature(geometry)))
    page.get_by_role("button", name="Upload and claim the land").click()


def ask(page: Page, code: str, plots: str) -> None:
    """Request monitoring through its form."""
    page.goto(f"/projects/{code}/monitoring")
    page.get_by_label("First day").fill("2016-01-01")
    page.get_by_label("Last day").fill("2016-12-30")
    page.get_by_label("STAC catalogue").fill("data/samples/catalog/catalog.json")
    page.get_by_label("Collection").fill("s2-l2a-romania")
    page.get_by_label("Field plots, CSV").set_input_files(file("plots.csv", plots))
    page.get_by_role("button", name="Request monitoring").click()


def measure(site: Site, code: str) -> UUID:
    """File a report for the project's request, as a worker does."""
    page = site.open()
    page.goto(f"/v1/projects/{code}/monitoring-requests")
    listed = json.loads(page.locator("body").inner_text())
    with session_scope(site.stage.settings) as session:
        request = get_request(session, request_id=listed["items"][0]["id"])
    return site.stage.file(request).id


def decide(page: Page, code: str, choice: str, reasons: str) -> None:
    """Take the project's report from the queue and decide."""
    page.goto("/review")
    page.get_by_role("link", name=code, exact=True).click()
    page.get_by_role("button", name="Take this report").click()
    page.get_by_role("radio", name=choice).check()
    page.get_by_role("textbox", name="Reasons").fill(reasons)
    page.get_by_role("button", name="Decide").click()


def test_polygon_to_certificate_through_the_pages(site: Site) -> None:
    developer = site.sign_in(site.stage.developer)
    register(developer, "IT-ONE")
    bring_land(developer, "IT-ONE", square(8, 45).__geo_interface__)
    expect(developer.get_by_role("heading", level=1)).to_have_text("Boundary stored")
    ask(developer, "IT-ONE", PLOTS)
    expect(developer.get_by_role("status")).to_contain_text("Monitoring is requested")
    measure(site, "IT-ONE")

    verifier = site.sign_in(site.stage.verifier)
    decide(verifier, "IT-ONE", "Approve", "Replayed from the archive: the same digest.")
    expect(verifier.get_by_text("17.000 tCO2e credited")).to_be_visible()

    developer.goto("/holdings")
    developer.get_by_role("link", name="Offer").click()
    developer.get_by_label("Tonnes of CO2e").fill("5")
    developer.get_by_label("Price of a tonne").fill("24.50")
    developer.get_by_role("button", name="Offer").click()
    expect(developer.get_by_role("status")).to_contain_text("on offer")

    certificate = buy_and_retire(site)
    check_certificate(site, certificate)
    check_public_page(site)
    site.witness.look()


def buy_and_retire(site: Site) -> str:
    """Buy two tonnes, retire 1.350 of them; give the address of the certificate."""
    buyer = site.sign_in(site.stage.buyer)
    buyer.goto("/holdings")
    buyer.get_by_label("Add play money").fill("100")
    buyer.get_by_role("button", name="Add").click()
    expect(buyer.get_by_text("100.00 XTS")).to_be_visible()
    buyer.get_by_role("link", name="Market").click()
    buyer.get_by_role("link", name="Buy from this offer").click()
    buyer.get_by_label("Tonnes of CO2e").fill("2")
    buyer.get_by_role("button", name=re.compile("Buy at")).click()
    expect(buyer.get_by_role("status")).to_contain_text("changed hands")
    expect(buyer.get_by_text("51.00 XTS")).to_be_visible()
    buyer.get_by_role("link", name=re.compile("Retire batch")).click()
    buyer.get_by_label("Tonnes of CO2e").fill("1.350")
    buyer.get_by_label("Beneficiary", exact=True).fill("Example Bakery")
    buyer.get_by_label("Purpose").fill("Deliveries of 2020")
    buyer.get_by_label("This cannot be undone").check()
    buyer.get_by_role("button", name="Retire").click()
    expect(buyer.get_by_text("waiting to be sealed")).to_be_visible()
    return buyer.url


def check_certificate(site: Site, address: str) -> None:
    """Look at the certificate as anybody, and prove it without the registry."""
    site.stage.seal()
    anybody = site.open()
    anybody.goto(address)
    expect(anybody.get_by_role("heading", level=1)).to_contain_text("1.350 tCO2e")
    fingerprint = anybody.locator("dd.hash").inner_text()
    anybody.get_by_role("link", name="Certificate with proof, JSON").click()
    document = json.loads(anybody.locator("body").inner_text())
    verdict = verify_certificate(document, key=fingerprint)
    assert verdict.exit_code == 0, verdict.sentence
    assert document["retirement"]["quantity_kg"] == 1350


def check_public_page(site: Site) -> None:
    """Find the whole walk back on the public page: pictures, serials, kind, proof, replay."""
    anybody = site.open()
    anybody.goto("/")
    with anybody.expect_response(re.compile("map.png")) as picture:
        anybody.get_by_role("link", name="Forest above the river").click()
    assert picture.value.status == 200
    expect(anybody.get_by_text("SANDBOX-AMR-IT-IT-ONE-1-20160101-20161230-1-20000")).to_be_visible()
    expect(anybody.get_by_text("Demonstration").first).to_be_visible()
    expect(anybody.get_by_text("Replayed from the archive")).to_be_visible()
    expect(anybody.get_by_role("link", name=re.compile("Proof of leaf")).first).to_be_visible()
    anybody.get_by_text("Evidence, and how to replay it").click()
    expect(anybody.get_by_text("amanar replay evidence")).to_be_visible()


def test_faults_are_told_in_words_and_the_work_goes_on(site: Site) -> None:
    page = site.sign_in(site.stage.developer)
    register(page, "IT-TWO")
    bring_land(page, "IT-TWO", {"type": "Polygon", "coordinates": BOW_TIE})
    expect(page.get_by_role("alert")).to_contain_text("8.005")
    bring_land(page, "IT-TWO", square(8.2, 45).__geo_interface__)
    ask(page, "IT-TWO", BAD_PLOTS)
    expect(page.get_by_role("alert").get_by_role("listitem").first).to_contain_text("line 4")
    expect(page.get_by_label("First day")).to_have_value("2016-01-01")
    ask(page, "IT-TWO", PLOTS)
    expect(page.get_by_text("Waiting for a worker.")).to_be_visible()
    register(page, "IT-THREE")
    bring_land(page, "IT-THREE", square(8.205, 45).__geo_interface__)
    expect(page.get_by_role("alert")).to_contain_text("IT-TWO")
    site.witness.look(
        "400 /projects/IT-TWO/boundary",
        "400 /projects/IT-TWO/monitoring",
        "409 /projects/IT-THREE/boundary",
    )


def test_refusal_is_published_with_its_pictures_and_reasons(site: Site) -> None:
    stage = site.stage
    loss = {"code": "loss-detected", "severity": "blocking", "message": "Lost on 5.73 ha."}
    report = stage.report(stage.land("RO-LOST"), quality=[loss])
    verifier = site.sign_in(stage.verifier)
    decide(verifier, "RO-LOST", "Refuse", "The pixels show harvests in 2019.")
    anybody = site.open()
    anybody.goto("/projects/RO-LOST")
    expect(anybody.get_by_text("Nothing was credited.")).to_be_visible()
    expect(anybody.get_by_text("The pixels show harvests in 2019.")).to_be_visible()
    expect(anybody.get_by_text("Lost on 5.73 ha.").first).to_be_visible()
    pictures = anybody.locator("figure.evidence img")
    assert [one.get_attribute("src") for one in pictures.all()] == [
        f"/v1/reports/{report.id}/files/map.png",
        f"/v1/reports/{report.id}/files/timeseries.png",
    ]
    site.witness.look()
