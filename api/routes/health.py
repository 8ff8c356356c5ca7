"""Is it alive, is it ready, what is it: for machines that watch and people who look around."""

from typing import Literal

from fastapi import APIRouter

from api import VERSION
from api.deps import SettingsDep
from api.faults import NotReady
from api.wire import Answer
from registry.db import check_ready
from registry.domain import claims
from registry.errors import RegistryError

router = APIRouter()


class HealthAnswer(Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str = VERSION


class AboutAnswer(Answer):
    """What this registry is, and what its words mean."""

    name: str = "Amanar"
    version: str = VERSION
    unit: str = claims.UNIT
    kinds: dict[str, str] = claims.KIND_SENTENCES
    sandbox: str | None
    certificate: str = claims.CERTIFICATE
    replay: str = claims.REPLAY
    trading: str = claims.TRADING
    openapi_href: str = "/v1/openapi.json"


@router.get("/health", tags=["health"], operation_id="read_health")
def read_health(settings: SettingsDep) -> HealthAnswer:
    """Answer as long as the process runs; asks nobody else."""
    return HealthAnswer(environment=settings.environment)


@router.get("/ready", tags=["health"], operation_id="read_ready")
def read_ready(settings: SettingsDep) -> HealthAnswer:
    """Answer 200 when the database can be reached and is ours to serve, else 503."""
    try:
        check_ready(settings)
    except RegistryError as fault:
        raise NotReady(reason=str(fault)) from fault
    return HealthAnswer(environment=settings.environment)


@router.get("/v1", tags=["health"], operation_id="read_about")
def read_about(settings: SettingsDep) -> AboutAnswer:
    """Say what this registry is and what its words mean."""
    sandbox = claims.SANDBOX if settings.environment == "sandbox" else None
    return AboutAnswer(environment=settings.environment, sandbox=sandbox)
