"""Transfers, retirements and balances: what a holder can do with kilograms.

Imports accounts, commands, audit, booking and the domain. Blocks and postings are made by
`booking`; here stands who may, what is recorded, and what it is called.

Order: values, transfer, retire, balances.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Range
from sqlmodel import col

from registry.domain.certificate import Origin, Use, retirement_content
from registry.domain.credits import Serial, Vintage
from registry.domain.roles import Action
from registry.errors import InvalidValue
from registry.services import accounts, audit, booking, commands
from registry.tables.accounts import Account, Organisation
from registry.tables.credits import Balance, Batch, Retirement, Transfer
from registry.tables.monitoring import MonitoringReport
from registry.tables.projects import Project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from registry.domain.credits import SerialRange, Wanted
    from registry.domain.roles import Actor


@dataclass(frozen=True)
class BalanceRow:
    """What one account holds in one unit."""

    account_kind: str
    unit: str
    """`kg:<batch id>` or a currency code."""
    amount: int
    """Kilograms, or minor units of money."""
    batch_id: UUID | None


# --- transfer ------------------------------------------------------------------------------------


def transfer(
    session: Session, *, actor: Actor, command_id: UUID, wanted: Wanted, to_organisation_id: UUID
) -> Transfer:
    """Give active credits to another organisation, free of payment.

    Who: developers and buyers, from their own organisation's holding. States: blocks stay
    `active`. Writes: transfer, postings, blocks, an audit event. Safe to repeat with the same id.

    Raises
    ------
    InsufficientBalance, SerialsNotHeld
        If the credits are not there: retired and listed ones are not.
    NotFound, AccountFrozen, NotAQuantity, InvalidValue, CommandConflict, NotAllowed
    """
    actor.require(Action.TRANSFER)

    def do() -> dict[str, Any]:
        source = own_account(session, actor=actor, kind="holding")
        target = accounts.account_of(session, organisation_id=to_organisation_id, kind="holding")
        if source.id == target.id:
            raise InvalidValue(
                what="to_organisation_id",
                problem="it is your own organisation",
                fix="Name another one.",
            )
        made, runs = booking.move(
            session, code="transfer", actor=actor, wanted=wanted, source=source, target=target
        )
        audit.record(
            session,
            actor=actor,
            action="ledger:credits:transfer",
            subject=f"transfer:{made.id}",
            content={
                **moved(wanted.batch_id, runs),
                "from_account": str(source.id),
                "to_account": str(target.id),
            },
        )
        return {"transfer_id": str(made.id)}

    result = commands.once(
        session,
        actor=actor,
        command_id=command_id,
        action="ledger:credits:transfer",
        content={**wanted.content(), "to_organisation_id": str(to_organisation_id)},
        do=do,
    )
    return session.get_one(Transfer, UUID(result["transfer_id"]))


def moved(batch_id: UUID, runs: Sequence[SerialRange]) -> dict[str, Any]:
    """Give how the log writes which kilograms moved."""
    return {
        "batch_id": str(batch_id),
        "serials": [f"{run.first}-{run.last}" for run in runs],
        "quantity_kg": sum(run.quantity_kg for run in runs),
    }


def own_account(session: Session, *, actor: Actor, kind: str) -> Account:
    """Give the account of the actor's own organisation; the system has none."""
    return accounts.account_of(session, organisation_id=actor.organisation(), kind=kind)


# --- retire --------------------------------------------------------------------------------------


def retire(
    session: Session, *, actor: Actor, command_id: UUID, wanted: Wanted, use: Use
) -> Retirement:
    """Use credits up, for good, for a named beneficiary.

    Who: developers and buyers, from their own organisation's holding. States: blocks `active` to
    `retired`, which is final. Writes: transfer, postings, blocks, one retirement, and an audit
    event that holds all that the certificate will print. Safe to repeat with the same id.

    Raises
    ------
    InsufficientBalance, SerialsNotHeld
        If the credits are not there: what is retired or listed cannot be retired.
    NotFound, AccountFrozen, NotAQuantity, InvalidValue, CommandConflict, NotAllowed
    """
    actor.require(Action.RETIRE)
    _check_use(use)

    def do() -> dict[str, Any]:
        source = own_account(session, actor=actor, kind="holding")
        made, runs = booking.move(
            session,
            code="retire",
            actor=actor,
            wanted=wanted,
            source=source,
            target=accounts.pool(session, "retired"),
        )
        batch = booking.batch_of(session, wanted.batch_id)
        retirement = _write_retirement(
            session, made=made, source=source, batch=batch, runs=runs, use=use
        )
        audit.record(
            session,
            actor=actor,
            action="ledger:credits:retire",
            subject=f"retirement:{retirement.id}",
            content=_content(session, retirement=retirement, batch=batch, runs=runs, use=use),
        )
        return {"retirement_id": str(retirement.id)}

    result = commands.once(
        session,
        actor=actor,
        command_id=command_id,
        action="ledger:credits:retire",
        content={**wanted.content(), **asdict(use)},
        do=do,
    )
    return session.get_one(Retirement, UUID(result["retirement_id"]))


def _check_use(use: Use) -> None:
    """Refuse a use that a certificate could not print or a reader could not understand."""
    for name, needed in (("beneficiary", True), ("purpose", True), ("note", False)):
        text = getattr(use, name) or ""
        if needed and not text.strip():
            raise InvalidValue(
                what=name, problem="it is empty", fix="Say for whom and for what it is retired."
            )
        if not text.replace("\n", " ").isprintable():
            raise InvalidValue(
                what=name, problem="it holds control characters", fix="Write plain text."
            )
    if use.country is not None and not (
        len(use.country) == len("RO") and use.country.isascii() and use.country.isupper()
    ):
        raise InvalidValue(
            what="country",
            problem=f"{use.country!r} is no country code",
            fix="Give ISO 3166-1 alpha-2, such as RO.",
        )
    start, end = use.period_start, use.period_end
    if (start is None) != (end is None):
        raise InvalidValue(
            what="period", problem="it has one end only", fix="Give both days or neither."
        )
    if start is not None and end is not None and start > end:
        raise InvalidValue(
            what="period", problem=f"it ends on {end}, before {start}", fix="Swap the days."
        )


def _write_retirement(
    session: Session,
    *,
    made: Transfer,
    source: Account,
    batch: Batch,
    runs: Sequence[SerialRange],
    use: Use,
) -> Retirement:
    period = None
    if use.period_start is not None:
        period = Range(use.period_start, use.period_end, bounds="[]")
    retirement = Retirement(
        transfer_id=made.id,
        account_id=source.id,
        batch_id=batch.id,
        kind=batch.kind,
        environment=batch.environment,
        serials=[booking.as_range(run) for run in runs],
        quantity_kg=sum(run.quantity_kg for run in runs),
        beneficiary=use.beneficiary,
        purpose=use.purpose,
        country=use.country,
        period=period,
        note=use.note,
        at=made.at,
    )
    session.add(retirement)
    session.flush()
    return retirement


def _content(
    session: Session,
    *,
    retirement: Retirement,
    batch: Batch,
    runs: Sequence[SerialRange],
    use: Use,
) -> dict[str, Any]:
    """Collect what the log records and the certificate prints."""
    project = session.get_one(Project, batch.project_id)
    report = session.get_one(MonitoringReport, batch.report_id)
    account = session.get_one(Account, retirement.account_id)
    holder = session.get_one(Organisation, account.organisation_id)
    return retirement_content(
        retirement_id=retirement.id,
        serials=[serial_of(batch, project=project, run=run) for run in runs],
        use=use,
        origin=Origin(
            project_code=project.code,
            project_name=project.name,
            kind=batch.kind,
            methodology=report.estimate["methodology"],
            report_digest=report.digest,
            evidence_uri=report.evidence_uri,
        ),
        holder=holder.name,
        retired_at=retirement.at,
    )


def serial_of(batch: Batch, *, project: Project, run: SerialRange) -> Serial:
    """Give the serial that names a run of a batch to the world."""
    return Serial(
        environment="sandbox" if batch.environment == "sandbox" else "production",
        country=batch.country,
        project=project.code,
        batch=batch.number,
        vintage=Vintage(batch.vintage_start, batch.vintage_end),
        serials=run,
    )


# --- balances ------------------------------------------------------------------------------------


def balances(session: Session, *, organisation_id: UUID) -> list[BalanceRow]:
    """Give what the accounts of one organisation hold, accounts and units in order, no zeros.

    Who: anyone whom the edge lets see this organisation. Reads only.
    """
    rows = session.execute(
        select(col(Account.kind), col(Balance.unit), col(Balance.amount))
        .join(Account, col(Account.id) == col(Balance.account_id))
        .where(col(Account.organisation_id) == organisation_id, col(Balance.amount) != 0)
        .order_by(col(Account.kind), col(Balance.unit))
    )
    return [
        BalanceRow(
            account_kind=kind,
            unit=unit,
            amount=amount,
            batch_id=UUID(unit.removeprefix("kg:")) if unit.startswith("kg:") else None,
        )
        for kind, unit, amount in rows
    ]
