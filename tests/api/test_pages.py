"""The pages' forms: what is refused goes back with the fault in words and undoes what it began."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from registry.domain.ids import new_id
from tests.api.conftest import Caller, make_client
from tests.api.stage import Stage
from tests.world import square

if TYPE_CHECKING:
    from collections.abc import Iterator

    from httpx2 import Response
    from starlette.testclient import TestClient

    from registry.domain.roles import Actor
    from registry.settings import Settings

HIDDEN = re.compile(r'name="(csrf|command_id|evidence_digest)" value="([^"]+)"')
BOW_TIE = {
    "type": "Polygon",
    "coordinates": [[[8.0, 45.0], [8.01, 45.01], [8.01, 45.0], [8.0, 45.01], [8.0, 45.0]]],
}
BAD_PLOTS = (
    b"plot_id,lon,lat,date,area_ha,agb_t_per_ha\n"
    b'A,22.1,45.2,2016-03-01,0.05,"12,5"\n'
    b"B,220,45.2,1.3.2016,0.05,-4\n"
)


class Browser:
    """A signed-in browser: fills in forms as they are on the page."""

    def __init__(self, stage: Stage, client: TestClient) -> None:
        self.stage = stage
        self.client = client

    def as_(self, actor: Actor) -> Browser:
        """Be this person from now on."""
        seals: Any = self.client.app.state.seals  # type: ignore[attr-defined]
        self.client.cookies.clear()
        self.client.cookies.set("amanar_visit", seals.sealed(seals.new_visit(actor.user_id)))
        return self

    def get(self, path: str) -> Response:
        """Open a page."""
        return self.client.get(path)

    def send(self, path: str, *, form: str | None = None, **data: Any) -> Response:
        """Send the form of the page `form` (the same path, unless told) to `path`."""
        files = {name: value for name, value in data.items() if isinstance(value, tuple)}
        texts = {name: value for name, value in data.items() if not isinstance(value, tuple)}
        hidden = dict(HIDDEN.findall(self.get(form or path).text))
        return self.client.post(path, data={**hidden, **texts}, files=files or None)


@pytest.fixture
def browser(settings: Settings) -> Iterator[Browser]:
    """Give a browser on a stage of its own."""
    with make_client(settings) as client:
        yield Browser(Stage(settings), client)


NEW_PROJECT = {
    "name": "Forest above the river",
    "code": "RO-PAGE",
    "country": "RO",
    "activity": "Left standing",
    "description": "",
}


def test_land_and_monitoring_from_the_first_form_to_the_queue(browser: Browser) -> None:
    me = browser.as_(browser.stage.developer)
    made = me.send("/projects/new", **NEW_PROJECT)
    assert made.headers["location"] == "/projects/RO-PAGE?done=project"
    assert "is registered" in me.get("/projects/RO-PAGE?done=project").text
    feature = {
        "type": "Feature",
        "properties": {"name": "North slope"},
        "geometry": square(22.5, 46.5).__geo_interface__,
    }
    stored = me.send(
        "/projects/RO-PAGE/boundary", file=("slope.geojson", json.dumps(feature).encode())
    )
    assert stored.status_code == 201
    assert "North slope" in stored.text
    assert "None were needed" in stored.text
    area = me.get("/v1/projects/RO-PAGE/areas").json()["items"][0]
    asked = me.send(
        "/projects/RO-PAGE/monitoring",
        area_id=area["id"],
        start="2016-01-01",
        end="2018-12-31",
        catalog="data/samples/catalog/catalog.json",
        collection="s2-l2a-romania",
        sensor="auto",
        season="",
    )
    assert asked.headers["location"] == "/projects/RO-PAGE?done=request"
    page = me.get("/projects/RO-PAGE?done=request").text
    assert "Waiting for a worker." in page
    assert "2016-01-01 to 2018-12-31" in page


def test_request_is_withdrawn_by_its_developer_alone(browser: Browser) -> None:
    request = browser.stage.request(browser.stage.land("RO-BACK"))
    path = f"/projects/RO-BACK/requests/{request.id}/cancellation"
    stranger = browser.as_(browser.stage.world.developer())
    assert "Withdraw" not in stranger.get("/projects/RO-BACK").text
    assert stranger.send(path, form="/projects/new").status_code == 403
    me = browser.as_(browser.stage.developer)
    done = me.send(path, form="/projects/RO-BACK")
    assert done.headers["location"] == "/projects/RO-BACK?done=cancelled#requests"
    assert "Cancelled" in me.get("/projects/RO-BACK").text


def test_project_form_goes_back_as_it_was_filled_in(browser: Browser) -> None:
    me = browser.as_(browser.stage.developer)
    answer = me.send("/projects/new", **{**NEW_PROJECT, "code": "lower case", "country": "XX1"})
    assert answer.status_code == 422
    assert 'value="Forest above the river"' in answer.text
    assert answer.text.count('aria-invalid="true"') == 2
    assert me.get("/v1/projects").json()["items"] == []


def test_project_code_that_is_taken_is_told(browser: Browser) -> None:
    me = browser.as_(browser.stage.developer)
    me.send("/projects/new", **NEW_PROJECT)
    answer = me.send("/projects/new", **NEW_PROJECT)
    assert answer.status_code == 409
    assert "RO-PAGE exists already" in answer.text


def test_form_sent_twice_is_done_once(browser: Browser) -> None:
    me = browser.as_(browser.stage.developer)
    command_id = str(new_id())
    answers = [me.send("/projects/new", **NEW_PROJECT, command_id=command_id) for _ in range(2)]
    assert [one.status_code for one in answers] == [303, 303]
    assert len(me.get("/v1/projects").json()["items"]) == 1


def test_boundary_with_a_fault_goes_back_with_its_place(browser: Browser) -> None:
    browser.stage.world.project(browser.stage.developer, code="RO-BOW")
    me = browser.as_(browser.stage.developer)
    feature = {"type": "Feature", "properties": {}, "geometry": BOW_TIE}
    answer = me.send(
        "/projects/RO-BOW/boundary", file=("bow.geojson", json.dumps(feature).encode())
    )
    assert answer.status_code == 400
    assert "bow.geojson" in answer.text
    assert "8.005" in answer.text
    assert me.send("/projects/RO-BOW/boundary").status_code == 400
    assert me.get("/v1/projects/RO-BOW/areas").json()["items"] == []


def test_every_bad_row_of_the_plots_stands_on_the_page_and_nothing_is_queued(
    browser: Browser,
) -> None:
    area = browser.stage.land("RO-ROWS")
    me = browser.as_(browser.stage.developer)
    answer = me.send(
        "/projects/RO-ROWS/monitoring",
        area_id=str(area.id),
        start="2016-01-01",
        end="2018-12-31",
        catalog="c.json",
        collection="s2",
        sensor="auto",
        plots=("plots.csv", BAD_PLOTS),
    )
    assert answer.status_code == 400
    assert "faults in the rows of the file" in answer.text
    assert answer.text.count("<li>line ") >= 3
    assert 'value="2016-01-01"' in answer.text
    assert me.get("/v1/projects/RO-ROWS/monitoring-requests").json()["items"] == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not json", "no JSON"),
        (b"[1]", "no JSON object"),
        (b'{"buffer_percent": 2}', "buffer_percent"),
        (b"[" * 100_000, "no JSON"),
        (b"\xff\xfe", "no JSON"),
    ],
)
def test_fault_in_the_project_file_is_told_on_the_page(
    browser: Browser, content: bytes, words: str
) -> None:
    area = browser.stage.land("RO-FILE")
    answer = browser.as_(browser.stage.developer).send(
        "/projects/RO-FILE/monitoring",
        area_id=str(area.id),
        start="2016-01-01",
        end="2018-12-31",
        catalog="c.json",
        collection="s2",
        sensor="auto",
        parameters_file=("project.json", content),
    )
    assert answer.status_code == 400
    assert words in answer.text


def test_next_period_is_suggested_from_the_day_after(browser: Browser) -> None:
    browser.stage.mint()
    code = browser.get("/v1/projects").json()["items"][0]["code"]
    page = browser.as_(browser.stage.developer).get(f"/projects/{code}/monitoring").text
    assert 'name="start" type="date" value="2016-12-31"' in page


def test_review_is_taken_and_decided_and_shown(browser: Browser) -> None:
    report = browser.stage.report()
    me = browser.as_(browser.stage.verifier)
    page = f"/review/{report.id}"
    assert str(report.id) in me.get("/review").text
    assert me.send(f"{page}/take", form=page).headers["location"] == f"{page}?done=taken"
    unsaid = me.send(f"{page}/decision", form=page, decision="approve", reasons=" ")
    assert unsaid.status_code == 422
    assert "must not be blank" in unsaid.text
    done = me.send(f"{page}/decision", form=page, decision="approve", reasons="Replayed it.")
    assert done.status_code == 303
    shown = me.get(done.headers["location"].partition("#")[0]).text
    assert "17.000 tCO2e credited" in shown
    assert "Replayed it." in shown
    assert "SANDBOX-AMR-RO-" in shown
    assert "Decided" in me.get(page).text


def test_refusal_is_shown_with_its_pictures_and_reasons(browser: Browser) -> None:
    report = browser.stage.report(
        quality=[{"code": "loss-detected", "severity": "blocking", "message": "Lost on 5.73 ha."}]
    )
    browser.stage.decide(report, "refuse")
    code = browser.get(f"/v1/reports/{report.id}").json()["project_code"]
    page = browser.get(f"/projects/{code}").text
    assert "Refused" in page
    assert "Looked at it all." in page
    assert "Lost on 5.73 ha." in page
    assert f'src="/v1/reports/{report.id}/files/map.png"' in page
    assert f'src="/v1/reports/{report.id}/files/timeseries.png"' in page
    assert "Nothing has been minted." in page


def test_verifier_of_the_own_organisation_sees_no_form(browser: Browser) -> None:
    report = browser.stage.report()
    own = browser.stage.world.person(
        *browser.stage.verifier.roles, organisation_id=browser.stage.developer.organisation()
    )
    page = browser.as_(own).get(f"/review/{report.id}").text
    assert "Not yours to decide" in page
    assert 'name="decision"' not in page


def test_indicative_report_can_only_be_given_an_opinion(browser: Browser) -> None:
    report = browser.stage.report(kind="indicative", agb_t_per_ha=None, agb_change_t=None)
    me = browser.as_(browser.stage.verifier)
    page = f"/review/{report.id}"
    me.send(f"{page}/take", form=page)
    html = me.get(page).text
    assert 'value="opinion"' in html
    assert 'value="approve"' not in html
    assert "nothing is claimed" in html


def test_buying_and_retiring_leads_to_the_certificate(browser: Browser) -> None:
    stage = browser.stage
    listing = stage.offer(stage.mint())
    me = browser.as_(stage.buyer)
    assert me.send("/holdings/deposit", form="/holdings", amount="500").status_code == 303
    page = f"/market/{listing.id}"
    too_much = me.send(page, tonnes="5.001")
    assert too_much.status_code == 409
    assert "5001 kg were asked for" in too_much.text
    assert me.send(page, tonnes="two").status_code == 400
    assert me.send(page, tonnes="2").headers["location"] == "/holdings?done=bought"
    use = {"tonnes": "1.35", "beneficiary": "Bakery", "purpose": "Deliveries", "country": "DE"}
    form = f"/retire?batch={listing.batch_id}"
    unsure = me.send(form, **use)
    assert unsure.status_code == 400
    assert "cannot be undone" in unsure.text
    done = me.send(form, **use, sure="yes")
    certificate = done.headers["location"]
    assert "waiting to be sealed" in me.get(certificate).text
    stage.seal()
    sealed = me.get(certificate).text
    assert "1.350" in sealed
    assert "verify-proof" in sealed
    pdf = me.get(f"/v1{certificate}/certificate.pdf")
    assert pdf.headers["content-type"] == "application/pdf"
    assert pdf.content.startswith(b"%PDF")


def test_offer_is_made_and_taken_back(browser: Browser) -> None:
    stage = browser.stage
    batch = stage.mint()
    me = browser.as_(stage.developer)
    made = me.send(f"/offer?batch={batch.id}", tonnes="4", price="24.5")
    assert made.headers["location"] == "/holdings?done=listed"
    listing = me.get("/v1/listings").json()["items"][0]
    assert listing["price_per_t"]["text"] == "24.50 XTS"
    back = me.send(f"/offers/{listing['id']}/withdrawal", form="/holdings")
    assert back.status_code == 303
    assert me.get("/v1/listings").json()["items"] == []
    again = me.send(f"/offers/{listing['id']}/withdrawal", form="/holdings")
    assert again.status_code in (303, 409, 403)
    assert Caller(browser.client).get("/v1/invariants").json()["holds"] is True
