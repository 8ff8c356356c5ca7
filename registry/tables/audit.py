"""The audit log: events, their place in the Merkle tree, signed checkpoints; imports base.

Events are written by the transaction that they tell of and ordered later by a job, so recording
never makes writers wait for each other. Everything here is frozen.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Identity, Index, LargeBinary
from sqlmodel import Field, SQLModel

from registry.tables.base import check, created, json_column, writing_transaction


class AuditEvent(SQLModel, table=True):
    """Who did what to what; the six fields that the leaf hashes, and the leaf."""

    __tablename__ = "audit_event"
    __table_args__ = (
        check("action", "action ~ '^[a-z_]+:[a-z_]+:[a-z_]+$'"),
        check("actor", "actor ~ '^(user|system):.+$'"),
        check("leaf_sha256", "octet_length(leaf_sha256) = 32"),
        Index("ix_audit_event_xact", "xact"),
        Index("ix_audit_event_subject", "subject", "seq"),
    )

    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    """Order of writing, not of committing; may have holes."""
    at: datetime = created()
    actor: str
    """`user:<id>` or `system:<part>`; never a person's name."""
    action: str
    """`source:subject:action`, such as `projects:area:add`."""
    subject: str
    """`<table>:<id>`."""
    environment: str = Field(foreign_key="environment.kind")
    content: Any = json_column()
    """Text, whole numbers, true, false, null; no float."""
    leaf_sha256: bytes = Field(sa_type=LargeBinary)
    """SHA-256(0x00 || canonical JSON of the six fields), RFC 9162."""
    xact: int | None = writing_transaction()
    """Set by the database: the writing transaction; the guards and the sealing job read it."""


class LogLeaf(SQLModel, table=True):
    """The place of one event in the tree, 0, 1, 2 ... without holes."""

    __tablename__ = "log_leaf"
    __table_args__ = (check("leaf_index", "leaf_index >= 0"),)

    leaf_index: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    event_seq: int = Field(sa_type=BigInteger, foreign_key="audit_event.seq", unique=True)


class Checkpoint(SQLModel, table=True):
    """The signed size and root of the tree at one moment."""

    __tablename__ = "checkpoint"
    __table_args__ = (
        check("tree_size", "tree_size > 0"),
        check("root_sha256", "octet_length(root_sha256) = 32"),
        check("signature", "octet_length(signature) = 64"),
        check("public_key", "octet_length(public_key) = 32"),
    )

    tree_size: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    root_sha256: bytes = Field(sa_type=LargeBinary)
    origin: str
    public_key: bytes = Field(sa_type=LargeBinary)
    """Raw Ed25519 public key that signed it."""
    signature: bytes = Field(sa_type=LargeBinary)
    """Ed25519 over the checkpoint's text, RFC 8032."""
    at: datetime = created()
