"""The tables, one noun a file; importing this package knows them all (for migrations)."""

from registry.tables import accounts as accounts
from registry.tables import audit as audit
from registry.tables import base as base
from registry.tables import credits as credits  # noqa: A004 - the noun's name
from registry.tables import market as market
from registry.tables import monitoring as monitoring
from registry.tables import projects as projects
