"""Credits for tests: a report is filed, taken and approved through the services; then invariants.

Builds on `tests.world.World`; every call is one committed transaction unless it says otherwise.
"""

from __future__ import annotations

from datetime import date, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from registry import invariants
from registry.adapters.evidence_store import EvidenceStore
from registry.db import session_scope
from registry.domain.certificate import Use
from registry.domain.credits import Wanted
from registry.domain.ids import new_id
from registry.domain.roles import system_actor
from registry.services import ledger, market, monitoring, payments, verification
from registry.services.market import Offer
from registry.services.monitoring import NewRequest
from registry.services.periods import t0_of
from registry.services.verification import Decision
from tests.world import square, store_evidence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from registry.domain.roles import Actor
    from registry.services.verification import Decided
    from registry.settings import Settings
    from registry.tables.credits import Batch, Retirement
    from registry.tables.market import Listing, Purchase
    from registry.tables.monitoring import MonitoringReport
    from registry.tables.projects import Area
    from tests.world import World

WORKER = system_actor("measure")
USE = Use(beneficiary="Atelier Nord SRL", purpose="Travel of the team in 2025", country="RO")
T0 = date(2019, 1, 1)
_place = count()


class Books:
    """One developer with one area, one verifier, and what they and buyers do with credits."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.settings: Settings = world.settings
        self.seller = world.developer()
        self.verifier = world.verifier()
        self.project = world.project(self.seller)
        self.area: Area = world.area(
            self.seller, self.project, square(20 + next(_place) * 0.02, 45, side=0.01)
        )
        self.next_day = T0
        self.net_tco2e: float = 0

    # --- reports ---------------------------------------------------------------------------------

    def estimate(
        self, *, start: date, end: date, net: float, buffer: float, **fields: Any
    ) -> dict[str, Any]:
        """Write an `amanar.estimate/1` document of this area, as measuring would."""
        creditable = max(0, net - self.net_tco2e - buffer)
        return {
            "schema": "amanar.estimate/1",
            "kind": "demonstration",
            "methodology": {
                "id": self.project.methodology,
                "conformity": "not-assessed",
                "unconfirmed": [],
            },
            "boundary": {"area_ha": self.area.area_ha},
            "period": {"start": str(start), "end": str(end)},
            "removals_tco2e": {
                "net": net,
                "previous": self.net_tco2e,
                "buffer": buffer,
                "buffer_base": net,
                "creditable": creditable,
            },
            "quality": [],
            "digest": f"sha256:{new_id().hex * 2}",
        } | fields

    def report(
        self,
        *,
        net: float = 12.5,
        buffer: float = 1.5,
        days: int = 365,
        fields: Mapping[str, Any] | None = None,
    ) -> MonitoringReport:
        """File a report of the next days: 12.5 t, 1.5 t of them for the buffer."""
        start, end = self.next_day, self.next_day + timedelta(days=days - 1)
        document = self.estimate(start=start, end=end, net=net, buffer=buffer, **(fields or {}))
        with session_scope(self.settings) as session:
            request = monitoring.request_monitoring(
                session,
                actor=self.seller,
                command_id=new_id(),
                request=NewRequest(
                    area_id=self.area.id,
                    start=start,
                    end=end,
                    catalog="catalog.json",
                    collection="s2",
                ),
            )
        document["period"].setdefault("t0", t0_of(request))
        with session_scope(self.settings) as session:
            monitoring.take_request(session, actor=WORKER, worker="worker")
        with session_scope(self.settings) as session:
            return monitoring.submit_report(
                session,
                actor=WORKER,
                request_id=request.id,
                worker="worker",
                estimate=document,
                evidence_uri=store_evidence(self.settings, document),
            )

    def take(self, report: MonitoringReport, *, verifier: Actor | None = None) -> None:
        """Take a report for review."""
        with session_scope(self.settings) as session:
            verification.take_review(
                session,
                actor=verifier or self.verifier,
                command_id=new_id(),
                report_id=report.id,
            )

    def decide(
        self,
        report: MonitoringReport,
        verdict: Any = "approve",
        *,
        command_id: UUID | None = None,
        digest: str | None = None,
        reasons: str = "Plots, pixels and rules agree.",
    ) -> Decided:
        """Decide on a report that was taken."""
        with session_scope(self.settings) as session:
            return verification.decide(
                session,
                actor=self.verifier,
                command_id=command_id or new_id(),
                report_id=report.id,
                decision=Decision(
                    verdict=verdict, reasons=reasons, evidence_digest=digest or report.digest
                ),
                evidence=EvidenceStore(self.settings.evidence_dir),
            )

    def mint(self, *, net: float = 12.5, buffer: float = 1.5, days: int = 365) -> list[Batch]:
        """File, take and approve; net is the increment here, the document says the cumulative."""
        cumulative = round(self.net_tco2e + net, 6)  # a sum of floats may lack the last gram
        report = self.report(net=cumulative, buffer=buffer, days=days)
        self.take(report)
        decided = self.decide(report)
        self.net_tco2e = cumulative
        self.next_day += timedelta(days=days)
        return decided.batches

    # --- credits and money -----------------------------------------------------------------------

    def rich_buyer(self, amount_minor: int = 1_000_000) -> Actor:
        """Admit a buyer with play money."""
        buyer = self.world.buyer()
        self.deposit(buyer, amount_minor)
        return buyer

    def deposit(self, buyer: Actor, amount_minor: int) -> None:
        """Put play money into a buyer's account."""
        with session_scope(self.settings) as session:
            payments.deposit_sandbox_cash(
                session,
                actor=buyer,
                command_id=new_id(),
                organisation_id=buyer.organisation(),
                amount_minor=amount_minor,
            )

    def offer(
        self, batch: Batch, quantity_kg: int, *, price: int = 1_500, actor: Actor | None = None
    ) -> Listing:
        """Offer kilograms of a batch, at 15.00 XTS a tonne unless told."""
        with session_scope(self.settings) as session:
            return market.list_credits(
                session,
                actor=actor or self.seller,
                command_id=new_id(),
                wanted=Wanted(batch.id, quantity_kg),
                offer=Offer(price_minor_per_t=price),
            )

    def buy(self, buyer: Actor, listing: Listing, quantity_kg: int) -> Purchase:
        """Buy from a listing."""
        with session_scope(self.settings) as session:
            return market.buy(
                session,
                actor=buyer,
                command_id=new_id(),
                listing_id=listing.id,
                quantity_kg=quantity_kg,
            )

    def retire(self, actor: Actor, wanted: Wanted, *, use: Use = USE) -> Retirement:
        """Retire credits."""
        with session_scope(self.settings) as session:
            return ledger.retire(session, actor=actor, command_id=new_id(), wanted=wanted, use=use)

    def send(self, actor: Actor, wanted: Wanted, to: Actor) -> None:
        """Give credits to another organisation."""
        with session_scope(self.settings) as session:
            ledger.transfer(
                session,
                actor=actor,
                command_id=new_id(),
                wanted=wanted,
                to_organisation_id=to.organisation(),
            )

    # --- looking ---------------------------------------------------------------------------------

    def holds(self, actor: Actor) -> dict[str, int]:
        """Give what an organisation holds: account kind to kilograms, and its money as `cash`."""
        with session_scope(self.settings) as session:
            found: dict[str, int] = {}
            for row in ledger.balances(session, organisation_id=actor.organisation()):
                found[row.account_kind] = found.get(row.account_kind, 0) + row.amount
            return found

    def check(self) -> None:
        """Run every invariant; fail with the sentences that do not hold."""
        with session_scope(self.settings) as session:
            assert invariants.run(session) == []
