"""The printed certificate: typst and a QR code; imports the domain, never the database.

The same document gives the same bytes: the fonts are those inside typst, the time in the file is
the time of retirement. The file is PDF/A-3a, tagged, and carries its certificate as an attachment.

Order: rendering, what is put on the page, characters that the fonts do not have.
"""

from __future__ import annotations

import io
import json
import unicodedata
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import segno
import typst

from registry.domain import claims, proof

if TYPE_CHECKING:
    from collections.abc import Mapping

TEMPLATE = Path(__file__).with_name("certificate.typ")

SCRIPTS = frozenset({"LATIN", "GREEK", "CYRILLIC"})
"""Scripts that the fonts inside typst can print; others are printed by code point."""

SIGNS = frozenset(
    {
        "EN DASH",
        "EM DASH",
        "LEFT SINGLE QUOTATION MARK",
        "RIGHT SINGLE QUOTATION MARK",
        "LEFT DOUBLE QUOTATION MARK",
        "RIGHT DOUBLE QUOTATION MARK",
        "DOUBLE LOW-9 QUOTATION MARK",
        "LEFT-POINTING DOUBLE ANGLE QUOTATION MARK",
        "RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK",
        "HORIZONTAL ELLIPSIS",
        "MIDDLE DOT",
        "DEGREE SIGN",
        "EURO SIGN",
        "SECTION SIGN",
        "MULTIPLICATION SIGN",
        "PLUS-MINUS SIGN",
        "SUBSCRIPT TWO",
        "SUPERSCRIPT TWO",
        "SUPERSCRIPT THREE",
    }
)


def render(document: Mapping[str, Any]) -> bytes:
    """Print a certificate as PDF/A-3a.

    Parameters
    ----------
    document
        A certificate as `registry.services.certificate.build` gives it; it should have been
        checked, for the page prints what it is given.

    Returns
    -------
    The PDF's bytes, the same for the same document. Text in a script that the fonts lack is
    printed as code points (`U+4E2D`); the attached JSON has it as written.
    """
    retired_at = datetime.strptime(
        document["retirement"]["retired_at"], "%Y-%m-%dT%H:%M:%S.%fZ"
    ).replace(tzinfo=UTC)
    made = typst.compile(
        TEMPLATE.read_bytes(),
        format="pdf",
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs=_inputs(document),
        pdf_standards=["a-3a"],
        timestamp=retired_at.replace(microsecond=0),
    )
    return bytes(made)


def picture(document: Mapping[str, Any], *, ppi: float = 144) -> list[bytes]:
    """Draw the pages of a certificate as PNG, one each, for a look on a screen."""
    made = typst.compile(
        TEMPLATE.read_bytes(),
        format="png",
        font_paths=_fonts(),
        ignore_system_fonts=True,
        sys_inputs=_inputs(document),
        ppi=ppi,
    )
    return [bytes(page) for page in (made if isinstance(made, list) else [made])]


@cache
def _fonts() -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True)


def _inputs(document: Mapping[str, Any]) -> dict[str, str]:
    page = _page(document)
    drawn = io.BytesIO()
    segno.make(page["qr_text"], error="m", micro=False).save(
        drawn, kind="svg", border=0, dark="#14261f", light="#ffffff", xmldecl=False, svgns=True
    )
    return {
        "data": json.dumps(_printable(page), ensure_ascii=False),
        "qr": drawn.getvalue().decode(),
        "document": json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True) + "\n",
    }


def _page(document: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what stands on the page; every value comes out of the document."""
    retirement, log = document["retirement"], document["log"]
    checkpoint, _, _ = proof.read_note(log["checkpoint"])
    leaf_sha256 = proof.leaf_hash(proof.canonical_json(log["leaf"])).hex()
    sandbox = document["environment"] == "sandbox"
    return {
        "environment": document["environment"],
        "watermark": claims.WATERMARK,
        "sandbox": claims.SANDBOX,
        "number": document["number"],
        "quantity": retirement["quantity_t"],
        "quantity_kg": f"{retirement['quantity_kg']:,}",
        "beneficiary": retirement["beneficiary"],
        "purpose": retirement["purpose"],
        "kind": retirement["kind"],
        "note": retirement["note"],
        "retired_on": retirement["retired_at"][:10],
        "project": "{name} ({code}), {country}".format(**retirement["project"]),
        "facts": _facts(retirement),
        "serials": [[text, f"{_quantity_kg(text):,}"] for text in retirement["serials"]],
        "statement": [
            text for text in document["statement"] if not (sandbox and text == claims.SANDBOX)
        ],
        "origin": checkpoint.origin,
        "leaf_index": str(log["leaf_index"]),
        "tree_size": str(log["tree_size"]),
        "leaf_sha256": leaf_sha256,
        "root_sha256": checkpoint.root.hex(),
        "fingerprint": log["fingerprint"],
        "report_digest": retirement["report_digest"],
        "evidence_uri": retirement["evidence_uri"],
        "qr_text": f"{document['number']} leaf {leaf_sha256} key {log['fingerprint']}",
    }


def _facts(retirement: Mapping[str, Any]) -> list[list[str]]:
    vintage, period = retirement["vintage"], retirement["period"]
    used_for = f"{period['start']} to {period['end']}" if period else "not stated"
    return [
        ["vintage", f"{vintage['start']} to {vintage['end']}"],
        ["batch", f"number {retirement['batch']} of this project"],
        ["methodology", retirement["methodology"]["id"]],
        ["kind", retirement["kind"]],
        ["retired by", retirement["holder"]],
        ["retired at", f"{retirement['retired_at'][11:19]} UTC, {retirement['retired_at'][:10]}"],
        ["beneficiary in", retirement["country"] or "not stated"],
        ["claimed for", used_for],
    ]


def _quantity_kg(serial: str) -> int:
    first, last = serial.rsplit("-", 2)[1:]
    return int(last) - int(first) + 1


# --- characters that the fonts do not have -------------------------------------------------------


def _printable(value: Any) -> Any:
    """Replace, in every text, the characters that would print as empty boxes."""
    if isinstance(value, str):
        composed = unicodedata.normalize("NFC", value)
        return "".join(char if _has_glyph(char) else f"[U+{ord(char):04X}]" for char in composed)
    if isinstance(value, dict):
        return {name: _printable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_printable(inner) for inner in value]
    return value


@cache
def _has_glyph(char: str) -> bool:
    if char.isascii():
        return char.isprintable() or char == "\n"
    name = unicodedata.name(char, "")
    return name in SIGNS or (name.partition(" ")[0] in SCRIPTS and ord(char) <= _LAST_COMMON)


_LAST_COMMON = 0x04FF
"""Last code point of the Cyrillic block; beyond it the fonts have gaps."""
