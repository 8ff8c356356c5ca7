"""Fixed-price listings and purchases; imports base."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from registry.domain.ids import new_id
from registry.tables.base import check, created, moment, one_of, same
from registry.tables.credits import CURRENCY


class Listing(SQLModel, table=True):
    """An offer of kilograms of one batch at one price; frozen but for what remains and its state.

    The serials lie in the seller's `listed` account until they are sold or withdrawn.
    """

    __tablename__ = "listing"
    __table_args__ = (
        same("batch_id kind environment", "batch.id kind environment"),
        UniqueConstraint("id", "batch_id", "currency"),
        check("quantity_kg", "quantity_kg > 0"),
        check("remaining_kg", "remaining_kg BETWEEN 0 AND quantity_kg"),
        check("sold", "state <> 'sold' OR remaining_kg = 0"),
        check("price_minor_per_t", "price_minor_per_t > 0"),
        check("currency", f"currency {CURRENCY}"),
        one_of("state", "open", "sold", "withdrawn"),
        Index("ix_listing_open", "state", "id"),
        Index("ix_listing_account_id", "account_id"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    account_id: UUID = Field(foreign_key="account.id")
    """The seller's `listed` account."""
    batch_id: UUID
    kind: str
    environment: str
    quantity_kg: int = Field(sa_type=BigInteger)
    remaining_kg: int = Field(sa_type=BigInteger)
    price_minor_per_t: int = Field(sa_type=BigInteger)
    """Minor units of the currency for 1,000 kg."""
    currency: str
    """ISO 4217; XTS in a sandbox."""
    state: str = "open"
    expires_at: datetime | None = moment()
    """From then on nothing can be bought; the credits stay listed until they are withdrawn."""
    created_at: datetime = created()
    closed_at: datetime | None = moment()


class Purchase(SQLModel, table=True):
    """Delivery against payment, in one transfer; frozen."""

    __tablename__ = "purchase"
    __table_args__ = (
        same("listing_id batch_id currency", "listing.id batch_id currency"),
        UniqueConstraint("transfer_id"),
        check("quantity_kg", "quantity_kg > 0"),
        check("amount_minor", "amount_minor > 0"),
        Index("ix_purchase_listing_id", "listing_id"),
        Index("ix_purchase_account_id", "account_id", "id"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    listing_id: UUID
    account_id: UUID = Field(foreign_key="account.id")
    """The buyer's holding account."""
    transfer_id: UUID = Field(foreign_key="transfer.id")
    batch_id: UUID
    quantity_kg: int = Field(sa_type=BigInteger)
    amount_minor: int = Field(sa_type=BigInteger)
    currency: str
    at: datetime = created()
