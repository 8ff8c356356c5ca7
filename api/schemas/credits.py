"""Batches, blocks, balances and retirements on the wire. Imports wire and what queries give."""

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Self, cast
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.dialects.postgresql import Range

from api.wire import (
    Answer,
    Body,
    Claim,
    CountryCode,
    Days,
    Kilograms,
    Line,
    Money,
    Page,
    Prose,
    Quantity,
)
from registry.domain.credits import Serial, SerialRange, Vintage
from registry.queries.credits import BatchRow, HoldingRow, RetirementRow
from registry.queries.projects import both_days
from registry.tables.credits import CreditBlock, Transfer

if TYPE_CHECKING:
    from registry.domain.claims import Environment


def serial_text(row: BatchRow, *, first: int, last: int) -> str:
    """Write a run of a batch's serials as it stands on a certificate."""
    batch = row.batch
    return Serial(
        environment=cast("Environment", batch.environment),
        country=batch.country,
        project=row.project_code,
        batch=batch.number,
        vintage=Vintage(batch.vintage_start, batch.vintage_end),
        serials=SerialRange(first, last),
    ).text()


def claim_of(row: BatchRow) -> Claim:
    """Give what has to be read with any quantity of this batch."""
    return Claim.of(
        kind=row.batch.kind, environment=row.batch.environment, methodology=row.methodology
    )


class Batch(BaseModel):
    """The credits of one report and one vintage."""

    id: UUID
    project_code: str
    report_id: UUID
    number: int
    vintage: Days
    claim: Claim
    size: Quantity
    buffer: Quantity
    serials: str = Field(description="The whole batch, first to last serial.")
    minted_at: datetime

    @classmethod
    def of(cls, row: BatchRow) -> Self:
        """Give the wire form."""
        batch = row.batch
        return cls(
            id=batch.id,
            project_code=row.project_code,
            report_id=batch.report_id,
            number=batch.number,
            vintage=Days(start=batch.vintage_start, end=batch.vintage_end),
            claim=claim_of(row),
            size=Quantity.of(batch.size_kg),
            buffer=Quantity.of(batch.buffer_kg),
            serials=serial_text(row, first=1, last=batch.size_kg),
            minted_at=batch.minted_at,
        )


class BatchAnswer(Answer, Batch):
    """One batch."""


class BatchesAnswer(Page):
    """A project's batches, by number."""

    items: list[Batch]


class Block(BaseModel):
    """A run of serials in one state."""

    serials: str
    quantity: Quantity
    state: str

    @classmethod
    def of(cls, row: BatchRow, block: CreditBlock) -> Self:
        """Give the wire form."""
        first, last = inclusive(block.serials)
        return cls(
            serials=serial_text(row, first=first, last=last),
            quantity=Quantity.of(last - first + 1),
            state=block.state,
        )


class BlocksAnswer(Page):
    """A batch's blocks in the order of serials; together they are the whole batch."""

    batch: Batch
    items: list[Block]


class Holding(BaseModel):
    """What you have of one batch in one state."""

    batch_id: UUID
    project_code: str
    vintage: Days
    state: str
    quantity: Quantity
    claim: Claim

    @classmethod
    def of(cls, row: HoldingRow) -> Self:
        """Give the wire form."""
        batch = row.batch.batch
        return cls(
            batch_id=batch.id,
            project_code=row.batch.project_code,
            vintage=Days(start=batch.vintage_start, end=batch.vintage_end),
            state=row.state,
            quantity=Quantity.of(row.quantity_kg),
            claim=claim_of(row.batch),
        )


class BalancesAnswer(Answer):
    """What your organisation has: credits by batch and state, money by currency."""

    organisation_id: UUID
    cash: list[Money]
    holdings: list[Holding]


class TransferBody(Body):
    """Kilograms of one batch to give to another organisation, free of payment."""

    batch_id: UUID
    quantity_kg: Kilograms
    to_organisation_id: UUID

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "batch_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "quantity_kg": 250,
                    "to_organisation_id": "01890a5d-ac96-774b-bcce-b302099a8058",
                }
            ]
        },
    )


class TransferAnswer(Answer):
    """Credits that changed hands; their serials stay as they are."""

    id: UUID
    batch_id: UUID
    to_organisation_id: UUID
    quantity: Quantity
    claim: Claim
    at: datetime

    @classmethod
    def of(cls, made: Transfer, *, row: BatchRow, body: TransferBody) -> Self:
        """Give the wire form."""
        return cls(
            environment=cast("Environment", row.batch.environment),
            id=made.id,
            batch_id=row.batch.id,
            to_organisation_id=body.to_organisation_id,
            quantity=Quantity.of(body.quantity_kg),
            claim=claim_of(row),
            at=made.at,
        )


class RetireBody(Body):
    """Kilograms of one batch to use up, for somebody, for ever."""

    batch_id: UUID
    quantity_kg: Kilograms
    beneficiary: Line
    purpose: Line
    country: CountryCode | None = None
    period: Days | None = None
    note: Annotated[Prose, Field(max_length=1000)] | None = None

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "batch_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "quantity_kg": 1350,
                    "beneficiary": "Example Bakery",
                    "purpose": "Deliveries of 2020",
                    "country": "DE",
                }
            ]
        },
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.period is not None and self.period.end < self.period.start:
            message = "the period's end is before its start"
            raise ValueError(message)
        return self


class Retirement(BaseModel):
    """A retirement, public for ever."""

    id: UUID
    batch_id: UUID
    project_code: str
    vintage: Days
    quantity: Quantity
    claim: Claim
    serials: list[str]
    beneficiary: str
    purpose: str
    country: str | None
    period: Days | None
    note: str | None
    holder: str
    retired_at: datetime
    certificate_href: str
    page_href: str

    @classmethod
    def of(cls, row: RetirementRow) -> Self:
        """Give the wire form."""
        one, batch = row.retirement, row.batch.batch
        runs = [inclusive(run) for run in one.serials]
        return cls.model_validate(
            {
                **one.model_dump(),
                "project_code": row.batch.project_code,
                "vintage": Days(start=batch.vintage_start, end=batch.vintage_end),
                "quantity": Quantity.of(one.quantity_kg),
                "claim": claim_of(row.batch),
                "serials": [serial_text(row.batch, first=first, last=last) for first, last in runs],
                "period": _days(one.period),
                "holder": row.holder,
                "retired_at": one.at,
                "certificate_href": f"/v1/retirements/{one.id}/certificate",
                "page_href": f"/retirements/{one.id}",
            }
        )


class RetirementAnswer(Answer, Retirement):
    """One retirement."""


class RetirementsAnswer(Page):
    """Retirements, the newest first."""

    items: list[Retirement]


def inclusive(run: Range[int]) -> tuple[int, int]:
    """Give the first and the last serial of a run as the database holds it."""
    if run.lower is None or run.upper is None:
        message = f"serials without an end: {run}"
        raise ValueError(message)
    return run.lower, run.upper - 1


def _days(period: Range[date] | None) -> Days | None:
    if period is None:
        return None
    start, end = both_days(period)
    return Days(start=start, end=end)
