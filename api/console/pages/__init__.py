"""The pages: one file a purpose. None of them is part of the API's description."""

from fastapi import APIRouter

from api.console.pages.account import router as account
from api.console.pages.develop import router as develop
from api.console.pages.proof import router as proof
from api.console.pages.public import router as public
from api.console.pages.reference import router as reference
from api.console.pages.review import router as review
from api.console.pages.trade import router as trade

router = APIRouter(include_in_schema=False)
for part in (account, develop, public, review, trade, proof, reference):
    router.include_router(part)
