"""Which rules a result follows, and what would have happened without the project.

May import errors only. Order: the frozen rows of methodologies, choosing one, the baseline.
A row never changes once a result carries its id; a new version is a new row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from geo.errors import BadInput

CONFORMITY = "not-assessed"
"""What every result says: no programme has reviewed our implementation."""

DEFAULT_METHODOLOGY = "stock-difference"


@dataclass(frozen=True)
class Methodology:
    """One set of rules, as data."""

    id: str
    estimator: str
    baseline: Literal["declared-zero", "performance-benchmark"]
    deduction: str
    leakage: str
    buffer: str
    unconfirmed: tuple[str, ...]
    """What was not checked against the official text."""
    available: bool
    """False: named, so that its id is known, but not to be chosen yet."""


@dataclass(frozen=True)
class Baseline:
    """The change of stock that would have come about anyway."""

    method: str
    agb_change_t: float
    """t of dry matter above ground over the area, cumulative from t0."""
    note: str
    donor_pool: str | None = None
    """Name of the donor pool file, where one was given: recorded, not used."""


_VM0047_1_1 = ("28", "30", "32", "34", "A5", "A6", "A11-A16")
"""Equations of v1.1 that come from reconstructions of a garbled text (data/reference 4)."""

METHODOLOGIES: dict[str, Methodology] = {
    row.id: row
    for row in (
        Methodology(
            id="stock-difference",
            estimator="mean or difference, as the project file says",
            baseline="declared-zero",
            deduction="vcs-mr-5: D = U / 1.6449 x 0.4307 where U is above 10 %",
            leakage="declared",
            buffer="declared, at least 12 %",
            unconfirmed=(
                "IPCC 2006 vol. 4 ch. 2: the numbers of equations 2.5 and 2.8 (form standard)",
                "VCS v5.0: whether the buffer is taken before or after uncertainty (here after)",
            ),
            available=True,
        ),
        Methodology(
            id="after-vm0047-1.1",
            estimator="paired or two-sample plot mean, or difference",
            baseline="performance-benchmark",
            deduction="max(0, U - 10 %), nothing credited where U is above 100 %",
            leakage="after-vmd0054",
            buffer="NPRT v5.0",
            unconfirmed=tuple(f"VM0047 v1.1 equation {number}" for number in _VM0047_1_1),
            available=False,
        ),
        Methodology(
            id="after-vm0047-1.0",
            estimator="paired or two-sample plot mean, or difference",
            baseline="performance-benchmark",
            deduction="after its equation 27",
            leakage="after-vmd0054",
            buffer="NPRT v5.0",
            unconfirmed=("VM0047 v1.0 equation A5", "VM0047 v1.0 equation A6"),
            available=False,
        ),
        Methodology(
            id="after-vm0047-1.1-census",
            estimator="census",
            baseline="declared-zero",
            deduction="max(0, sqrt(U_biomass^2 + U_mortality^2) - 10 %)",
            leakage="zero",
            buffer="NPRT v5.0",
            unconfirmed=("VM0047 v1.1 equation 29",),
            available=False,
        ),
    )
}


def methodology(identifier: str) -> Methodology:
    """Choose a methodology by its id.

    Raises
    ------
    BadInput
        An unknown id (the known ones are listed) or one that cannot be chosen yet.
    """
    row = METHODOLOGIES.get(identifier)
    selectable = ", ".join(row.id for row in METHODOLOGIES.values() if row.available)
    if row is None:
        raise BadInput(
            what="--methodology",
            problem=f"{identifier!r} is not known",
            fix=f"Take {selectable}.",
        )
    if not row.available:
        raise BadInput(
            what="--methodology",
            problem=f"{identifier} comes with the measurement work and cannot be chosen yet",
            fix=f"Take {selectable}.",
        )
    return row


def declared_zero(*, donor_pool: str | None = None) -> Baseline:
    """Declare that nothing would have changed: a claim, not a measurement.

    A result on it is at most a `demonstration`.
    """
    note = "Declared, not measured: the result is at most a demonstration."
    if donor_pool is not None:
        note += " The donor pool is recorded and not used."
    return Baseline("declared-zero", 0.0, note, donor_pool)
