"""How values look on the wire: quantities, money, kinds, and the claim that goes with them.

Every answer extends `Answer` (it carries the environment); every answer with a quantity carries a
`Claim` (kind, methodology status, the sentences that must be read with the number). Integers are
the truth; the text beside them is for people. Imports pydantic and registry.domain only.

Order: text that may enter, quantities and money, claims, answers.
"""

import math
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from registry.domain.claims import Environment, Kind, statement_for
from registry.domain.quantities import MAX_KG, money_text, tonnes_text

MAX_DEPTH = 12
"""Levels of JSON that is stored as it came."""

LINE_BREAKS = "\n\r\t"


def _printable(text: str) -> str:
    """Refuse what a database, a PDF or a reader cannot carry: control characters, surrogates."""
    for sign in text:
        category = unicodedata.category(sign)
        if category == "Cs" or (category == "Cc" and sign not in LINE_BREAKS):
            message = f"the character U+{ord(sign):04X} cannot be stored; leave it out"
            raise ValueError(message)
    return text


def _one_line(text: str) -> str:
    if any(sign in text for sign in LINE_BREAKS):
        message = "must be one line"
        raise ValueError(message)
    return text


def _not_blank(text: str) -> str:
    stripped = text.strip()
    if not stripped:
        message = "must not be blank"
        raise ValueError(message)
    return stripped


Prose = Annotated[
    str, Field(max_length=4000), AfterValidator(_printable), AfterValidator(_not_blank)
]
"""Sentences that people write: reasons, notes."""

Line = Annotated[
    str,
    Field(max_length=200),
    AfterValidator(_printable),
    AfterValidator(_one_line),
    AfterValidator(_not_blank),
]
"""One line of text: a name, a label."""

Kilograms = Annotated[int, Field(ge=1, le=MAX_KG, description="Whole kilograms of CO2e.")]
MinorUnits = Annotated[int, Field(ge=1, le=MAX_KG, description="Whole minor units (cents).")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.", examples=["XTS"])]
CountryCode = Annotated[
    str, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2.", examples=["RO"])
]


class Body(BaseModel):
    """What a client sends: a key that is not known is refused, not ignored."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False, strict=False)


class Quantity(BaseModel):
    """An amount of CO2e: the integer is the truth, the text is the same in tonnes."""

    kg: int = Field(description="Whole kilograms of CO2e; one serial number is one kilogram.")
    tonnes: str = Field(description="The same in tonnes, exactly, three decimals.")
    unit: Literal["kg CO2e"] = "kg CO2e"

    @classmethod
    def of(cls, kg: int) -> Self:
        """Give the wire form of whole kilograms."""
        return cls(kg=kg, tonnes=tonnes_text(kg))


class Money(BaseModel):
    """An amount of money in minor units of one currency."""

    minor: int
    currency: str
    text: str

    @classmethod
    def of(cls, minor: int, currency: str) -> Self:
        """Give the wire form of whole minor units."""
        return cls(minor=minor, currency=currency, text=money_text(minor, currency))


class Methodology(BaseModel):
    """Which published equations were followed, and who has checked that: nobody yet."""

    id: str
    conformity: str
    unconfirmed: list[str]


class Claim(BaseModel):
    """What has to be read together with a quantity."""

    kind: Kind
    methodology: Methodology
    sentences: list[str]

    @classmethod
    def of(cls, *, kind: str, environment: str, methodology: Mapping[str, Any]) -> Self:
        """Give the claim that the one catalog of sentences makes for this quantity."""
        sentences = statement_for(kind=kind, environment=environment, methodology=methodology)
        return cls.model_validate(
            {
                "kind": kind,
                "methodology": {
                    "id": methodology["id"],
                    "conformity": methodology["conformity"],
                    "unconfirmed": methodology.get("unconfirmed") or [],
                },
                "sentences": list(sentences),
            }
        )


class Answer(BaseModel):
    """The root of every JSON answer."""

    environment: Environment


class Days(BaseModel):
    """A period: calendar days, both ends inside."""

    start: date
    end: date


class Page(Answer):
    """The root of every list."""

    next: str | None = Field(
        default=None, description="Give it as `after` for the rows that follow; null at the end."
    )


def finite_json(value: Any) -> Any:
    """Refuse NaN, infinities, NUL and depth in JSON that will be stored as it came."""
    return _walk(value, depth=0)


def _walk(value: Any, *, depth: int) -> Any:
    if depth > MAX_DEPTH:
        message = f"nested deeper than {MAX_DEPTH} levels"
        raise ValueError(message)
    if isinstance(value, dict):
        for key, inner in value.items():
            _printable(key)
            _walk(inner, depth=depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _walk(inner, depth=depth + 1)
    elif isinstance(value, str):
        _printable(value)
    elif isinstance(value, float) and not math.isfinite(value):
        message = "numbers must be finite"
        raise ValueError(message)
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_KG:
        message = "whole numbers must be below 2^53"
        raise ValueError(message)
    return value
