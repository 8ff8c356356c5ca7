"""What Alembic runs: compare and upgrade on the connection that `registry.db` hands over."""

from alembic import context
from geoalchemy2 import alembic_helpers
from sqlmodel import SQLModel

import registry.tables  # noqa: F401 - fills the metadata


def include_name(name: str | None, kind: str, parents: dict[str, str | None]) -> bool:  # noqa: ARG001 - Alembic's signature
    """Leave out what others own: the job queue's tables."""
    return not (kind == "table" and name is not None and name.startswith("procrastinate_"))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    include_name=include_name,
    include_object=alembic_helpers.include_object,
    process_revision_directives=alembic_helpers.writer,
    render_item=alembic_helpers.render_item,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
