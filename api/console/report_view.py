"""One report as a page shows it: verdict, pictures, numbers with their intervals, what blocks.

Read from the estimate document as it was filed; a key that is not there is shown as not known,
never as zero. Imports present, schemas and what queries give; no HTML, no database.

Order: values, the view, its parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.console import present
from api.schemas.credits import serial_text
from api.wire import Claim
from registry.domain import claims
from registry.queries.projects import both_days

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from registry.adapters.evidence_store import StoredFile
    from registry.queries.credits import BatchRow
    from registry.queries.monitoring import ReportRow

PICTURES = {
    "map.png": "NDVI at both ends of the period and its change, with the boundary.",
    "timeseries.png": "NDVI of the area through time; shaded: the seasons that were compared.",
}
"""The pictures of a bundle in the order in which they are shown, and what they show."""

AGB_UNIT = "t/ha"

REMOVALS = (
    ("gross", "Gross removals", ""),
    ("baseline", "Baseline", "minus"),
    ("uncertainty_deduction", "Deduction for uncertainty", "minus"),
    ("project_emissions", "Project emissions", "minus"),
    ("leakage", "Leakage", "minus"),
    ("net", "Net since the start", "total"),
    ("previous", "Credited in earlier periods", "minus"),
    ("buffer", "Set aside in the buffer", "minus"),
    ("creditable", "Creditable now", "total"),
)
"""Members of `removals_tco2e` in the order of the sum, their words, their part in it."""


@dataclass(frozen=True)
class Picture:
    """A picture of the evidence."""

    name: str
    href: str
    caption: str
    alt: str
    size: tuple[int, int] | None
    """Pixels across and down, so that a page keeps its place while the picture comes."""


@dataclass(frozen=True)
class Row:
    """One line of the sum of removals."""

    label: str
    text: str
    part: str


@dataclass(frozen=True)
class Stock:
    """Above-ground biomass at an end, or its change."""

    label: str
    figure: present.Figure


@dataclass(frozen=True)
class Minted:
    """A batch that came of the report."""

    batch: BatchRow
    serials: str


@dataclass(frozen=True)
class ReportView:
    """Everything the report's part of a page shows."""

    id: UUID
    project_code: str
    area_id: UUID
    start: date
    end: date
    state: str
    badge: present.Badge
    kind: present.Badge
    claim: Claim
    verdict: str
    reasons: str | None
    decided_by: str | None
    decided_at: datetime | None
    pictures: tuple[Picture, ...]
    stocks: tuple[Stock, ...]
    removals: tuple[Row, ...]
    unknown_stocks: bool
    findings: tuple[present.FindingRow, ...]
    blocking: tuple[present.FindingRow, ...]
    minted: tuple[Minted, ...]
    digest: str
    files: tuple[StoredFile, ...]
    facts: tuple[tuple[str, str], ...]
    scenes_refused: tuple[tuple[str, str], ...]
    """Scene and reason."""
    interval: str | None
    """What the intervals cover and what they leave out."""

    def picture(self, name: str) -> Picture | None:
        """Give one picture by its name; None if the evidence has none."""
        return next((one for one in self.pictures if one.name == name), None)


def view_of(
    row: ReportRow,
    *,
    environment: str,
    files: Mapping[str, StoredFile],
    sizes: Mapping[str, tuple[int, int]],
    batches: Sequence[BatchRow] = (),
) -> ReportView:
    """Give the view of one report.

    Parameters
    ----------
    files
        The listing of its evidence by name; empty if the store does not have it.
    sizes
        Pixels across and down of its pictures by name.
    batches
        What was minted from it.
    """
    report, estimate = row.report, row.report.estimate
    findings = present.findings_of(estimate.get("quality") or [])
    blocking = tuple(one for one in findings if one.badge is present.SEVERITIES["blocking"])
    stocks = _stocks(estimate)
    review = row.review.review if row.review else None
    start, end = both_days(report.period)
    return ReportView(
        id=report.id,
        project_code=row.project.code,
        area_id=report.area_id,
        start=start,
        end=end,
        state=report.state,
        badge=present.badge_of_report(report.state),
        kind=present.badge_of_kind(report.kind),
        claim=Claim.of(
            kind=report.kind, environment=environment, methodology=estimate["methodology"]
        ),
        verdict=_verdict(row, blocking, batches),
        reasons=review.reasons if review else None,
        decided_by=row.review.organisation if row.review and review and review.decision else None,
        decided_at=report.decided_at,
        pictures=_pictures(row, files, sizes),
        stocks=stocks,
        removals=_removals(estimate.get("removals_tco2e")),
        unknown_stocks=all(stock.figure.text == present.UNKNOWN for stock in stocks),
        findings=findings,
        blocking=blocking,
        minted=tuple(
            Minted(one, serial_text(one, first=1, last=one.batch.size_kg)) for one in batches
        ),
        digest=report.digest,
        files=tuple(files[name] for name in sorted(files)),
        facts=_facts(estimate),
        scenes_refused=_refused(estimate),
        interval=_interval(estimate),
    )


def _verdict(
    row: ReportRow, blocking: Sequence[present.FindingRow], batches: Sequence[BatchRow]
) -> str:
    state = row.report.state
    by = f" by {row.review.organisation}" if row.review else ""
    if state == "approved":
        kg = sum(one.batch.size_kg - one.batch.buffer_kg for one in batches)
        return f"Approved{by}. {present.tonnes(kg)} tCO2e credited to the project."
    if state == "refused":
        return f"Refused{by}. Nothing was credited."
    if state == "opinion_given":
        return f"Screened{by}. An indicative result is never credited."
    if blocking:
        return "Measured, and the measurement itself says that nothing can be credited."
    return "Measured. A verifier of another organisation decides."


def _pictures(
    row: ReportRow, files: Mapping[str, StoredFile], sizes: Mapping[str, tuple[int, int]]
) -> tuple[Picture, ...]:
    return tuple(
        Picture(
            name=name,
            href=f"/v1/reports/{row.report.id}/files/{name}",
            caption=caption,
            alt=f"{row.project.code}: {caption}",
            size=sizes.get(name),
        )
        for name, caption in PICTURES.items()
        if name in files
    )


def _stocks(estimate: Mapping[str, Any]) -> tuple[Stock, ...]:
    known = estimate.get("agb_t_per_ha") or {}
    ends = (("start", "At the start"), ("end", "At the end"), ("change", "Change"))
    per_hectare = tuple(
        Stock(label, present.figure_of(known.get(name), unit=AGB_UNIT)) for name, label in ends
    )
    change = present.figure_of(estimate.get("agb_change_t"), unit="t")
    return (*per_hectare, Stock("Change of the whole area", change))


def _removals(removals: Mapping[str, Any] | None) -> tuple[Row, ...]:
    if not removals:
        return ()
    rows = []
    for name, label, part in REMOVALS:
        value = removals.get(name)
        text = present.number_text(value, digits=3)
        if part == "minus" and value:
            text = present.number_text(-value, digits=3)
        rows.append(Row(label, text, part))
    return tuple(rows)


def _facts(estimate: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Give what else is read with the numbers; what the document does not say is left out."""
    carbon = estimate.get("carbon") or {}
    observed = estimate.get("observations") or {}
    looks = observed.get("clear_looks") or {}
    facts = [
        ("Method", estimate.get("method")),
        ("NDVI of the area", _ndvi(estimate.get("ndvi") or {})),
        ("Vegetation lost", _lost(estimate.get("disturbance") or {})),
        ("Baseline", (estimate.get("baseline") or {}).get("method")),
        ("Root to shoot", _plain(carbon.get("root_shoot"), carbon.get("source"))),
        ("Carbon fraction", _plain(carbon.get("carbon_fraction"))),
        ("Scenes used", _count(observed.get("scenes_used"))),
        ("Scenes refused", _count(observed.get("scenes_refused"))),
        ("Clear looks a pixel", _looks(looks)),
    ]
    return tuple((name, value) for name, value in facts if value)


def _refused(estimate: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    listed = (estimate.get("observations") or {}).get("scenes_refused") or []
    return tuple((str(one.get("item_id", "")), str(one.get("reason", ""))) for one in listed)


def _interval(estimate: Mapping[str, Any]) -> str | None:
    """Say by name what the interval covers and what it leaves out."""
    said = estimate.get("uncertainty") or {}
    covers, leaves_out = said.get("covers"), said.get("leaves_out")
    if not covers or not leaves_out:
        return None
    return claims.interval_sentence(covers=str(covers), leaves_out="; ".join(leaves_out))


def _ndvi(means: Mapping[str, Any]) -> str | None:
    start, end, change = (means.get(name) for name in ("start", "end", "change"))
    if start is None or end is None or change is None:
        return None
    sign = "+" if change > 0 else ""
    texts = [present.number_text(value, digits=4) for value in (start, end, change)]
    return f"{texts[0]} to {texts[1]} ({sign}{texts[2]}), first and last season"


def _lost(loss: Mapping[str, Any]) -> str | None:
    hectares, share = loss.get("lost_ha"), loss.get("share")
    if hectares is None or share is None:
        return None
    return f"{present.number_text(hectares, digits=2)} ha ({share:.1%} of the area)"


def _looks(looks: Mapping[str, Any]) -> str | None:
    least, median = looks.get("min"), looks.get("median")
    return None if least is None or median is None else f"least {least}, median {median}"


def _count(listed: Any) -> str | None:
    return None if listed is None else str(len(listed))


def _plain(value: Any, source: Any = None) -> str | None:
    if value is None:
        return None
    return f"{value:g}" + (f" ({source})" if source else "")
