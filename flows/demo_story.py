"""The story of the demo, step by step over HTTP: each function is one thing that somebody does.

Imports demo_client and registry's domain. Order: the sites, what happened, the people, land and
requests, measuring, deciding, selling, proving.
Plots are illustrative, money is play money; verifying is done by a script in a person's place.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid5

from flows.demo_client import NAMESPACE, StepRefused, Visitor, sign_in
from registry.db import session_scope
from registry.domain import proof
from registry.domain.roles import Role, system_actor
from registry.errors import RegistryError
from registry.private_files import secret_of
from registry.services import accounts
from registry.settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import httpx

    from registry.settings import Settings

SAMPLES = ROOT / "data" / "samples"
CATALOG = "data/samples/catalog/catalog.json"
PREVIOUS = ("previous_net_tco2e", "previous_buffer_base_tco2e")
"""Known to the registry, which fills them in."""

RETIRED_KG = 1350
BOUGHT_KG = 5000
PRICE_MINOR_PER_T = 2450
DEPOSIT_MINOR = 10_000_000
SEAL_WAIT_S = 60.0

PEOPLE = {
    Role.DEVELOPER: ("Demo forest owner", "RO"),
    Role.VERIFIER: ("Demo verification body", "DE"),
    Role.BUYER: ("Demo buyer", "DE"),
    Role.OPERATOR: ("Demo registry operator", "DE"),
}
"""An organisation for each role; they are made up and say so."""


class NotMeasured(RegistryError):
    """The demo cannot go on: {step} was not measured: {reason}"""  # noqa: D400 (fields)


class NotReplayed(RegistryError):
    """The report {report} cannot be approved: recomputed, it differs: {difference}"""  # noqa: D400 (fields)


class CertificateNotSealed(RegistryError):
    """The certificate was not sealed within {waited_s:.0f} s. Run "amanar seal" and try again."""


@dataclass(frozen=True)
class Stay:
    """One area over one period."""

    code: str
    country: str
    collection: str
    start: str
    end: str
    project_file: str
    activity: str
    season: str | None = None
    """`MM-DD/MM-DD`; None: the sensor card's."""

    @property
    def step(self) -> str:
        """Name it among the steps of the story."""
        return f"{self.code} {self.start} to {self.end}"


SUMMER = "06-01/08-31"
FOREST = "Beech forest left to grow"
FIRST = Stay(
    "RO-STABLE", "RO", "s2-l2a-romania", "2016-01-01", "2018-12-31", "RO-STABLE-1.json",
    FOREST, SUMMER,
)  # fmt: skip
SECOND = Stay(
    "RO-STABLE", "RO", "s2-l2a-romania", "2019-01-01", "2020-12-31", "RO-STABLE-2.json",
    FOREST, SUMMER,
)  # fmt: skip
HARVEST = Stay(
    "RO-HARVEST", "RO", "s2-l2a-romania", "2016-01-01", "2020-12-31", "RO-HARVEST.json",
    "Beech forest, claimed to be left standing", SUMMER,
)  # fmt: skip
CONVERTED = Stay(
    "PE-CONVERTED", "PE", "landsat-epochs-pucallpa", "2010-01-01", "2020-12-31",
    "PE-CONVERTED.json", "Rain forest, claimed to be left standing",
)  # fmt: skip

OVERLAPPING = {"start": "2018-07-01", "end": "2019-12-31"}
LEAVING_A_GAP = {"start": "2021-07-01", "end": "2022-12-31"}
"""Asked for after FIRST was approved, and after SECOND it is still a gap."""


@dataclass
class Outcome:
    """What became of one stay."""

    stay: Stay
    report: dict[str, Any]
    decision: str
    batches: list[dict[str, Any]]
    pictures: list[Path] = field(default_factory=list)

    @property
    def minted_kg(self) -> int:
        """Kilograms that were credited, without the buffer."""
        return sum(batch["size"]["kg"] - batch["buffer"]["kg"] for batch in self.batches)


# --- people --------------------------------------------------------------------------------------


def email_of(role: Role) -> str:
    """Give the address by which the demo's person of this role signs in."""
    return f"{role.value}@demo.example"


def password_of(settings: Settings, role: Role) -> str:
    """Give the password of the demo's person: made from this registry's own secret."""
    secret = secret_of(settings).encode()
    return hmac.new(secret, email_of(role).encode(), hashlib.sha256).hexdigest()[:20]


def admit_people(settings: Settings) -> None:
    """Admit the four people of the story, as whoever sets a registry up does it."""
    actor = system_actor("demo")
    with session_scope(settings) as session:
        for role, (name, country) in PEOPLE.items():
            organisation = accounts.create_organisation(
                session,
                actor=actor,
                command_id=uuid5(NAMESPACE, f"organisation {role.value}"),
                name=name,
                country=country,
            )
            person = accounts.NewPerson(
                organisation_id=organisation.id,
                email=email_of(role),
                name=f"Demo {role.value}",
                roles=frozenset({role}),
                password=password_of(settings, role),
            )
            accounts.create_user(
                session,
                actor=actor,
                command_id=uuid5(NAMESPACE, f"person {role.value}"),
                person=person,
            )


def enter(http: httpx.Client, settings: Settings, *, role: Role) -> Visitor:
    """Sign in as the demo's person of this role."""
    return sign_in(http, email=email_of(role), password=password_of(settings, role))


# --- land and requests ---------------------------------------------------------------------------


def request(developer: Visitor, stay: Stay) -> str:
    """Register project, area and plots, and ask for the stay to be measured; give the request's id.

    A request that failed or was cancelled earlier is asked for anew.
    """
    body = request_body(developer, stay)
    earlier = developer.get(f"/v1/projects/{stay.code}/monitoring-requests")["items"]
    lost = [
        one
        for one in earlier
        if one["period"] == {"start": stay.start, "end": stay.end}
        and one["state"] in {"failed", "cancelled"}
    ]
    step = f"measure {stay.step}, try {len(lost) + 1}"
    made = developer.post("/v1/monitoring-requests", step, json=body)
    return str(made["id"])


def request_body(developer: Visitor, stay: Stay) -> dict[str, Any]:
    """Register what a request stands on, and write it."""
    project = {
        "code": stay.code,
        "name": _title(stay.code),
        "country": stay.country,
        "activity": stay.activity,
        "description": "Demonstration on real satellite images with illustrative plots.",
    }
    developer.post("/v1/projects", f"register {stay.code}", json=project)
    boundary = (SAMPLES / "projects" / f"{stay.code}.geojson").read_bytes()
    area = developer.post(
        f"/v1/projects/{stay.code}/areas",
        f"add the area of {stay.code}",
        file=(f"{stay.code}.geojson", boundary),
    )
    name = f"{stay.code}-plots.csv"
    plots = developer.post(
        f"/v1/projects/{stay.code}/plots",
        f"add the plots of {stay.code}",
        file=(name, (SAMPLES / "projects" / name).read_bytes()),
    )
    parameters = json.loads((SAMPLES / "projects" / stay.project_file).read_text(encoding="utf-8"))
    return {
        "area_id": area["id"],
        "start": stay.start,
        "end": stay.end,
        "catalog": CATALOG,
        "collection": stay.collection,
        "season": stay.season,
        "parameters": {key: value for key, value in parameters.items() if key not in PREVIOUS},
        "plots_sha256": plots["sha256"],
    }


def refused_periods(developer: Visitor) -> dict[str, str]:
    """Ask for a period that overlaps and for one that leaves a gap; give both refusals."""
    body = request_body(developer, SECOND)
    wanted = {"overlaps": OVERLAPPING, "leaves a gap": LEAVING_A_GAP}
    return {
        what: developer.post_in_vain(
            "/v1/monitoring-requests", f"a period that {what}", json={**body, **days}
        )
        for what, days in wanted.items()
    }


def _title(code: str) -> str:
    """Give the name that the boundary file gives the area."""
    text = (SAMPLES / "projects" / f"{code}.geojson").read_text(encoding="utf-8")
    return str(json.loads(text)["features"][0]["properties"]["name"])


# --- measuring -----------------------------------------------------------------------------------


def is_open(visitor: Visitor, request_id: str) -> bool:
    """Tell whether a request still waits for a worker or is worked on."""
    return visitor.get(f"/v1/monitoring-requests/{request_id}")["state"] in {"queued", "running"}


def report_of(visitor: Visitor, stay: Stay, *, request_id: str) -> dict[str, Any]:
    """Give the report that a finished request led to."""
    found = visitor.get(f"/v1/monitoring-requests/{request_id}")
    if found["state"] != "done":
        raise NotMeasured(step=stay.step, reason=found["failure"] or f"it is {found['state']}")
    return visitor.get(f"/v1/reports/{found['reports'][-1]}")


def pictures_of(visitor: Visitor, report: Mapping[str, Any], *, folder: Path) -> list[Path]:
    """Fetch the pictures of a report's evidence into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    files = visitor.get(report["files_href"])["items"]
    kept = []
    for one in files:
        if one["media_type"] == "image/png":
            path = folder / one["name"].replace("/", "-")
            path.write_bytes(visitor.read(one["href"]))
            kept.append(path)
    return kept


# --- deciding ------------------------------------------------------------------------------------


def recompute(verifier: Visitor, report: Mapping[str, Any], *, folder: Path) -> None:
    """Fetch a report's evidence and recompute it, as a verifier does before deciding.

    Raises
    ------
    NotReplayed
        If the recomputed numbers or pixels differ.
    """
    from geo.replay import replay  # noqa: PLC0415 (only a first run has something to decide)

    for one in verifier.get(report["files_href"])["items"]:
        path = folder / one["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(verifier.read(one["href"]))
    found = replay(folder)
    if found.differences:
        raise NotReplayed(report=report["id"], difference=found.differences[0])


def decide(verifier: Visitor, stay: Stay, *, report: Mapping[str, Any]) -> Outcome:
    """Review a report: refused where something stands against it, else approved, which mints."""
    against = [entry for entry in report["quality"] if entry["severity"] == "blocking"]
    if report["claim"]["kind"] == "indicative":
        verdict = "opinion"
        reasons = "Screened only: an indicative result can never be minted."
    elif against:
        verdict = "refuse"
        reasons = " ".join(entry["message"] for entry in against)
    else:
        verdict = "approve"
        reasons = "No blocking problem; recomputed from the archived pixels: the same digest."
    verifier.post(f"/v1/reports/{report['id']}/review", f"review {stay.step}")
    body = {"decision": verdict, "reasons": reasons, "evidence_digest": report["digest"]}
    step = f"decide {stay.step}"
    decided = verifier.post(f"/v1/reports/{report['id']}/decision", step, json=body)
    return Outcome(stay, decided["report"], verdict, decided["batches"])


# --- selling and retiring ------------------------------------------------------------------------


def sell(developer: Visitor, buyer: Visitor, *, batch: Mapping[str, Any]) -> dict[str, Any]:
    """List what can be traded of a batch at a fixed price; the buyer buys a part of it."""
    tradable_kg = batch["size"]["kg"] - batch["buffer"]["kg"]
    offer = {
        "batch_id": batch["id"],
        "quantity_kg": tradable_kg,
        "price_minor_per_t": PRICE_MINOR_PER_T,
    }
    listing = developer.post("/v1/listings", "list the first vintage", json=offer)
    buyer.post("/v1/sandbox/deposits", "deposit", json={"amount_minor": DEPOSIT_MINOR})
    wanted = {"quantity_kg": min(BOUGHT_KG, tradable_kg)}
    return buyer.post(f"/v1/listings/{listing['id']}/purchases", "buy a part", json=wanted)


def retire(buyer: Visitor, purchase: Mapping[str, Any]) -> dict[str, Any]:
    """Use up 1.350 t of what was bought."""
    body = {
        "batch_id": purchase["batch_id"],
        "quantity_kg": RETIRED_KG,
        "beneficiary": "Demo bakery",
        "purpose": "Demonstration of a retirement",
        "country": "DE",
    }
    return buyer.post("/v1/retirements", "retire 1.350 t", json=body)


# --- proving -------------------------------------------------------------------------------------


def certificate(visitor: Visitor, retirement: Mapping[str, Any], *, folder: Path) -> Path:
    """Fetch the certificate once its leaf is sealed, as JSON and as PDF."""
    href = retirement["certificate_href"]
    deadline = time.monotonic() + SEAL_WAIT_S
    while True:
        try:
            document = visitor.read(href)
            break
        except StepRefused as error:
            if time.monotonic() > deadline:
                raise CertificateNotSealed(waited_s=SEAL_WAIT_S) from error
            time.sleep(0.5)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "certificate.json"
    path.write_bytes(document)
    path.with_suffix(".pdf").write_bytes(visitor.read(f"{href}.pdf"))
    return path


def verdict_of(visitor: Visitor, path: Path, *, say: Callable[[str], None]) -> proof.Verdict:
    """Check the certificate offline, against the key that the registry publishes."""
    pem = path.with_name("log-public-key.pem")
    pem.write_bytes(visitor.read("/v1/log/public-key.pem"))
    document = proof.read_certificate(path.read_text(encoding="utf-8"))
    verdict = proof.verify_certificate(document, key=proof.read_key(str(pem)))
    say(verdict.sentence)
    return verdict
