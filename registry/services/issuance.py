"""Minting: an approved report becomes batches of serials, once.

Imports ledger, booking, accounts, audit and the domain. Rounding is the domain's: this file only
books what `domain.credits` planned.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlmodel import col

from registry.domain.credits import (
    NOTHING,
    SerialRange,
    plan_batches,
    round_issuance,
)
from registry.domain.quantities import exact_tonnes
from registry.domain.roles import Action
from registry.errors import AccountFrozen, CannotApprove, NotFound
from registry.services import accounts, audit, booking, ledger
from registry.services.periods import first_day, last_day
from registry.tables.base import now
from registry.tables.credits import Batch
from registry.tables.projects import Project

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from sqlalchemy.orm import Session

    from registry.domain.credits import BatchPlan, Issuance
    from registry.domain.roles import Actor
    from registry.services.booking import Entry
    from registry.tables.accounts import Account
    from registry.tables.monitoring import MonitoringReport


PRECISION = Fraction(2, 10**8)
"""Relative; three figures of 9 significant digits, half a unit of the last one off each."""


def mint_batches(session: Session, *, actor: Actor, report: MonitoringReport) -> list[Batch]:
    """Mint what an approved report earned: one batch a vintage, the buffer part to its pool.

    Who: `verification.decide` alone, with the verifier as actor, in the transaction that approves
    and after the verified period is recorded; the database refuses a batch without both. States:
    new blocks `active` (the project's holding) and `buffer` (the buffer pool). Writes: batches,
    blocks, one transfer, postings, an audit event; a constant number of rows a vintage. Safe to
    repeat: a report that was minted gives its batches again.

    Raises
    ------
    CannotApprove
        If the report's kind cannot be minted here, nothing is left after rounding, or more is left
        than the estimate calls creditable.
    AccountFrozen
        If the developer's holding is.
    NotAllowed
    """
    actor.require(Action.MINT)
    project = session.scalars(
        select(Project).where(col(Project.id) == report.project_id).with_for_update(key_share=True)
    ).one_or_none()
    if project is None:
        raise NotFound(what="project", key=report.project_id)
    before = batches_of(session, report_id=report.id)
    if before:
        return before
    _require_mintable(report)
    excess = excess_of(report.estimate)
    if excess is not None:
        raise CannotApprove(report_id=report.id, reasons=excess)
    plans = plans_of(report)
    if not plans:
        raise CannotApprove(
            report_id=report.id, reasons="after rounding to whole kilograms nothing is left."
        )
    batches = [
        _batch(project, report=report, number=number, plan=plan)
        for number, plan in enumerate(plans, start=_next_number(session, project.id))
    ]
    session.add_all(batches)
    session.flush()
    _book(session, actor=actor, project=project, minted=list(zip(batches, plans, strict=True)))
    return batches


def batches_of(session: Session, *, report_id: UUID) -> list[Batch]:
    """Give the batches of a report, oldest vintage first; empty if nothing was minted."""
    found = select(Batch).where(col(Batch.report_id) == report_id).order_by(col(Batch.vintage))
    return list(session.scalars(found))


def issuance_of(estimate: Mapping[str, Any]) -> Issuance:
    """Round an estimate's removals to what may be issued; `NOTHING` where stocks are unknown."""
    removals = estimate.get("removals_tco2e")
    if removals is None or any(removals.get(name) is None for name in ("net", "buffer")):
        return NOTHING
    return round_issuance(
        net_t=removals["net"],
        previous_t=removals.get("previous") or 0,
        buffer_t=removals["buffer"],
    )


def excess_of(estimate: Mapping[str, Any]) -> str | None:
    """Say in a sentence why the rounded issuance goes beyond what the estimate calls creditable.

    Its figures are written with 9 significant digits each, so the differences of the largest may
    be off by a few units of the last one; that much is no contradiction.
    """
    issuance = issuance_of(estimate)
    if issuance == NOTHING:
        return None
    removals = estimate["removals_tco2e"]
    creditable = removals.get("creditable")
    if creditable is None or creditable <= 0:
        return f"Nothing is creditable: the estimate says {creditable}."
    largest = max(abs(removals.get(name) or 0) for name in ("net", "previous", "buffer"))
    slack = exact_tonnes(largest) * PRECISION
    credited, most = issuance.verified - issuance.buffer, exact_tonnes(creditable) + slack
    if credited > math.floor(most * 1000):
        return f"{credited} kg would be credited, but the estimate says {creditable} tCO2e."
    return None


def plans_of(report: MonitoringReport) -> tuple[BatchPlan, ...]:
    """Share a report's issuance over the calendar years of its period."""
    issuance = issuance_of(report.estimate)
    if issuance == NOTHING:
        return ()
    return plan_batches(issuance, start=first_day(report.period), end=last_day(report.period))


def _require_mintable(report: MonitoringReport) -> None:
    if report.kind == "issuable":
        return
    if report.kind == "demonstration" and report.environment == "sandbox":
        return
    raise CannotApprove(
        report_id=report.id,
        reasons=f"an {report.kind} result is never minted in a {report.environment} registry."
        if report.kind == "indicative"
        else "a demonstration is minted in a sandbox only.",
    )


def _next_number(session: Session, project_id: UUID) -> int:
    """Give the next batch number; the project's row is locked, so nobody takes the same."""
    last = session.scalar(
        select(func.max(col(Batch.number))).where(col(Batch.project_id) == project_id)
    )
    return (last or 0) + 1


def _batch(project: Project, *, report: MonitoringReport, number: int, plan: BatchPlan) -> Batch:
    return Batch(
        report_id=report.id,
        project_id=project.id,
        number=number,
        kind=report.kind,
        environment=report.environment,
        country=project.country,
        methodology=report.methodology,
        vintage=plan.vintage.start.year,
        vintage_start=plan.vintage.start,
        vintage_end=plan.vintage.end,
        size_kg=plan.size_kg,
        buffer_kg=plan.buffer_kg,
        minted_at=now(),
    )


def _book(
    session: Session,
    *,
    actor: Actor,
    project: Project,
    minted: list[tuple[Batch, BatchPlan]],
) -> None:
    """Lay the first blocks, post from the issuance pool, record what was minted."""
    holding = accounts.account_of(session, organisation_id=project.organisation_id, kind="holding")
    if holding.state == "frozen":
        raise AccountFrozen(kind=f"project {project.code}'s holding")
    buffer, source = accounts.pool(session, "buffer"), accounts.pool(session, "issuance")
    made = booking.open_transfer(session, code="mint", actor=actor)
    entries: list[Entry] = []
    for batch, plan in minted:
        owners: tuple[tuple[SerialRange | None, Account], ...] = (
            (plan.credited, holding),
            (plan.buffered, buffer),
        )
        parts = [(run, account) for run, account in owners if run is not None]
        booking.lay_first_blocks(session, batch=batch, parts=parts)
        for run, account in parts:
            entries += booking.delivery(batch.id, [run], source=source, target=account)
    booking.post(session, transfer=made, entries=entries)
    audit.record(
        session,
        actor=actor,
        action="issuance:batches:mint",
        subject=f"monitoring_report:{minted[0][0].report_id}",
        content=_content(project, minted, transfer_id=made.id),
    )


def _content(
    project: Project, minted: list[tuple[Batch, BatchPlan]], *, transfer_id: UUID
) -> dict[str, Any]:
    first = minted[0][0]
    return {
        "project": project.code,
        "kind": first.kind,
        "methodology": first.methodology,
        "transfer_id": str(transfer_id),
        "batches": [
            {
                "batch_id": str(batch.id),
                "number": batch.number,
                "vintage_start": batch.vintage_start.isoformat(),
                "vintage_end": batch.vintage_end.isoformat(),
                "size_kg": batch.size_kg,
                "buffer_kg": batch.buffer_kg,
                "serials": ledger.serial_of(
                    batch, project=project, run=SerialRange(1, batch.size_kg)
                ).text(),
            }
            for batch, _ in minted
        ],
    }
