"""What a certificate of retirement says; plain Python, imports the words, the numbers and `proof`.

The log's leaf of a retirement holds everything that is later printed, sentences included, so a
certificate is only a leaf with its proof: nothing can be printed that was not recorded.

Order: what is recorded, what is handed out.
"""

from __future__ import annotations

import base64
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from registry.domain import claims, proof
from registry.domain.quantities import tonnes_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime
    from uuid import UUID

    from registry.domain.credits import Serial


@dataclass(frozen=True)
class Use:
    """What a retirement is for, as the person who retires says it."""

    beneficiary: str
    purpose: str
    country: str | None = None
    """Of the beneficiary, ISO 3166-1 alpha-2."""
    period_start: date | None = None
    period_end: date | None = None
    """Last day, inside; what the retirement is claimed for, such as a business year."""
    note: str | None = None


@dataclass(frozen=True)
class Origin:
    """Where the retired kilograms come from."""

    project_code: str
    project_name: str
    kind: str
    methodology: Mapping[str, Any]
    """`id`, `conformity`, `unconfirmed`, perhaps `applicability`; from the approved estimate."""
    report_digest: str
    evidence_uri: str


def number_of(retirement_id: UUID, environment: str) -> str:
    """Give the number of a certificate: one retirement, one number."""
    mark = "SANDBOX-" if environment == "sandbox" else ""
    return f"{mark}AMR-RETIREMENT-{retirement_id}"


def moment_text(at: datetime) -> str:
    """Write a UTC time in the one form that is signed: 2026-11-21T02:33:00.000000Z."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def retirement_content(
    *,
    retirement_id: UUID,
    serials: Sequence[Serial],
    use: Use,
    origin: Origin,
    holder: str,
    retired_at: datetime,
) -> dict[str, Any]:
    """Give everything that the log records of a retirement, and that its certificate prints.

    Parameters
    ----------
    serials
        Runs of serials of one batch, in order.
    holder
        Name of the organisation whose account the credits left.
    retired_at
        UTC.
    """
    one = serials[0]
    quantity_kg = sum(serial.serials.quantity_kg for serial in serials)
    methodology = _methodology(origin.methodology)
    period = None
    if use.period_start is not None and use.period_end is not None:
        period = {"start": use.period_start.isoformat(), "end": use.period_end.isoformat()}
    return {
        "number": number_of(retirement_id, one.environment),
        "unit": claims.UNIT,
        "quantity_kg": quantity_kg,
        "quantity_t": tonnes_text(quantity_kg),
        "serials": [serial.text() for serial in serials],
        "beneficiary": use.beneficiary,
        "purpose": use.purpose,
        "country": use.country,
        "period": period,
        "note": use.note,
        "holder": holder,
        "retired_at": moment_text(retired_at),
        "project": {
            "code": origin.project_code,
            "name": origin.project_name,
            "country": one.country,
        },
        "batch": one.batch,
        "vintage": {"start": one.vintage.start.isoformat(), "end": one.vintage.end.isoformat()},
        "kind": origin.kind,
        "methodology": methodology,
        "report_digest": origin.report_digest,
        "evidence_uri": origin.evidence_uri,
        "statement": [
            *claims.statement_for(
                kind=origin.kind, environment=one.environment, methodology=methodology
            ),
            claims.CERTIFICATE,
        ],
    }


def _methodology(said: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what an estimate says of its methodology, as text that can be signed."""
    found: dict[str, Any] = {
        "id": str(said.get("id")),
        "conformity": said.get("conformity"),
        "unconfirmed": [str(name) for name in said.get("unconfirmed") or ()],
        "applicability": "not assessed",
    }
    assessed = said.get("applicability")
    if isinstance(assessed, dict):
        found["applicability"] = {name: str(value) for name, value in assessed.items()}
    elif isinstance(assessed, str):
        found["applicability"] = assessed
    return found


def assemble(
    *,
    leaf: Mapping[str, Any],
    leaf_index: int,
    inclusion_path: Sequence[bytes],
    checkpoint: proof.Checkpoint,
    signature: bytes,
    public_key: bytes,
) -> dict[str, Any]:
    """Put a sealed leaf and its proof together into a certificate (`proof.SCHEMA`).

    Parameters
    ----------
    leaf
        The recorded event, exactly the fields that its hash covers.
    leaf_index, inclusion_path
        Its place in the tree of `checkpoint.size` leaves and the path to the root.
    signature, public_key
        Ed25519 over `checkpoint.text()`, 64 bytes; raw public key, 32 bytes.
    """
    content = deepcopy(dict(leaf["content"]))
    return {
        "schema": proof.SCHEMA,
        "environment": leaf["environment"],
        "number": content.pop("number"),
        "statement": content.pop("statement"),
        "retirement": content,
        "log": {
            "leaf": deepcopy(dict(leaf)),
            "leaf_index": leaf_index,
            "tree_size": checkpoint.size,
            "inclusion_proof": [step.hex() for step in inclusion_path],
            "checkpoint": proof.note_of(checkpoint, public_key=public_key, signature=signature),
            "public_key": base64.b64encode(public_key).decode(),
            "fingerprint": proof.fingerprint_of(public_key),
        },
    }
