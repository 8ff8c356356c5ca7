"""The pages: one file a purpose. None of them is part of the API's description."""

from fastapi import APIRouter

from api.console.pages.account import router as account
from api.console.pages.public import router as public

router = APIRouter(include_in_schema=False)
for part in (public, account):
    router.include_router(part)
