"""Kilograms, tonnes and money without floats; imports errors only.

The ledger counts whole kilograms of CO2e; a credit is 1,000 of them (1 tCO2e). Money is a whole
number of minor units of one currency. Text is for people, integers are for the books.

Order: tonnes, money.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from registry.errors import NotAQuantity

if TYPE_CHECKING:
    from decimal import Decimal

KG_PER_T = 1_000
"""Kilograms in a tonne; one credit is one tonne of CO2e."""

MAX_KG = 2**53 - 1
"""Largest quantity: exact in BIGINT and in a JSON number as every client reads it."""

SANDBOX_CURRENCY = "XTS"
"""The code that ISO 4217 reserves for testing: play money, no currency of any country."""

MINOR_DIGITS = {SANDBOX_CURRENCY: 2}
"""Decimal digits of each currency's minor unit. ISO 4217 gives XTS none; 2 is our choice."""


# --- tonnes --------------------------------------------------------------------------------------


def tonnes_text(quantity_kg: int) -> str:
    """Write kilograms as tonnes with three decimals: 1350 is "1.350", -5 is "-0.005"."""
    sign = "-" if quantity_kg < 0 else ""
    tonnes, kg = divmod(abs(quantity_kg), KG_PER_T)
    return f"{sign}{tonnes}.{kg:03d}"


def kg_from_tonnes_text(text: str) -> int:
    """Read tonnes as a person writes them into kilograms: "1.35" is 1350.

    Raises
    ------
    NotAQuantity
        If the text is not digits with at most three decimals, or not in 0.001 t … MAX_KG.
    """
    found = re.fullmatch(r"([0-9]{1,15})(?:\.([0-9]{1,3}))?", text.strip(), flags=re.ASCII)
    if found is None:
        raise NotAQuantity(text=text, wanted="tonnes with at most three decimals, such as 1.350")
    quantity_kg = int(found[1]) * KG_PER_T + int((found[2] or "0").ljust(3, "0"))
    if not 0 < quantity_kg <= MAX_KG:
        raise NotAQuantity(text=text, wanted="at least 0.001 t")
    return quantity_kg


def exact_tonnes(value: str | float | Decimal | Fraction) -> Fraction:
    """Give the exact value of tonnes as they are written.

    A float is read by the shortest decimal that means it (`repr`), which is the text that stood
    in the JSON: digests carry at most 9 significant digits, floats keep 15. So 0.1 is 1/10.

    Raises
    ------
    NotAQuantity
        If the value is no finite number.
    """
    try:
        exact = Fraction(repr(value) if isinstance(value, float) else value)
    except (ValueError, OverflowError, TypeError) as fault:
        raise NotAQuantity(text=str(value), wanted="a finite number of tonnes") from fault
    return exact


# --- money ---------------------------------------------------------------------------------------


def price_for(quantity_kg: int, price_minor_per_t: int) -> int:
    """Give what a quantity costs, in minor units, at a price per tonne.

    quantity_kg x price / 1000, **rounded up** to the next minor unit. Up, because any other rule
    gives kilograms away: at 1.00 a tonne, rounding to the nearest would sell 4 kg for nothing,
    again and again. A buyer who splits a purchase pays at most one minor unit more a part.
    """
    return -(-quantity_kg * price_minor_per_t // KG_PER_T)


def money_text(amount_minor: int, currency: str) -> str:
    """Write money for people: 1250 minor units of XTS are "12.50 XTS"."""
    digits = MINOR_DIGITS[currency]
    sign = "-" if amount_minor < 0 else ""
    scale: int = 10**digits
    whole, part = divmod(abs(amount_minor), scale)
    return f"{sign}{whole}.{part:0{digits}d} {currency}"


def minor_from_text(text: str, currency: str) -> int:
    """Read money as a person writes it: "12.5" of XTS is 1250 minor units.

    Raises
    ------
    NotAQuantity
        If the text has more decimals than the currency, or is not a positive amount.
    """
    digits = MINOR_DIGITS[currency]
    found = re.fullmatch(r"([0-9]{1,15})(?:\.([0-9]+))?", text.strip(), flags=re.ASCII)
    if found is None or len(found[2] or "") > digits:
        raise NotAQuantity(text=text, wanted=f"an amount of {currency} with {digits} decimals")
    scale: int = 10**digits
    amount = int(found[1]) * scale + int((found[2] or "0").ljust(digits, "0"))
    if not 0 < amount <= MAX_KG:
        raise NotAQuantity(text=text, wanted="an amount above zero")
    return amount
