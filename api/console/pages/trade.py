"""For buyers and sellers: the offers, what an organisation holds, offering, buying, retiring."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.datastructures import FormData
from starlette.responses import Response
from starlette.status import HTTP_200_OK

from api.console.attempts import Refused, attempt, go_to, status_of
from api.console.templating import Form, page
from api.console.trouble import form_of
from api.console.visits import (
    Looking,
    Person,
    Posted,
    SignedIn,
    command_id_of,
    text_of,
    texts_of,
)
from api.faults import NotConfirmed
from api.paging import After, first_rows, key_of
from api.routes.credits import use_of
from api.schemas.credits import RetireBody, claim_of
from registry.domain.credits import Wanted
from registry.domain.quantities import SANDBOX_CURRENCY, kg_from_tonnes_text, minor_from_text
from registry.domain.roles import ALLOWED, Action
from registry.queries import credits as rows
from registry.queries import market as market_rows
from registry.services import ledger, market, payments
from registry.tables.base import now

router = APIRouter()

OFFERS_A_PAGE = 30
MINE_SHOWN = 30

OfBatch = Annotated[UUID, Query(alias="batch")]


@router.get("/market")
def show_market(found: Looking, after: After = None) -> Response:
    """List the open offers, the newest first."""
    listed = market_rows.list_listings(
        found.session, limit=OFFERS_A_PAGE + 1, after=key_of(after, UUID), at=now()
    )
    shown, following = first_rows(listed, limit=OFFERS_A_PAGE, key=lambda row: row.listing.id)
    may_buy = found.actor is not None and bool(found.actor.roles & ALLOWED[Action.BUY])
    return page(
        found.request,
        "market.html",
        actor=found.actor,
        visit=found.visit,
        offers=[
            {
                "row": row,
                "claim": claim_of(row.batch),
                "may_buy": may_buy
                and found.actor is not None
                and row.seller_id != found.actor.organisation_id,
            }
            for row in shown
        ],
        following=following,
        may_buy=may_buy,
        cash=_cash(found.session, found.actor.organisation_id) if found.actor else [],
    )


@router.get("/market/{listing_id}")
def show_offer(listing_id: UUID, found: Person) -> Response:
    """Show one offer with the form to buy from it."""
    return _offer(found, listing_id, Form())


@router.post("/market/{listing_id}")
def buy(listing_id: UUID, found: Person, data: Posted) -> Response:
    """Buy from an offer: credits against money, both or neither."""
    try:
        with attempt(found.session):
            market.buy(
                found.session,
                actor=found.actor,
                command_id=command_id_of(data),
                listing_id=listing_id,
                quantity_kg=kg_from_tonnes_text(text_of(data, "tonnes")),
            )
    except Refused as refused:
        fault = refused.fault
        return _offer(found, listing_id, form_of(texts_of(data), fault), status=status_of(fault))
    return go_to("/holdings?done=bought")


@router.get("/holdings")
def show_holdings(found: Person) -> Response:
    """Show what the visitor's organisation has: credits, money, offers, purchases, retirements."""
    return _holdings(found, Form())


@router.post("/holdings/deposit")
def deposit(found: Person, data: Posted) -> Response:
    """Put play money into the organisation's own account, in a sandbox."""
    try:
        with attempt(found.session):
            payments.deposit_sandbox_cash(
                found.session,
                actor=found.actor,
                command_id=command_id_of(data),
                organisation_id=found.actor.organisation(),
                amount_minor=minor_from_text(text_of(data, "amount"), SANDBOX_CURRENCY),
            )
    except Refused as refused:
        fault = refused.fault
        return _holdings(found, form_of(texts_of(data), fault), status=status_of(fault))
    return go_to("/holdings?done=deposited")


@router.get("/offer")
def show_offer_form(batch_id: OfBatch, found: Person) -> Response:
    """Show the form to offer credits of one batch."""
    return _batch_form(found, "offer.html", batch_id, Form())


@router.post("/offer")
def offer(batch_id: OfBatch, found: Person, data: Posted) -> Response:
    """Offer credits of one batch at a fixed price."""
    try:
        with attempt(found.session):
            market.list_credits(
                found.session,
                actor=found.actor,
                command_id=command_id_of(data),
                wanted=Wanted(
                    batch_id=batch_id, quantity_kg=kg_from_tonnes_text(text_of(data, "tonnes"))
                ),
                offer=market.Offer(
                    price_minor_per_t=minor_from_text(text_of(data, "price"), SANDBOX_CURRENCY)
                ),
            )
    except Refused as refused:
        fault = refused.fault
        form = form_of(texts_of(data), fault)
        return _batch_form(found, "offer.html", batch_id, form, status=status_of(fault))
    return go_to("/holdings?done=listed")


@router.post("/offers/{listing_id}/withdrawal")
def withdraw(listing_id: UUID, found: Person, data: Posted) -> Response:
    """Take back what is left of the organisation's own offer."""
    try:
        with attempt(found.session):
            market.withdraw_listing(
                found.session,
                actor=found.actor,
                command_id=command_id_of(data),
                listing_id=listing_id,
            )
    except Refused as refused:
        fault = refused.fault
        return _holdings(found, form_of({}, fault), status=status_of(fault))
    return go_to("/holdings?done=withdrawn")


@router.get("/retire")
def show_retire_form(batch_id: OfBatch, found: Person) -> Response:
    """Show the form to retire credits of one batch."""
    return _batch_form(found, "retire.html", batch_id, Form())


@router.post("/retire")
def retire(batch_id: OfBatch, found: Person, data: Posted) -> Response:
    """Use credits up for a named beneficiary, and lead to the certificate."""
    try:
        with attempt(found.session):
            if text_of(data, "sure") != "yes":
                raise NotConfirmed(what="a retirement")
            body = RetireBody.model_validate(_retirement(batch_id, data))
            made = ledger.retire(
                found.session,
                actor=found.actor,
                command_id=command_id_of(data),
                wanted=Wanted(batch_id=batch_id, quantity_kg=body.quantity_kg),
                use=use_of(body),
            )
            retirement_id = made.id
    except Refused as refused:
        fault = refused.fault
        form = form_of(texts_of(data), fault)
        return _batch_form(found, "retire.html", batch_id, form, status=status_of(fault))
    return go_to(f"/retirements/{retirement_id}")


def _retirement(batch_id: UUID, data: FormData) -> dict[str, Any]:
    start, end = text_of(data, "period_start"), text_of(data, "period_end")
    return {
        "batch_id": batch_id,
        "quantity_kg": kg_from_tonnes_text(text_of(data, "tonnes")),
        "beneficiary": text_of(data, "beneficiary"),
        "purpose": text_of(data, "purpose"),
        "country": text_of(data, "country") or None,
        "period": {"start": start or None, "end": end or None} if start or end else None,
        "note": text_of(data, "note") or None,
    }


def _cash(session: Any, organisation_id: UUID | None) -> list[tuple[str, int]]:
    if organisation_id is None:
        return []
    return market_rows.list_cash(session, organisation_id=organisation_id)


def _offer(found: SignedIn, listing_id: UUID, form: Form, *, status: int = HTTP_200_OK) -> Response:
    row = market_rows.get_listing(found.session, listing_id=listing_id)
    return page(
        found.request,
        "buy.html",
        actor=found.actor,
        visit=found.visit,
        status=status,
        row=row,
        claim=claim_of(row.batch),
        cash=_cash(found.session, found.actor.organisation_id),
        form=form,
    )


def _holdings(found: SignedIn, form: Form, *, status: int = HTTP_200_OK) -> Response:
    organisation_id = found.actor.organisation()
    held = rows.list_holdings(found.session, organisation_id=organisation_id)
    return page(
        found.request,
        "holdings.html",
        actor=found.actor,
        visit=found.visit,
        status=status,
        holdings=[{"row": row, "claim": claim_of(row.batch)} for row in held],
        cash=_cash(found.session, organisation_id),
        may_deposit=found.settings.environment == "sandbox"
        and bool(found.actor.roles & ALLOWED[Action.DEPOSIT_SANDBOX_CASH]),
        may_use=bool(found.actor.roles & ALLOWED[Action.RETIRE]),
        offers=market_rows.list_listings(
            found.session, limit=MINE_SHOWN, organisation_id=organisation_id
        ),
        purchases=market_rows.list_purchases(
            found.session, organisation_id=organisation_id, limit=MINE_SHOWN
        ),
        retirements=rows.list_retirements(
            found.session, limit=MINE_SHOWN, organisation_id=organisation_id
        ),
        form=form,
    )


def _batch_form(
    found: SignedIn, template: str, batch_id: UUID, form: Form, *, status: int = HTTP_200_OK
) -> Response:
    batch = rows.get_batch(found.session, batch_id=batch_id)
    held = rows.list_holdings(found.session, organisation_id=found.actor.organisation())
    mine = [row for row in held if row.batch.batch.id == batch_id and row.state == "active"]
    return page(
        found.request,
        template,
        actor=found.actor,
        visit=found.visit,
        status=status,
        batch=batch,
        claim=claim_of(batch),
        held_kg=sum(row.quantity_kg for row in mine),
        currency=SANDBOX_CURRENCY,
        form=form,
    )
