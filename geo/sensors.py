"""Sensor cards: how the numbers of one kind of imagery are to be read.

Imports errors only; no arrays. Order: the values, the built-in cards, reading a card, its parts.
A card is data (data/sensors/*.json, or a user's own file); scale and offset are exact rationals.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from geo.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

CARD_SCHEMA = "amanar.sensor/1"
CARDS_DIR = Path(__file__).resolve().parents[1] / "data" / "sensors"

ROLES = ("blue", "green", "red", "nir", "swir16", "swir22")
"""Bands that an index may ask for, named as STAC common names; `nir` may be `nir08`."""

MaskKind = Literal["scl", "qa_pixel", "none"]
ScaleFrom = Literal["card", "item"]
OffsetRule = Literal["card", "sentinel-2"]

MIN_LOOKS = 3
"""Clear looks a pixel needs in a season (rules: at least 3, else no value)."""

_SEASON = re.compile(r"(\d{2})-(\d{2})/(\d{2})-(\d{2})")
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DTYPES = {"uint8", "uint16", "int16"}


@dataclass(frozen=True)
class MaskRule:
    """How a quality layer says which pixels were seen clearly."""

    rule: MaskKind
    assets: tuple[str, ...] = ()
    """Asset keys of the quality layer, the first one that an item has is used."""
    keep: tuple[int, ...] = ()
    """`scl`: the classes kept."""
    dilate_classes: tuple[int, ...] = ()
    """`scl`: the classes whose surroundings are masked too."""
    dilate_m: float = 0.0
    """`scl`: how far around them, metres; 0 is not at all."""
    reject_bits: tuple[int, ...] = ()
    """`qa_pixel`: a pixel with any of these bits set is masked."""
    cirrus_below: int | None = None
    """`qa_pixel`: bits 14-15 must be below this; None asks nothing."""
    saturation_assets: tuple[str, ...] = ()
    """`qa_pixel`: a layer that must be 0, where an item has it."""


@dataclass(frozen=True)
class Recognise:
    """What an item must say for a built-in card to be taken for it."""

    mission: str
    data_type: str
    interval: bool = False


@dataclass(frozen=True)
class SensorCard:
    """One kind of imagery: its bands, scale, missing value, mask and season."""

    id: str
    title: str
    bands: Mapping[str, tuple[str, ...]]
    """Role to asset keys, the first one that an item has is used; `key#2` is its second band."""
    scale: str
    """Decimal text: reflectance = scale x DN + offset."""
    offset: str
    nodata: int | None
    valid_dn: tuple[int, int]
    """Lowest and highest DN that is a measurement, inclusive."""
    mask: MaskRule
    source: str
    scale_from: ScaleFrom = "card"
    """`item`: an item's own scale and offset come first, the card's where it states none."""
    offset_rule: OffsetRule = "card"
    """`sentinel-2`: the offset of each scene is settled by its witnesses."""
    season: str | None = None
    """`MM-DD/MM-DD`, both inclusive; None leaves the whole year."""
    composite: bool = False
    """An item is itself made of many dates: one look is enough, their number is unknown."""
    scale_inferred: bool = False
    """The scale was guessed: only indices that do not depend on it may be formed."""
    derived: bool = False
    """Made from the items' own metadata, not written by anybody."""
    recognise: Recognise | None = None

    @property
    def min_looks(self) -> int:
        """Clear looks needed for a seasonal value."""
        return 1 if self.composite else MIN_LOOKS

    def exact_scale(self) -> tuple[Fraction, Fraction]:
        """Give scale and offset as exact rationals."""
        return Fraction(self.scale), Fraction(self.offset)

    def to_json(self) -> dict[str, Any]:
        """Give the card as plain JSON, the form `card_from_json` reads."""
        document = {"schema": CARD_SCHEMA, **asdict(self)}
        return cast("dict[str, Any]", json.loads(json.dumps(document)))


def builtin_cards() -> Mapping[str, SensorCard]:
    """Give the cards that come with the house, by id."""
    return _builtin_cards()


@cache
def _builtin_cards() -> dict[str, SensorCard]:
    cards = [read_card(path) for path in sorted(CARDS_DIR.glob("*.json"))]
    return {card.id: card for card in cards}


def read_card(path: str | Path) -> SensorCard:
    """Read a card file; every problem in it is named at once.

    Raises
    ------
    BadInput
        When the file cannot be read or says something that a card may not say.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            what=f"sensor card {path}",
            problem=f"cannot be read ({error})",
            fix="Name a built-in sensor or a JSON file that exists.",
        ) from error
    except json.JSONDecodeError as error:
        raise BadInput(
            what=f"sensor card {path}",
            problem=f"is not JSON ({error})",
            fix="Mend the file at that place; data/sensors holds complete examples.",
        ) from error
    return card_from_json(document, what=f"sensor card {path}")


def card_from_json(document: object, *, what: str = "sensor card") -> SensorCard:
    """Make a card from parsed JSON; raises `BadInput` naming every problem."""
    problems = _problems(document)
    if problems:
        raise BadInput(
            what=what,
            problem="; ".join(problems),
            fix="Mend these; data/sensors holds complete examples.",
        )
    said = dict(cast("dict[str, Any]", document))
    said.pop("schema")
    mask, recognise = dict(said.pop("mask")), said.pop("recognise", None)
    lists = ("assets", "keep", "dilate_classes", "reject_bits", "saturation_assets")
    mask.update({key: tuple(mask[key]) for key in lists if key in mask})
    bands = {role: tuple(keys) for role, keys in said.pop("bands").items()}
    return SensorCard(
        **{
            **said,
            "bands": bands,
            "scale": str(said["scale"]),
            "offset": str(said["offset"]),
            "valid_dn": tuple(said["valid_dn"]),
            "mask": MaskRule(**mask),
            "recognise": Recognise(**recognise) if recognise else None,
        }
    )


def season_days(season: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Split `MM-DD/MM-DD` into (month, day) of its first and last day.

    Raises
    ------
    BadInput
        When it is not written so or names a day that no year has.
    """
    found = _SEASON.fullmatch(season)
    if found:
        numbers = [int(part) for part in found.groups()]
        days = ((numbers[0], numbers[1]), (numbers[2], numbers[3]))
        if all(1 <= month <= 12 and 1 <= day <= _DAYS_IN_MONTH[month - 1] for month, day in days):  # noqa: PLR2004  # months of a year
            return days
    raise BadInput(
        what=f"season {season!r}",
        problem="is not two days of a year",
        fix="Write it as MM-DD/MM-DD, for example 06-01/08-31.",
    )


_REQUIRED = {"schema", "id", "title", "bands", "scale", "offset", "nodata", "valid_dn", "mask"}
_REQUIRED |= {"source"}
_KEYS = _REQUIRED | {"scale_from", "offset_rule", "season", "composite", "scale_inferred"}
_KEYS |= {"derived", "recognise"}
_CHOICES = {"scale_from": {"card", "item"}, "offset_rule": {"card", "sentinel-2"}}


def _problems(document: object) -> list[str]:
    if not isinstance(document, dict):
        return ["is not a JSON object"]
    problems = [f"{key} is missing" for key in sorted(_REQUIRED - document.keys())]
    problems += [f"{key} is not a key of a card" for key in sorted(document.keys() - _KEYS)]
    if problems:
        return problems
    if document["schema"] != CARD_SCHEMA:
        problems.append(f"schema is {document['schema']!r}, not {CARD_SCHEMA!r}")
    for key in ("id", "title", "source"):
        if not isinstance(document[key], str) or not document[key].strip():
            problems.append(f"{key} is not a text")
    for key in ("composite", "scale_inferred", "derived"):
        if not isinstance(document.get(key, False), bool):
            problems.append(f"{key} is neither true nor false")
    for key, choices in _CHOICES.items():
        if key in document and document[key] not in choices:
            problems.append(f"{key} {document[key]!r} is none of {', '.join(sorted(choices))}")
    problems += _band_problems(document["bands"]) + _number_problems(document)
    problems += _mask_problems(document["mask"]) + _season_problems(document.get("season"))
    return problems + _recognise_problems(document.get("recognise"))


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) and part for part in value)


def _is_wholes(value: object) -> bool:
    return isinstance(value, list) and all(type(part) is int for part in value)


def _band_problems(bands: object) -> list[str]:
    if not isinstance(bands, dict) or not bands:
        return ["bands is not an object of role and asset keys"]
    problems = [
        f"bands has the unknown role {role!r} (roles: {', '.join(ROLES)})"
        for role in bands
        if role not in ROLES
    ]
    problems += [
        f"bands.{role} is not a list of asset keys"
        for role, keys in bands.items()
        if not _is_texts(keys) or not keys
    ]
    missing = [role for role in ("red", "nir") if role not in bands]
    return problems + [f"bands has no {role}, which NDVI needs" for role in missing]


def _number_problems(document: dict[str, Any]) -> list[str]:
    problems = []
    for key in ("scale", "offset"):
        value = document[key]
        try:
            number = Fraction(str(value)) if not isinstance(value, bool) else None
        except (ValueError, ZeroDivisionError):
            number = None
        if number is None:
            problems.append(f"{key} {value!r} is not a number")
        elif key == "scale" and number <= 0:
            problems.append(f"scale {value!r} is not above 0")
    if document["nodata"] is not None and type(document["nodata"]) is not int:
        problems.append(f"nodata {document['nodata']!r} is neither a whole number nor null")
    valid = document["valid_dn"]
    if not _is_wholes(valid) or len(valid) != 2 or valid[0] > valid[1]:  # noqa: PLR2004  # a pair
        problems.append("valid_dn is not [lowest, highest]")
    return problems


def _mask_problems(mask: object) -> list[str]:
    kinds = {"scl", "qa_pixel", "none"}
    if not isinstance(mask, dict) or mask.get("rule") not in kinds:
        return [f"mask.rule is none of {', '.join(sorted(kinds))}"]
    allowed = {
        "scl": {"rule", "assets", "keep", "dilate_classes", "dilate_m"},
        "qa_pixel": {"rule", "assets", "reject_bits", "cirrus_below", "saturation_assets"},
        "none": {"rule"},
    }[mask["rule"]] | set(_defaults(mask))
    problems = [f"mask.{key} has no meaning here" for key in sorted(mask.keys() - allowed)]
    problems += [
        f"mask.{key} is not a list of asset keys"
        for key in ("assets", "saturation_assets")
        if not _is_texts(mask.get(key, []))
    ]
    problems += [
        f"mask.{key} is not a list of whole numbers"
        for key in ("keep", "dilate_classes", "reject_bits")
        if not _is_wholes(mask.get(key, []))
    ]
    needed = {"scl": ("assets", "keep"), "qa_pixel": ("assets", "reject_bits"), "none": ()}
    problems += [f"mask.{key} is empty" for key in needed[mask["rule"]] if not mask.get(key)]
    reach = mask.get("dilate_m", 0)
    if isinstance(reach, bool) or not isinstance(reach, int | float) or not 0 <= reach <= 1000:  # noqa: PLR2004  # a kilometre
        problems.append("mask.dilate_m is not a length of 0 to 1000 metres")
    if mask.get("cirrus_below") not in {None, 1, 2, 3}:
        problems.append("mask.cirrus_below is not 1, 2, 3 or null")
    return problems


def _defaults(mask: dict[str, Any]) -> list[str]:
    """Give the keys that stand there with the value they have when absent (a written-out card)."""
    absent = asdict(MaskRule(rule="none"))
    return [
        key
        for key, value in mask.items()
        if key in absent and (tuple(value) if isinstance(value, list) else value) == absent[key]
    ]


def _season_problems(season: object) -> list[str]:
    if season is None:
        return []
    try:
        season_days(str(season))
    except BadInput as error:
        return [f"season {error.fields['problem']} (MM-DD/MM-DD)"]
    return []


def _recognise_problems(recognise: object) -> list[str]:
    if recognise is None:
        return []
    if not isinstance(recognise, dict) or recognise.keys() - {"mission", "data_type", "interval"}:
        return ["recognise is not {mission, data_type, interval}"]
    if not isinstance(recognise.get("mission"), str) or recognise.get("data_type") not in _DTYPES:
        return [f"recognise needs a mission and a data_type ({', '.join(sorted(_DTYPES))})"]
    return []
