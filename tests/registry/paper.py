"""Certificates made without a database, for tests of the checker and of the print."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from registry.domain import proof
from registry.domain.certificate import Origin, Use, assemble, moment_text, retirement_content
from registry.domain.credits import Serial, SerialRange, Vintage
from registry.domain.merkle import Tree

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
PUBLIC = KEY.public_key().public_bytes_raw()
FINGERPRINT = proof.fingerprint_of(PUBLIC)
RETIRED_AT = datetime(2026, 3, 4, 10, 20, 30, 456789, tzinfo=UTC)
RETIREMENT_ID = UUID("01938f2e-5f00-7000-8000-000000000001")


def content(
    *, environment: Any = "sandbox", runs: int = 2, beneficiary: str = "Atelier Nord SRL"
) -> dict[str, Any]:
    """Give the recorded content of one retirement of 1.350 t (for two runs)."""
    serials = [
        Serial(
            environment=environment,
            country="RO",
            project="RO-STABLE",
            batch=1,
            vintage=Vintage(date(2017, 1, 1), date(2017, 12, 31)),
            serials=SerialRange(1 + 2000 * number, 1350 if number == 0 else 2000 * number + 10),
        )
        for number in range(runs)
    ]
    return retirement_content(
        retirement_id=RETIREMENT_ID,
        serials=serials,
        use=Use(
            beneficiary=beneficiary,
            purpose="Travel of the team in 2025",
            country="RO",
            period_start=date(2025, 1, 1),
            period_end=date(2025, 12, 31),
            note="Făgăraș workshop",
        ),
        origin=Origin(
            project_code="RO-STABLE",
            project_name="Stable forest, Romania",
            kind="demonstration",
            methodology={"id": "stock-difference", "conformity": "not-assessed", "unconfirmed": []},
            report_digest="sha256:" + "5d" * 32,
            evidence_uri="sha256:" + "e7" * 32,
        ),
        holder="Brad Carbon SRL",
        retired_at=RETIRED_AT,
    )


def certificate(
    *, key: Ed25519PrivateKey = KEY, origin: str | None = None, **said: Any
) -> dict[str, Any]:
    """Give a certificate that holds: leaf 5 of a log of 11, signed by `key`."""
    recorded = content(**said)
    environment = said.get("environment", "sandbox")
    leaf = {
        "action": "ledger:credits:retire",
        "actor": "user:01938f2e-5f00-7000-8000-0000000000aa",
        "at": moment_text(RETIRED_AT),
        "content": recorded,
        "environment": environment,
        "subject": f"retirement:{RETIREMENT_ID}",
    }
    hashes = [proof.leaf_hash(f"other {number}".encode()) for number in range(11)]
    hashes[5] = proof.leaf_hash(proof.canonical_json(leaf))
    tree = Tree(hashes)
    named = origin or f"amanar-{environment}/example.org"
    checkpoint = proof.Checkpoint(origin=named, size=11, root=tree.root())
    return assemble(
        leaf=leaf,
        leaf_index=5,
        inclusion_path=tree.inclusion(5),
        checkpoint=checkpoint,
        signature=key.sign(checkpoint.text().encode()),
        public_key=key.public_key().public_bytes_raw(),
    )
