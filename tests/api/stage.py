"""A registry with something in it, for the tests of the edge: people, land, reports, credits.

Everything is made through the services, as the command line and the flows make it; the measurement
is the example document of the repository, with this area's days and tonnes.
"""

from __future__ import annotations

import json
import struct
import zlib
from datetime import date, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import jobs
from registry.adapters.evidence_store import EvidenceStore
from registry.db import session_scope
from registry.domain.certificate import Use
from registry.domain.credits import Wanted
from registry.domain.ids import new_id
from registry.domain.roles import Role, system_actor
from registry.queries.projects import both_days, get_area
from registry.services import (
    accounts,
    ledger,
    market,
    monitoring,
    payments,
    verification,
)
from registry.services.market import Offer
from registry.services.periods import t0_of
from registry.services.verification import Decision
from registry.tables.accounts import AppUser
from tests.world import World, square

if TYPE_CHECKING:
    from registry.domain.roles import Actor
    from registry.services.verification import Decided
    from registry.settings import Settings
    from registry.tables.credits import Batch, Retirement
    from registry.tables.market import Listing, Purchase
    from registry.tables.monitoring import MonitoringReport, MonitoringRequest
    from registry.tables.projects import Area

EXAMPLE = Path("data/examples/estimate.json")
WORKER = system_actor("measure")
PASSWORD = "a long sentence of mine"
USE = Use(beneficiary="Example Bakery", purpose="Deliveries of 2020", country="DE")
T0 = date(2016, 1, 1)
_number = count(1)


def png(width: int, height: int, *, shade: int = 120) -> bytes:
    """Make a grey picture by hand: signature, IHDR, IDAT, IEND."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (b"\x00" + bytes([shade]) * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


class Stage:
    """One developer with land, a verifier, a buyer, an operator, and what they do."""

    def __init__(self, settings: Settings, *, passwords: bool = False) -> None:
        self.settings = settings
        self.world = World(settings)
        password = PASSWORD if passwords else None
        self.developer = self._person(Role.DEVELOPER, password)
        self.verifier = self._person(Role.VERIFIER, password)
        self.buyer = self._person(Role.BUYER, password)
        self.operator = self._person(Role.OPERATOR, password)
        self.area: Area | None = None
        self.next_day = T0
        self.net_tco2e = 0.0

    def _person(self, role: Role, password: str | None) -> Actor:
        return self.world.person(role, password=password)

    def email(self, actor: Actor) -> str:
        """Find a person's address, to sign in with."""
        with session_scope(self.settings) as session:
            return session.get_one(AppUser, actor.user_id).email

    def token(self, actor: Actor) -> str:
        """Give a bearer token, as signing in would."""
        return accounts.issue_token(actor, settings=self.settings)[0]

    # --- land and reports ------------------------------------------------------------------------

    def land(self, code: str | None = None, **fields: Any) -> Area:
        """Register a project with one area on land that nobody has."""
        number = next(_number)
        chosen = fields if code is None else {"code": code, **fields}
        project = self.world.project(self.developer, **chosen)
        place = square(10 + number * 0.05, 47)
        return self.world.area(self.developer, project, place, name="North slope")

    def request(self, area: Area | None = None, *, days: int = 365) -> MonitoringRequest:
        """Ask for the next days of the stage's area, or of another."""
        if area is None:
            self.area = area = self.area or self.land()
        start, end = self.next_day, self.next_day + timedelta(days=days - 1)
        return self.world.request(self.developer, area, start=start, end=end)

    def report(
        self, area: Area | None = None, *, net: float = 20.0, buffer: float = 3.0, **fields: Any
    ) -> MonitoringReport:
        """File a report with evidence: 20 t, 3 of them for the buffer, unless told."""
        return self.file(self.request(area), net=net, buffer=buffer, **fields)

    def file(
        self, request: MonitoringRequest, *, net: float = 20.0, buffer: float = 3.0, **fields: Any
    ) -> MonitoringReport:
        """File a report for a request, as a worker does; it has to be the oldest one."""
        self.take_request(request)
        document = self.estimate(request, net=net, buffer=buffer) | fields
        uri = EvidenceStore(self.settings.evidence_dir).put_directory(self.bundle(document))
        with session_scope(self.settings) as session:
            return monitoring.submit_report(
                session,
                actor=WORKER,
                request_id=request.id,
                worker="worker",
                estimate=document,
                evidence_uri=uri,
            )

    def take_request(self, request: MonitoringRequest) -> None:
        """Lease the oldest request, which has to be this one."""
        with session_scope(self.settings) as session:
            taken = monitoring.take_request(session, actor=WORKER, worker="worker")
            assert taken is not None
            assert taken.id == request.id

    def estimate(self, request: MonitoringRequest, *, net: float, buffer: float) -> dict[str, Any]:
        """Give the example document for this request."""
        document: dict[str, Any] = json.loads(EXAMPLE.read_text())
        previous = request.parameters.get("previous_net_tco2e") or 0
        first, last = both_days(request.period)
        document |= {
            "kind": "demonstration",
            "environment": "sandbox",
            "period": {"start": str(first), "end": str(last), "t0": t0_of(request)},
            "digest": f"sha256:{new_id().hex * 2}",
            "quality": [one for one in document["quality"] if one["severity"] != "blocking"],
        }
        document["methodology"]["id"] = request.methodology
        document["boundary"]["area_ha"] = self._hectares(request)
        document["removals_tco2e"] |= {
            "net": net,
            "previous": previous,
            "buffer": buffer,
            "buffer_base": net,
            "creditable": max(0.0, net - previous - buffer),
        }
        return document

    def _hectares(self, request: MonitoringRequest) -> float:
        with session_scope(self.settings) as session:
            return get_area(session, area_id=request.area_id).area_ha

    def bundle(self, document: dict[str, Any]) -> Path:
        """Write a small evidence bundle: the estimate, two pictures, a table, a document."""
        folder = self.settings.state_dir / f"bundle-{next(_number)}"
        (folder / "inputs").mkdir(parents=True)
        (folder / "estimate.json").write_text(json.dumps(document))
        (folder / "map.png").write_bytes(png(90, 40))
        (folder / "timeseries.png").write_bytes(png(100, 40))
        (folder / "timeseries.csv").write_text("item_id,date,clear_share,ndvi_mean,ndvi_median\n")
        (folder / "manifest.json").write_text('{"schema": "amanar.manifest/1"}')
        (folder / "inputs" / "B04.tif").write_bytes(b"II*\x00" + bytes(64))
        return folder

    def take(self, report: MonitoringReport) -> None:
        """Take a report for review."""
        with session_scope(self.settings) as session:
            verification.take_review(
                session, actor=self.verifier, command_id=new_id(), report_id=report.id
            )

    def decide(self, report: MonitoringReport, verdict: Any = "approve") -> Decided:
        """Take and decide on a report."""
        self.take(report)
        with session_scope(self.settings) as session:
            return verification.decide(
                session,
                actor=self.verifier,
                command_id=new_id(),
                report_id=report.id,
                decision=Decision(
                    verdict=verdict, reasons="Looked at it all.", evidence_digest=report.digest
                ),
                evidence=EvidenceStore(self.settings.evidence_dir),
            )

    # --- credits ---------------------------------------------------------------------------------

    def mint(self, *, tonnes: float = 20.0) -> Batch:
        """File, take and approve one more year; give its first batch."""
        report = self.report(net=self.net_tco2e + tonnes)
        decided = self.decide(report)
        self.net_tco2e += tonnes
        self.next_day += timedelta(days=365)
        return decided.batches[0]

    def deposit(self, amount_minor: int = 100_000) -> None:
        """Give the buyer play money."""
        with session_scope(self.settings) as session:
            payments.deposit_sandbox_cash(
                session,
                actor=self.buyer,
                command_id=new_id(),
                organisation_id=self.buyer.organisation(),
                amount_minor=amount_minor,
            )

    def offer(self, batch: Batch, quantity_kg: int = 5_000) -> Listing:
        """Offer kilograms of a batch at 24.50 XTS a tonne."""
        with session_scope(self.settings) as session:
            return market.list_credits(
                session,
                actor=self.developer,
                command_id=new_id(),
                wanted=Wanted(batch.id, quantity_kg),
                offer=Offer(price_minor_per_t=2_450),
            )

    def buy(self, listing: Listing, quantity_kg: int = 2_000) -> Purchase:
        """Buy from a listing."""
        with session_scope(self.settings) as session:
            return market.buy(
                session,
                actor=self.buyer,
                command_id=new_id(),
                listing_id=listing.id,
                quantity_kg=quantity_kg,
            )

    def retire(self, batch: Batch, quantity_kg: int = 1_350) -> Retirement:
        """Retire what the buyer holds."""
        with session_scope(self.settings) as session:
            return ledger.retire(
                session,
                actor=self.buyer,
                command_id=new_id(),
                wanted=Wanted(batch.id, quantity_kg),
                use=USE,
            )

    def seal(self) -> None:
        """Seal the log, as the job does every few seconds."""
        jobs.seal_now(self.settings)
