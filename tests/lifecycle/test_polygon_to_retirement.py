"""The whole story in one file: a polygon goes in, a retired credit with its proof comes out.

Read this first. Everybody acts as they would: over HTTP, with a token, a command id of their own
and files they have; the worker is the command `amanar work`, the buyer's auditor the command
`amanar verify-proof`. The imagery is real, the plots are illustrative, the units worth nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from api.main import create_app
from registry.domain.ids import new_id
from registry.domain.roles import Role, system_actor
from registry.jobs import seal_now
from registry.services import accounts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmodel import Session

    from registry.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "data" / "samples" / "projects"
SUMMER = "06-01/08-31"
OPERATOR = ("operator@registry.example", "correct horse battery staple")


@dataclass(frozen=True)
class Person:
    """Somebody with a token at the API."""

    http: TestClient
    token: str | None = None

    def get(self, path: str) -> dict[str, Any]:
        answer = self.http.get(path, headers=self._headers())
        assert answer.is_success, answer.text
        return self._checked(answer.json())

    def post(self, path: str, body: Any = None, **files: Any) -> dict[str, Any]:
        answer = self.try_to_post(path, body, **files)
        assert answer.is_success, answer.text
        return self._checked(answer.json())

    def try_to_post(self, path: str, body: Any = None, **files: Any) -> Any:
        headers = self._headers() | {"Command-Id": str(uuid4())}
        return self.http.post(path, json=body, files=files or None, headers=headers)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    @staticmethod
    def _checked(answer: dict[str, Any]) -> dict[str, Any]:
        assert answer["environment"] == "sandbox"
        return answer


@pytest.fixture
def public(settings: Settings) -> Iterator[Person]:
    """Give somebody without an account."""
    with TestClient(create_app(settings)) as http:
        yield Person(http)


@pytest.fixture
def operator(public: Person, session: Session) -> Person:
    """Admit the first operator, the only one whom nobody invites."""
    setup = system_actor("setup")
    organisation = accounts.create_organisation(
        session, actor=setup, command_id=new_id(), name="Registry office", country="RO"
    )
    accounts.create_user(
        session,
        actor=setup,
        command_id=new_id(),
        person=accounts.NewPerson(
            organisation_id=organisation.id,
            email=OPERATOR[0],
            name="Operator",
            roles=frozenset({Role.OPERATOR}),
            password=OPERATOR[1],
        ),
    )
    session.commit()
    return sign_in(public, *OPERATOR)


def sign_in(public: Person, email: str, password: str) -> Person:
    answer = public.post("/v1/sign-in", {"email": email, "password": password})
    return Person(public.http, answer["token"])


def admit(operator: Person, public: Person, role: str) -> Person:
    """Admit an organisation and one person in it, who signs in."""
    organisation = operator.post("/v1/organisations", {"name": f"The {role}s", "country": "RO"})
    person = {
        "organisation_id": organisation["id"],
        "email": f"{role}@registry.example",
        "name": f"A {role}",
        "roles": [role],
        "password": f"a long password of the {role}",
    }
    operator.post("/v1/users", person)
    return sign_in(public, person["email"], person["password"])


def amanar(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Type a command, with this registry's settings."""
    return subprocess.run(
        [sys.executable, "amanar.py", *arguments],
        cwd=ROOT,
        env=os.environ | settings.variables(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def monitoring(developer: Person, code: str, project_file: str, **days: str) -> dict[str, Any]:
    """Register a project with its land and plots (once), and write a monitoring request."""
    if not any(one["code"] == code for one in developer.get("/v1/projects")["items"]):
        country = "PE" if code.startswith("PE") else "RO"
        project = {"code": code, "name": code.title(), "country": country, "activity": "forest"}
        developer.post("/v1/projects", project)
        boundary = (SAMPLES / f"{code}.geojson").read_bytes()
        developer.post(f"/v1/projects/{code}/areas", file=(f"{code}.geojson", boundary))
    area = developer.get(f"/v1/projects/{code}/areas")["items"][0]
    plots = (SAMPLES / f"{code}-plots.csv").read_bytes()
    kept = developer.post(f"/v1/projects/{code}/plots", file=(f"{code}-plots.csv", plots))
    parameters = json.loads((SAMPLES / project_file).read_text(encoding="utf-8"))
    for filled_by_the_registry in ("previous_net_tco2e", "previous_buffer_base_tco2e"):
        parameters.pop(filled_by_the_registry, None)
    peru = code.startswith("PE")
    return {
        "area_id": area["id"],
        "catalog": "data/samples/catalog/catalog.json",
        "collection": "landsat-epochs-pucallpa" if peru else "s2-l2a-romania",
        "season": None if peru else SUMMER,
        "parameters": parameters,
        "plots_sha256": kept["sha256"],
        **days,
    }


def report_on(person: Person, request: dict[str, Any]) -> dict[str, Any]:
    done = person.get(f"/v1/monitoring-requests/{request['id']}")
    assert done["state"] == "done", done["failure"]
    return person.get(f"/v1/reports/{done['reports'][0]}")


def decide(verifier: Person, report: dict[str, Any], decision: str, reasons: str) -> dict[str, Any]:
    assert report["id"] in {one["id"] for one in verifier.get("/v1/verification/queue")["items"]}
    verifier.post(f"/v1/reports/{report['id']}/review")
    body = {"decision": decision, "reasons": reasons, "evidence_digest": report["digest"]}
    return verifier.post(f"/v1/reports/{report['id']}/decision", body)


@dataclass(frozen=True)
class Cast:
    """The people of the story, and the registry's settings for the commands that they type."""

    settings: Settings
    public: Person
    developer: Person
    verifier: Person
    buyer: Person


@pytest.fixture
def cast(settings: Settings, public: Person, operator: Person) -> Cast:
    people = (admit(operator, public, role) for role in ("developer", "verifier", "buyer"))
    return Cast(settings, public, *people)


FIRST = {"start": "2016-01-01", "end": "2018-12-31"}
SECOND = {"start": "2019-01-01", "end": "2020-12-31"}
ALL_FIVE = {"start": "2016-01-01", "end": "2020-12-31"}
IN_PERU = {"start": "2010-01-01", "end": "2020-12-31"}


@pytest.mark.slow
@pytest.mark.flow
def test_a_polygon_becomes_a_retired_credit_with_its_proof_and_two_others_are_refused(
    cast: Cast, tmp_path: Path
) -> None:
    # Three developers' hopes: one stand that stood, two that did not.
    asked = {
        code: cast.developer.post(
            "/v1/monitoring-requests", monitoring(cast.developer, code, project_file, **days)
        )
        for code, project_file, days in (
            ("RO-STABLE", "RO-STABLE-1.json", FIRST),
            ("RO-HARVEST", "RO-HARVEST.json", ALL_FIVE),
            ("PE-CONVERTED", "PE-CONVERTED.json", IN_PERU),
        )
    }
    worked = amanar(cast.settings, "work", "--once")
    assert worked.returncode == 0, worked.stderr

    the_pixels_say_no(cast, asked["RO-HARVEST"], between="2018 and 2019")
    the_pixels_say_no(cast, asked["PE-CONVERTED"], between="2010 and 2015")

    report = report_on(cast.developer, asked["RO-STABLE"])
    batches = a_verifier_approves_and_that_mints(cast, report)
    retirement = a_part_is_bought_and_retired(cast, batches[0])
    the_certificate_proves_it_offline(cast, retirement, tmp_path)
    a_second_period_credits_the_increment(cast, report)
    anybody_recomputes_it_from_its_pixels(cast, report, tmp_path / "bundle")
    assert cast.public.get("/v1/invariants")["holds"]


def the_pixels_say_no(cast: Cast, request: dict[str, Any], *, between: str) -> None:
    """What blocks is named with its dates, shown with pictures, and never minted."""
    report = report_on(cast.developer, request)
    blocking = [one for one in report["quality"] if one["severity"] == "blocking"]
    assert [one["code"] for one in blocking] == ["loss-detected"]
    assert between in blocking[0]["message"]
    assert report["removals_tco2e"]["creditable"] == 0
    files = cast.verifier.get(report["files_href"])["items"]
    assert {"map.png", "timeseries.png"} <= {one["name"] for one in files}
    assert decide(cast.verifier, report, "refuse", blocking[0]["message"])["batches"] == []


def a_verifier_approves_and_that_mints(cast: Cast, report: dict[str, Any]) -> list[dict[str, Any]]:
    """Never issuable (the plots are illustrative); a sandbox may mint it, a batch a year."""
    assert report["claim"]["kind"] == "demonstration"
    removals = report["removals_tco2e"]
    minted: list[dict[str, Any]] = decide(
        cast.verifier, report, "approve", "Recomputed; nothing stands against it."
    )["batches"]
    assert [batch["vintage"]["start"][:4] for batch in minted] == ["2016", "2017", "2018"]
    # rules 6: the net is rounded down to a kilogram, once; the buffer up
    assert sum(batch["size"]["kg"] for batch in minted) == int(removals["net"] * 1000)
    buffer_kg = sum(batch["buffer"]["kg"] for batch in minted)
    assert buffer_kg - 1 < removals["buffer"] * 1000 <= buffer_kg
    return minted


def a_part_is_bought_and_retired(cast: Cast, batch: dict[str, Any]) -> dict[str, Any]:
    """5 t are paid for and delivered in one step; 1.350 t are used up; the rest is still there."""
    tradable_kg = batch["size"]["kg"] - batch["buffer"]["kg"]
    offer = {"batch_id": batch["id"], "quantity_kg": tradable_kg, "price_minor_per_t": 2450}
    listing = cast.developer.post("/v1/listings", offer)
    cast.buyer.post("/v1/sandbox/deposits", {"amount_minor": 100_000})
    bought = cast.buyer.post(f"/v1/listings/{listing['id']}/purchases", {"quantity_kg": 5000})
    assert bought["paid"]["minor"] == 12_250  # 5 t at 24.50
    use = {
        "batch_id": batch["id"],
        "quantity_kg": 1350,
        "beneficiary": "A bakery",
        "purpose": "Ovens of 2025",
        "country": "RO",
    }
    retirement = cast.buyer.post("/v1/retirements", use)
    assert retirement["serials"][0].startswith("SANDBOX-AMR-RO-RO-STABLE-1-20160101-20161231-")
    holdings = cast.buyer.get("/v1/balances")["holdings"]
    held = {one["state"]: one["quantity"]["kg"] for one in holdings}
    assert held["active"] == 5000 - 1350
    return retirement


def the_certificate_proves_it_offline(cast: Cast, retirement: dict[str, Any], folder: Path) -> None:
    """With the signer's key it holds; without, it says so; altered, it names what was altered."""
    seal_now(cast.settings)
    certificate = cast.public.get(retirement["certificate_href"])
    signer = cast.public.get("/v1/log/checkpoint")["checkpoint"]["fingerprint"]
    paper = folder / "certificate.json"
    paper.write_text(json.dumps(certificate), encoding="utf-8")
    pinned = amanar(cast.settings, "verify-proof", str(paper), "--key", signer)
    assert pinned.returncode == 0, pinned.stdout + pinned.stderr
    unpinned = amanar(cast.settings, "verify-proof", str(paper))
    assert "not pinned" in unpinned.stdout
    certificate["retirement"]["beneficiary"] = "A brewery"
    paper.write_text(json.dumps(certificate), encoding="utf-8")
    altered = amanar(cast.settings, "verify-proof", str(paper), "--key", signer)
    assert "beneficiary" in altered.stdout
    assert {unpinned.returncode, altered.returncode}.isdisjoint({0, 1, 2})
    assert unpinned.returncode != altered.returncode


def a_second_period_credits_the_increment(cast: Cast, report: dict[str, Any]) -> None:
    """None may overlap or leave a gap; what follows is credited beyond what was credited before."""
    body = monitoring(cast.developer, "RO-STABLE", "RO-STABLE-2.json")
    for days, problem in (
        ({"start": "2018-07-01", "end": "2019-12-31"}, "period-overlap"),
        ({"start": "2019-07-01", "end": "2020-12-31"}, "period-gap"),
    ):
        wrong = cast.developer.try_to_post("/v1/monitoring-requests", body | days)
        assert wrong.status_code == 409
        assert problem in wrong.json()["type"]
    request = cast.developer.post("/v1/monitoring-requests", body | SECOND)
    worked = amanar(cast.settings, "work", "--once")
    assert worked.returncode == 0, worked.stderr
    later = report_on(cast.developer, request)
    before = report["removals_tco2e"]["net"]
    assert later["removals_tco2e"]["previous"] == pytest.approx(before, rel=1e-9)
    batches = decide(cast.verifier, later, "approve", "The increment.")["batches"]
    assert [batch["vintage"]["start"][:4] for batch in batches] == ["2019", "2020"]
    increment_t = later["removals_tco2e"]["net"] - before
    minted_kg = sum(batch["size"]["kg"] for batch in batches)
    assert minted_kg == pytest.approx(increment_t * 1000, abs=1)


def anybody_recomputes_it_from_its_pixels(cast: Cast, report: dict[str, Any], bundle: Path) -> None:
    """The evidence is public; from its archived pixels the same digest comes out."""
    for one in cast.public.get(report["files_href"])["items"]:
        path = bundle / one["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cast.public.http.get(one["href"]).content)
    again = amanar(cast.settings, "replay", str(bundle))
    assert again.returncode == 0, again.stdout + again.stderr
