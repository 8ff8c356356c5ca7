"""Reviews and decisions on the wire. Imports wire, monitoring's and credits' shapes."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from api.schemas.credits import Batch
from api.schemas.monitoring import Finding, Report
from api.wire import Answer, Body, Line, Prose


class TakenAnswer(Answer):
    """The report is yours to review until the lease ends."""

    review_id: UUID
    report: Report
    leased_until: datetime


class DecisionBody(Body):
    """Your decision: `opinion` is for indicative reports, which can never be approved."""

    decision: Literal["approve", "refuse", "opinion"]
    reasons: Prose
    evidence_digest: Annotated[
        Line, Field(description="The report's `digest`: that this is the evidence you looked at.")
    ]
    findings: list[Finding] = Field(default_factory=list, max_length=100)

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "decision": "refuse",
                    "reasons": "The pixels show loss inside the boundary in 2019.",
                    "evidence_digest": "0" * 64,
                }
            ]
        },
    )


class DecidedAnswer(Answer):
    """The decision, and what it minted."""

    report: Report
    batches: list[Batch]
