"""Listings, purchases and sandbox cash on the wire. Imports wire and what queries give."""

from datetime import datetime
from typing import Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict

from api.schemas.credits import claim_of
from api.wire import (
    Answer,
    Body,
    Claim,
    Currency,
    Days,
    Kilograms,
    MinorUnits,
    Money,
    Page,
    Quantity,
)
from registry.domain.quantities import SANDBOX_CURRENCY
from registry.queries.market import ListingRow, PurchaseRow


class ListingBody(Body):
    """Kilograms of one batch to offer at a fixed price."""

    batch_id: UUID
    quantity_kg: Kilograms
    price_minor_per_t: MinorUnits
    currency: Currency = SANDBOX_CURRENCY
    expires_at: AwareDatetime | None = None
    """From then on nothing can be bought; none: until sold or withdrawn."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "batch_id": "01890a5d-ac96-774b-bcce-b302099a8057",
                    "quantity_kg": 20000,
                    "price_minor_per_t": 2450,
                    "currency": "XTS",
                }
            ]
        },
    )


class Listing(BaseModel):
    """An offer."""

    id: UUID
    batch_id: UUID
    project_code: str
    vintage: Days
    seller: str
    quantity: Quantity
    remaining: Quantity
    price_per_t: Money
    claim: Claim
    state: str
    expires_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, row: ListingRow) -> Self:
        """Give the wire form."""
        listing, batch = row.listing, row.batch.batch
        return cls(
            id=listing.id,
            batch_id=batch.id,
            project_code=row.batch.project_code,
            vintage=Days(start=batch.vintage_start, end=batch.vintage_end),
            seller=row.seller,
            quantity=Quantity.of(listing.quantity_kg),
            remaining=Quantity.of(listing.remaining_kg),
            price_per_t=Money.of(listing.price_minor_per_t, listing.currency),
            claim=claim_of(row.batch),
            state=listing.state,
            expires_at=listing.expires_at,
            created_at=listing.created_at,
        )


class ListingAnswer(Answer, Listing):
    """One listing."""


class ListingsAnswer(Page):
    """Listings, the newest first."""

    items: list[Listing]


class PurchaseBody(Body):
    """How much of a listing to buy, at its price."""

    quantity_kg: Kilograms

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"quantity_kg": 5000}]}
    )


class Purchase(BaseModel):
    """Delivery against payment, in one transfer."""

    id: UUID
    listing_id: UUID
    batch_id: UUID
    project_code: str
    vintage: Days
    quantity: Quantity
    paid: Money
    claim: Claim
    bought_at: datetime

    @classmethod
    def of(cls, row: PurchaseRow) -> Self:
        """Give the wire form."""
        one, batch = row.purchase, row.batch.batch
        return cls(
            id=one.id,
            listing_id=one.listing_id,
            batch_id=one.batch_id,
            project_code=row.batch.project_code,
            vintage=Days(start=batch.vintage_start, end=batch.vintage_end),
            quantity=Quantity.of(one.quantity_kg),
            paid=Money.of(one.amount_minor, one.currency),
            claim=claim_of(row.batch),
            bought_at=one.at,
        )


class PurchaseAnswer(Answer, Purchase):
    """One purchase."""


class PurchasesAnswer(Page):
    """Your purchases, the newest first."""

    items: list[Purchase]


class DepositBody(Body):
    """Play money for a sandbox."""

    amount_minor: MinorUnits
    organisation_id: UUID | None = None
    """Whose cash; your own organisation where it is left out."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"amount_minor": 1000000}]}
    )


class DepositAnswer(Answer):
    """What your organisation's cash is now."""

    transfer_id: UUID
    cash: list[Money]
