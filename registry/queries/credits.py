"""Batches, blocks, holdings and retirements as readers see them.

A quantity never leaves here without its batch: kind, environment and the methodology with the
words of the approved estimate come with it. Reads only; imports tables, domain and errors.

Order: values, batches, blocks, holdings, retirements.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlmodel import col

from registry.errors import NotFound
from registry.tables.accounts import Account, Organisation
from registry.tables.credits import Batch, CreditBlock, Retirement
from registry.tables.monitoring import MonitoringReport
from registry.tables.projects import Project

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session


@dataclass(frozen=True)
class BatchRow:
    """A batch with what has to be said about it."""

    batch: Batch
    project_code: str
    project_name: str
    methodology: Mapping[str, Any]
    """`id`, `conformity`, `unconfirmed`, from the approved estimate."""


@dataclass(frozen=True)
class HoldingRow:
    """What one organisation has of one batch in one state."""

    batch: BatchRow
    state: str
    quantity_kg: int


@dataclass(frozen=True)
class Total:
    """A project's minted kilograms of one kind and methodology, by the state they are in now."""

    kind: str
    methodology: Mapping[str, Any]
    kg_by_state: Mapping[str, int]

    @property
    def minted_kg(self) -> int:
        """All that was ever minted; nothing leaves the blocks, so it is their sum."""
        return sum(self.kg_by_state.values())


@dataclass(frozen=True)
class RetirementRow:
    """A retirement with its batch and the organisation whose account it left."""

    retirement: Retirement
    batch: BatchRow
    holder: str


def list_batches(
    session: Session, *, project_id: UUID, limit: int, after: int | None = None
) -> list[BatchRow]:
    """Give a project's batches in the order of their numbers, those above `after`."""
    statement = (
        _readable().where(col(Batch.project_id) == project_id).order_by(col(Batch.number))
    ).limit(limit)
    if after is not None:
        statement = statement.where(col(Batch.number) > after)
    return [_batch_row(*row) for row in session.execute(statement)]


def get_batch(session: Session, *, batch_id: UUID) -> BatchRow:
    """Give one batch.

    Raises
    ------
    NotFound
        If there is none.
    """
    found = session.execute(_readable().where(col(Batch.id) == batch_id)).first()
    if found is None:
        raise NotFound(what="batch", key=batch_id)
    return _batch_row(*found)


def batches_by_id(session: Session, *, batch_ids: Sequence[UUID]) -> dict[UUID, BatchRow]:
    """Give several batches at once."""
    statement = _readable().where(col(Batch.id).in_(set(batch_ids)))
    return {row[0].id: _batch_row(*row) for row in session.execute(statement)}


def _readable() -> Select[Batch, Project, Any]:
    methodology = col(MonitoringReport.estimate)["methodology"]
    return (
        select(Batch, Project, methodology)
        .join(Project, col(Project.id) == col(Batch.project_id))
        .join(MonitoringReport, col(MonitoringReport.id) == col(Batch.report_id))
    )


def _batch_row(batch: Batch, project: Project, methodology: Mapping[str, Any]) -> BatchRow:
    return BatchRow(batch, project.code, project.name, methodology)


def list_blocks(
    session: Session, *, batch_id: UUID, limit: int, after: int | None = None
) -> list[CreditBlock]:
    """Give a batch's blocks in the order of serials, those that begin above `after`."""
    first = func.lower(col(CreditBlock.serials))
    statement = (
        select(CreditBlock).where(col(CreditBlock.batch_id) == batch_id).order_by(first)
    ).limit(limit)
    if after is not None:
        statement = statement.where(first > after)
    return list(session.scalars(statement))


def totals_of(session: Session, *, project_ids: Sequence[UUID]) -> dict[UUID, list[Total]]:
    """Give each project's totals; kinds and methodologies are never added up into one number."""
    methodology = col(MonitoringReport.estimate)["methodology"]
    parts = (col(Batch.project_id), col(Batch.kind), methodology, col(CreditBlock.state))
    statement = (
        select(*parts, _size())
        .join(CreditBlock, col(CreditBlock.batch_id) == col(Batch.id))
        .join(MonitoringReport, col(MonitoringReport.id) == col(Batch.report_id))
        .where(col(Batch.project_id).in_(project_ids))
        .group_by(*parts)
        .order_by(*parts)
    )
    found: dict[UUID, dict[tuple[str, str], Total]] = {}
    for project_id, kind, words, state, kilograms in session.execute(statement):
        totals = found.setdefault(project_id, {})
        key = (kind, json.dumps(words, sort_keys=True))
        earlier = totals.get(key, Total(kind, words, {}))
        totals[key] = Total(kind, words, {**earlier.kg_by_state, state: int(kilograms)})
    return {project_id: list(totals.values()) for project_id, totals in found.items()}


def _size() -> ColumnElement[int]:
    return func.sum(func.upper(col(CreditBlock.serials)) - func.lower(col(CreditBlock.serials)))


def list_holdings(session: Session, *, organisation_id: UUID) -> list[HoldingRow]:
    """Give what an organisation holds or has listed, by batch and state."""
    statement = (
        select(col(CreditBlock.batch_id), col(CreditBlock.state), _size())
        .join(Account, col(Account.id) == col(CreditBlock.account_id))
        .where(col(Account.organisation_id) == organisation_id)
        .group_by(col(CreditBlock.batch_id), col(CreditBlock.state))
        .order_by(col(CreditBlock.batch_id), col(CreditBlock.state))
    )
    found = session.execute(statement).all()
    batches = batches_by_id(session, batch_ids=[batch_id for batch_id, _, _ in found])
    return [
        HoldingRow(batches[batch_id], state, int(kilograms)) for batch_id, state, kilograms in found
    ]


def list_retirements(
    session: Session,
    *,
    limit: int,
    after: UUID | None = None,
    project_id: UUID | None = None,
    organisation_id: UUID | None = None,
) -> list[RetirementRow]:
    """Give retirements, the newest first, older than `after`; of one project or organisation."""
    statement = _retirements().order_by(col(Retirement.id).desc()).limit(limit)
    if after is not None:
        statement = statement.where(col(Retirement.id) < after)
    if organisation_id is not None:
        statement = statement.where(col(Account.organisation_id) == organisation_id)
    if project_id is not None:
        own = select(col(Batch.id)).where(col(Batch.project_id) == project_id)
        statement = statement.where(col(Retirement.batch_id).in_(own))
    return _retirement_rows(session, statement)


def get_retirement(session: Session, *, retirement_id: UUID) -> RetirementRow:
    """Give one retirement.

    Raises
    ------
    NotFound
        If there is none.
    """
    rows = _retirement_rows(session, _retirements().where(col(Retirement.id) == retirement_id))
    if not rows:
        raise NotFound(what="retirement", key=retirement_id)
    return rows[0]


def _retirements() -> Select[Retirement, str]:
    return (
        select(Retirement, col(Organisation.name))
        .join(Account, col(Account.id) == col(Retirement.account_id))
        .join(Organisation, col(Organisation.id) == col(Account.organisation_id))
    )


def _retirement_rows(session: Session, statement: Select[Retirement, str]) -> list[RetirementRow]:
    found = session.execute(statement).all()
    batches = batches_by_id(session, batch_ids=[retirement.batch_id for retirement, _ in found])
    return [RetirementRow(one, batches[one.batch_id], holder) for one, holder in found]
