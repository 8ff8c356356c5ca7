"""Everything that may be set from outside, once; imports errors and pydantic only.

Each field is read from AMANAR_<NAME>. The defaults are safe for a developer's sandbox; in
production a value left at its default is refused when the settings are made.
Nothing else in the project reads the environment.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from registry.errors import SettingMissing

ROOT = Path(__file__).resolve().parents[1]
"""The clone: one private cluster a clone, wherever a command is started."""

DEVELOPMENT_ORIGIN = "amanar-sandbox/localhost"
DRIVER = "postgresql+psycopg"


class Settings(BaseSettings):
    """One set of settings; make it at the edge and hand it down."""

    model_config = SettingsConfigDict(env_prefix="AMANAR_", frozen=True, extra="ignore")

    environment: Literal["sandbox", "production"] = "sandbox"
    """What a new database is born as; an existing one must agree."""
    database_url: str | None = None
    """PostgreSQL with PostGIS, as the restricted role `amanar_app`."""
    database_owner_url: str | None = None
    """The same database as its owner; used for migrations only."""
    prefect_database_url: str | None = None
    """Prefect's own database; none means an SQLite file in `state_dir`."""
    prefect_api_url: str | None = None
    """A standing Prefect server; none means that the work starts one of its own."""
    dask_scheduler: Literal["threads", "processes", "distributed"] = "threads"
    """Where arrays are computed; changes the time, never the digest."""
    dask_workers: int | None = Field(default=None, ge=1)
    """Threads or processes; none means one a core."""
    state_dir: Path = ROOT / ".amanar"
    """Private cluster, keys, logs of a development machine."""
    evidence_dir: Path = ROOT / ".amanar" / "evidence"
    """Content-addressed files: evidence bundles, plots, boundaries."""
    secret_key: SecretStr | None = None
    """Signs sessions and bearer tokens (HS256); at least 32 bytes; none means a random one made in
    `state_dir` (`private_files.secret_of`)."""
    token_minutes: int = Field(default=30, ge=1, le=24 * 60)
    """Life of a bearer token."""
    log_origin: str = DEVELOPMENT_ORIGIN
    """Name of the log in its signed checkpoints; begins with `amanar-<environment>/`."""
    signing_key_file: Path | None = None
    """Ed25519 private key (PEM) of the log; none means one made in `state_dir`."""
    host: str = "127.0.0.1"
    port: int = Field(default=8321, ge=0, le=65_535)
    lock_timeout_ms: int = Field(default=10_000, ge=1)
    """Longest wait for a lock before a statement gives up."""

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _name_the_driver(cls, url: str | None) -> str | None:
        for scheme in ("postgres://", "postgresql://"):
            if url is not None and url.startswith(scheme):
                return f"{DRIVER}://{url.removeprefix(scheme)}"
        return url

    @model_validator(mode="after")
    def _refuse_defaults_in_production(self) -> Self:
        given = self.secret_key
        if given is not None and len(given.get_secret_value().encode()) < 32:  # noqa: PLR2004 - RFC 7518, 3.2
            message = "AMANAR_SECRET_KEY must have at least 32 bytes"
            raise ValueError(message)
        if self.environment == "sandbox":
            return self
        needed = ("database_url", "database_owner_url", "secret_key", "signing_key_file")
        left = [name for name in needed if getattr(self, name) is None]
        if self.log_origin == DEVELOPMENT_ORIGIN:
            left.append("log_origin")
        if left:
            names = ", ".join(f"AMANAR_{name.upper()}" for name in sorted(left))
            message = f"production refuses the development default of {names}"
            raise ValueError(message)
        if not self.log_origin.startswith("amanar-production/"):
            message = "AMANAR_LOG_ORIGIN must begin with amanar-production/"
            raise ValueError(message)
        if self.database_url == self.database_owner_url:
            message = "AMANAR_DATABASE_URL must not be the owner's: use the role amanar_app"
            raise ValueError(message)
        return self

    def variables(self) -> dict[str, str]:
        """Give the environment variables from which another process makes the same settings."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            f"AMANAR_{name.upper()}": value.get_secret_value()
            if isinstance(value, SecretStr)
            else str(value)
            for name, value in values.items()
            if value is not None
        }

    def url(self) -> str:
        """Give the application's database URL, or say which variable is missing."""
        if self.database_url is None:
            raise SettingMissing(name="database_url", variable="AMANAR_DATABASE_URL")
        return self.database_url

    def owner_url(self) -> str:
        """Give the owner's database URL, or say which variable is missing."""
        if self.database_owner_url is None:
            raise SettingMissing(name="database_owner_url", variable="AMANAR_DATABASE_OWNER_URL")
        return self.database_owner_url
