"""The project file: what the command line cannot carry, checked all at once.

May import errors and units (no arrays). Order: the values (they are the JSON Schema too:
data/schemas/amanar.project-1.schema.json), reading, the sentence of problems.
Every key may be absent; what an absent key means is said in its description.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from geo.errors import BadInput

PROJECT_SCHEMA = "amanar.project/1"

MIN_BUFFER_PERCENT = 12.0
"""Lowest non-permanence rating of the VCS AFOLU tool, v5.0 (data/reference 4.10)."""

MAX_AGB_T_PER_HA = 800.0

MAX_TCO2E = 1e9
"""More tonnes than this are a slip of the keyboard, not an area's (our choice)."""

FIRST_T0 = date(1970, 1, 1)
"""No imagery that can be measured here is older (Landsat 1: 1972)."""

_PREVIOUS_SLACK = 1e-6
"""Rounding allowed between the two previous sums, relative (and in tonnes below 1)."""

_Text = Annotated[str, Field(min_length=1, max_length=2000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class StatedRatio(_Part):
    """A root-to-shoot ratio with its source."""

    value: float = Field(gt=0, lt=10, description="BGB/AGB, t/t.")
    source: _Text | None = Field(None, description="Where the value is from.")
    justification: _Text | None = Field(
        None, description="Why a value outside 0.10 to 1.0 is right here."
    )


class Stratum(_Part):
    """One stratum of the plot design."""

    id: _Text = Field(description="As in the plots' column `stratum`.")
    area_ha: float = Field(gt=0, description="Hectares; all strata together are the area.")
    root_shoot: float | StatedRatio | None = Field(None, description="Overrides the project's.")
    zone: _Text | None = Field(None, description="Overrides the project's.")


class ModelCard(_Part):
    """How above-ground biomass follows from an index: form, coefficients, where it holds."""

    id: _Text
    index: Literal["ndvi"] = "ndvi"
    form: Literal["linear", "exponential", "power"] = Field(
        description="linear: a + b x; exponential: a exp(b x); power: a x^b; x the index, unit 1."
    )
    coefficients: tuple[float, float] = Field(description="a and b, giving t/ha.")
    covariance: tuple[tuple[float, float], tuple[float, float]] | None = Field(
        None, description="Of a and b; null where not known."
    )
    domain: tuple[float, float] = Field(description="Lowest and highest index it was made for.")
    saturation_agb: float = Field(
        gt=0, le=MAX_AGB_T_PER_HA, description="t/ha; predictions above are clamped and flagged."
    )
    source: _Text = Field(description="Publication or data that the card is from.")
    plots: int | None = Field(None, ge=0, description="Plots it was fitted on.")
    residual_sd: float | None = Field(None, ge=0, description="t/ha.")

    @model_validator(mode="after")
    def _domain_is_an_interval(self) -> ModelCard:
        low, high = self.domain
        if not -1 <= low < high <= 1:
            msg = f"domain [{low:g}, {high:g}] is no interval within [-1, 1]"
            raise ValueError(msg)
        if self.form == "power" and low <= 0:
            msg = "a power card needs a domain above 0"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _gives_biomass_at_both_ends(self) -> ModelCard:
        for index in self.domain:
            value = agb_t_per_ha(self, index)
            if not abs(value) <= MAX_AGB_T_PER_HA:
                msg = f"gives {value:.6g} t/ha at {index:g}, beyond {MAX_AGB_T_PER_HA:g}"
                raise ValueError(msg)
        return self


def agb_t_per_ha(card: ModelCard, index: float) -> float:
    """Evaluate the card's formula at one index (unit 1), t/ha, not clamped; inf where too large."""
    first, second = card.coefficients
    try:
        if card.form == "linear":
            return first + second * index
        if card.form == "exponential":
            return first * math.exp(second * index)
        return cast("float", first * index**second)
    except OverflowError:
        return math.copysign(math.inf, first)


class Applicability(_Part):
    """Who assessed that the methodology may be used here."""

    assessed_by: _Text
    assessed_on: date
    statement: _Text


class Benchmark(_Part):
    """Specification of the performance benchmark, registered at validation."""

    k: int = Field(ge=1, le=100)
    radius_km: float = Field(gt=0)
    covariates: tuple[_Text, ...]
    seed: int = Field(ge=0)


class ProjectFile(_Part):
    """Project file of an estimate (amanar.project/1); every key may be absent."""

    schema_: Literal["amanar.project/1"] | None = Field(None, alias="schema")
    name: _Text | None = Field(None, description="How the project is called; a label only.")
    t0: date | None = Field(
        None,
        ge=FIRST_T0,
        description="Start of the crediting period; absent: the start of this period.",
    )
    previous_net_tco2e: float | None = Field(
        None,
        ge=0,
        le=MAX_TCO2E,
        description="`net` of the report before, cumulative from t0; absent: 0.",
    )
    previous_buffer_base_tco2e: float | None = Field(
        None,
        ge=0,
        le=MAX_TCO2E,
        description="`buffer_base` of the report before, cumulative from t0; absent: 0.",
    )
    project_emissions_tco2e: float | None = Field(
        None, ge=0, le=MAX_TCO2E, description="Cumulative from t0; absent: 0."
    )
    leakage_tco2e: float | None = Field(
        None, ge=0, le=MAX_TCO2E, description="Cumulative from t0; absent: 0."
    )
    buffer_percent: float | None = Field(
        None, ge=MIN_BUFFER_PERCENT, le=100, description="Absent: 12, not rated."
    )
    root_shoot: float | StatedRatio | None = Field(
        None, description="BGB/AGB; absent and no zone: 0.26 (Mokany 2006), a fallback."
    )
    zone: _Text | None = Field(None, description="zone/continent/origin[/type].")
    plot_design: Literal["simple-random", "stratified", "systematic", "purposive"] | None = None
    permanent_plots: bool | None = Field(None, description="Absent: equal ids are one plot.")
    strata: tuple[Stratum, ...] | None = None
    estimator: Literal["mean", "difference", "greg"] | None = Field(
        None, description="Fixed before the end plots are read; absent: mean."
    )
    illustrative: bool | None = Field(
        None, description="True where plots are made up; absent: taken as true."
    )
    applicability: Applicability | None = Field(None, description="Absent: not assessed.")
    benchmark: Benchmark | None = Field(None, description="Absent: the default specification.")
    vmd0054: dict[str, JsonValue] | None = Field(
        None, description="Leakage inputs; absent: leakage as declared."
    )
    nprt: dict[str, JsonValue] | None = Field(
        None, description="Risk-tool inputs; absent: buffer_percent as declared."
    )
    model_card: ModelCard | None = Field(None, description="A biomass model given from outside.")

    @model_validator(mode="after")
    def _strata_have_one_row_each(self) -> ProjectFile:
        names = [stratum.id for stratum in self.strata or ()]
        if len(set(names)) < len(names):
            msg = f"strata name {', '.join(sorted({n for n in names if names.count(n) > 1}))} twice"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _previous_sums_belong_together(self) -> ProjectFile:
        """Hold the base to its report's net: base = net + emissions + leakage of that report.

        Both are cumulative, so those of the report before are at most those stated now.
        """
        net, base = self.previous_net_tco2e or 0.0, self.previous_buffer_base_tco2e or 0.0
        most = net + (self.project_emissions_tco2e or 0.0) + (self.leakage_tco2e or 0.0)
        if base - most > _PREVIOUS_SLACK * max(1.0, most):
            msg = (
                f"previous_buffer_base_tco2e {base:g} is more than previous_net_tco2e, "
                f"project_emissions_tco2e and leakage_tco2e together ({most:g}): no report had both"
            )
            raise ValueError(msg)
        return self

    @property
    def absent(self) -> tuple[str, ...]:
        """Keys that are not there or null, in the order of the schema; labels left out."""
        names = [name for name in type(self).model_fields if name not in {"schema_", "name"}]
        return tuple(name for name in names if getattr(self, name) is None)

    def document(self) -> dict[str, Any]:
        """Give the file back as JSON values, only with the keys that are there."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def read_project(source: Path | str | Mapping[str, object] | None) -> ProjectFile:
    """Read a project file, a mapping of the same keys, or nothing (all keys absent).

    Raises
    ------
    BadInput
        With every problem of the file at once: unknown keys (with the key that was perhaps
        meant), wrong types, values out of range, a key given twice, NaN.
    """
    if source is None:
        return ProjectFile()
    if isinstance(source, Mapping):
        name, values = "project", dict(source)
    else:
        name, values = f"project file {Path(source).name}", _parsed(Path(source))
    try:
        return ProjectFile.model_validate_json(json.dumps(values, allow_nan=True))
    except ValidationError as error:
        told = [_sentence(problem) for problem in error.errors(include_url=False)]
        raise BadInput(
            what=name,
            problem="; ".join(told),
            fix="The schema and a complete example are in data/schemas and data/examples.",
            problems=tuple(told),
        ) from error


def project_schema() -> dict[str, Any]:
    """Give the JSON Schema of the project file (committed in data/schemas)."""
    schema = ProjectFile.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _parsed(path: Path) -> dict[str, object]:
    name = f"project file {path.name}"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        told = getattr(error, "strerror", None) or "it is not UTF-8"
        raise BadInput(
            what=name, problem=f"cannot be read ({told})", fix="Give the path of a JSON file."
        ) from error
    twice: list[str] = []

    def without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in pairs]
        twice.extend(sorted({key for key in keys if keys.count(key) > 1}))
        return dict(pairs)

    try:
        values = json.loads(text, object_pairs_hook=without_repeats)
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadInput(
            what=name, problem=f"is no JSON ({error})", fix="Mend it and give it again."
        ) from error
    if twice or not isinstance(values, dict):
        problem = f"names {', '.join(twice)} twice" if twice else "is no JSON object"
        raise BadInput(what=name, problem=problem, fix="Mend it and give it again.")
    return values


def _sentence(problem: Mapping[str, Any]) -> str:
    """Say one problem of pydantic in our words: where, what it is, what is wrong."""
    where = ".".join(str(part) for part in problem["loc"]) or "the whole"
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(where, ProjectFile.model_fields, n=1, cutoff=0.7)
        return f"{where} is no key of it" + (f" (meant: {near[0]}?)" if near else "")
    given = problem.get("input")
    shown = f" ({given!r} given)" if isinstance(given, int | float | str | bool) else ""
    told = str(problem["msg"]).removeprefix("Value error, ")
    return f"{where}: {told[:1].lower()}{told[1:]}{shown}"
