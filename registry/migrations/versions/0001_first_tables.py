"""The first tables, with every constraint, trigger and grant.

Revision ID: 0001
Revises:
"""

from pathlib import Path

from alembic import context, op
from procrastinate.schema import SchemaManager

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQL = Path(__file__).parents[1] / "sql"
POOLS = ("issuance", "buffer", "reserve", "retired", "cancelled", "cash_source")


def upgrade() -> None:
    """Make everything in the order in which it refers to what was made before."""
    _run("CREATE EXTENSION IF NOT EXISTS postgis; CREATE EXTENSION IF NOT EXISTS btree_gist;")
    for part in ("functions", "base", "accounts", "audit", "projects", "monitoring"):
        _run((SQL / f"0001_{part}.sql").read_text())
    for part in ("credits", "market"):
        _run((SQL / f"0001_{part}.sql").read_text())
    environment = context.config.attributes.get("environment", "sandbox")
    op.get_bind().exec_driver_sql(
        "INSERT INTO environment (id, kind) VALUES (1, %s)", (environment,)
    )
    for kind in POOLS:
        op.get_bind().exec_driver_sql(
            "INSERT INTO account (id, kind, state) VALUES (gen_random_uuid(), %s, 'open')", (kind,)
        )
    _run((SQL / "0001_guards.sql").read_text())
    _run(SchemaManager.get_schema())
    _run((SQL / "0001_grants.sql").read_text())


def downgrade() -> None:
    """Refuse: the tables hold history."""
    message = "There is no way back: these tables hold the registry's history."
    raise NotImplementedError(message)


def _run(statements: str) -> None:
    """Send several statements as they are; SQLAlchemy would read their colons and percents."""
    op.get_bind().connection.cursor().execute(statements)
