"""REST, one file a feature, all under /v1."""

from fastapi import APIRouter

from api.routes.accounts import router as accounts
from api.routes.audit import router as audit
from api.routes.credits import router as certified
from api.routes.evidence import router as evidence
from api.routes.health import router as health
from api.routes.market import router as market
from api.routes.monitoring import router as monitoring
from api.routes.projects import router as projects
from api.routes.verification import router as verification

ALL: tuple[APIRouter, ...] = (
    health,
    accounts,
    projects,
    monitoring,
    evidence,
    verification,
    certified,
    market,
    audit,
)
