"""Listings, purchases and sandbox cash under /v1."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, status

from api.deps import Acting, CommandId, SettingsDep, Transaction
from api.paging import LIMIT_DEFAULT, After, Limit, first_rows, key_of
from api.schemas.market import (
    DepositAnswer,
    DepositBody,
    Listing,
    ListingAnswer,
    ListingBody,
    ListingsAnswer,
    Purchase,
    PurchaseAnswer,
    PurchaseBody,
    PurchasesAnswer,
)
from api.wire import Money
from registry.domain.credits import Wanted
from registry.queries import market as rows
from registry.services import market, payments
from registry.tables.base import now

router = APIRouter(prefix="/v1", tags=["market"])


@router.get("/listings", operation_id="list_listings")
def list_listings(
    session: Transaction,
    settings: SettingsDep,
    state: Annotated[Literal["open", "sold", "withdrawn"], Query()] = "open",
    limit: Limit = LIMIT_DEFAULT,
    after: After = None,
) -> ListingsAnswer:
    """List offers, the newest first; open ones unless told otherwise. Open to all."""
    found = rows.list_listings(
        session,
        limit=limit + 1,
        after=key_of(after, UUID),
        state=state,
        at=now() if state == "open" else None,
    )
    shown, following = first_rows(found, limit=limit, key=lambda row: row.listing.id)
    return ListingsAnswer(
        environment=settings.environment,
        items=[Listing.of(row) for row in shown],
        next=following,
    )


@router.post("/listings", status_code=status.HTTP_201_CREATED, operation_id="list_credits")
def list_credits(
    body: ListingBody,
    *,
    session: Transaction,
    actor: Acting,
    command_id: CommandId,
    settings: SettingsDep,
) -> ListingAnswer:
    """Offer kilograms of one batch at a fixed price. Your own organisation's credits only."""
    made = market.list_credits(
        session,
        actor=actor,
        command_id=command_id,
        wanted=Wanted(batch_id=body.batch_id, quantity_kg=body.quantity_kg),
        offer=market.Offer(
            price_minor_per_t=body.price_minor_per_t,
            currency=body.currency,
            expires_at=body.expires_at,
        ),
    )
    return _listing(session, made.id, settings.environment)


@router.get("/listings/{listing_id}", operation_id="read_listing")
def read_listing(listing_id: UUID, session: Transaction, settings: SettingsDep) -> ListingAnswer:
    """Give one offer. Open to all."""
    return _listing(session, listing_id, settings.environment)


@router.post("/listings/{listing_id}/withdrawal", operation_id="withdraw_listing")
def withdraw_listing(
    listing_id: UUID,
    *,
    session: Transaction,
    actor: Acting,
    command_id: CommandId,
    settings: SettingsDep,
) -> ListingAnswer:
    """Take back what is left of your own offer."""
    market.withdraw_listing(session, actor=actor, command_id=command_id, listing_id=listing_id)
    return _listing(session, listing_id, settings.environment)


@router.post(
    "/listings/{listing_id}/purchases",
    status_code=status.HTTP_201_CREATED,
    operation_id="buy_credits",
)
def buy_credits(
    listing_id: UUID,
    body: PurchaseBody,
    *,
    session: Transaction,
    actor: Acting,
    command_id: CommandId,
    settings: SettingsDep,
) -> PurchaseAnswer:
    """Buy from an offer: credits against money, both or neither. Buyers only."""
    made = market.buy(
        session,
        actor=actor,
        command_id=command_id,
        listing_id=listing_id,
        quantity_kg=body.quantity_kg,
    )
    purchase = Purchase.of(rows.get_purchase(session, purchase_id=made.id))
    return PurchaseAnswer.model_validate(
        {**purchase.model_dump(), "environment": settings.environment}
    )


@router.get("/purchases", operation_id="list_purchases")
def list_purchases(
    session: Transaction,
    actor: Acting,
    settings: SettingsDep,
    limit: Limit = LIMIT_DEFAULT,
    after: After = None,
) -> PurchasesAnswer:
    """List what your organisation bought, the newest first."""
    found = rows.list_purchases(
        session,
        organisation_id=actor.organisation(),
        limit=limit + 1,
        after=key_of(after, UUID),
    )
    shown, following = first_rows(found, limit=limit, key=lambda row: row.purchase.id)
    return PurchasesAnswer(
        environment=settings.environment,
        items=[Purchase.of(row) for row in shown],
        next=following,
    )


@router.post(
    "/sandbox/deposits", status_code=status.HTTP_201_CREATED, operation_id="deposit_sandbox_cash"
)
def deposit_sandbox_cash(
    body: DepositBody,
    *,
    session: Transaction,
    actor: Acting,
    command_id: CommandId,
    settings: SettingsDep,
) -> DepositAnswer:
    """Put play money into a cash account. In a sandbox only; buyers for themselves."""
    organisation_id = body.organisation_id or actor.organisation()
    made = payments.deposit_sandbox_cash(
        session,
        actor=actor,
        command_id=command_id,
        organisation_id=organisation_id,
        amount_minor=body.amount_minor,
    )
    cash = rows.list_cash(session, organisation_id=organisation_id)
    return DepositAnswer(
        environment=settings.environment,
        transfer_id=made.id,
        cash=[Money.of(minor, currency) for currency, minor in cash],
    )


def _listing(session: Transaction, listing_id: UUID, environment: str) -> ListingAnswer:
    listing = Listing.of(rows.get_listing(session, listing_id=listing_id))
    return ListingAnswer.model_validate({**listing.model_dump(), "environment": environment})
