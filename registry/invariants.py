"""What must hold at every moment, as checks that can be run; imports tables and the domain.

A check is a sentence and a question that returns the ids of what breaks it; nothing found means
that it holds. The database refuses most of this by itself; the checks look again, from outside,
after every test and on a schedule, and would see a constraint that somebody took away.

Order: values, the list of checks, running them, the log's own check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, text
from sqlmodel import col

from registry.domain import proof
from registry.domain.certificate import moment_text
from registry.domain.merkle import Tree
from registry.tables.audit import AuditEvent, Checkpoint, LogLeaf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.orm import Session


@dataclass(frozen=True)
class Broken:
    """One invariant that does not hold."""

    name: str
    sentence: str
    ids: tuple[str, ...]
    """What breaks it: `batch:<id>`, `transfer:<id>`, ..."""


@dataclass(frozen=True)
class Invariant:
    """A sentence that must be true, and the SQL that returns the ids of what makes it false."""

    name: str
    sentence: str
    sql: str

    def broken_by(self, session: Session) -> tuple[str, ...]:
        """Give the ids of what breaks it; empty when it holds."""
        return tuple(str(row) for row in session.scalars(text(self.sql)))


INVARIANTS = (
    Invariant(
        "issued-equals-held",
        "What was issued is active, listed, retired, cancelled, buffer or reserve, all of it.",
        """
        SELECT 'batch:' || batch.id FROM batch
        LEFT JOIN credit_block ON credit_block.batch_id = batch.id
         AND credit_block.state IN
             ('active', 'listed', 'retired', 'cancelled', 'buffer', 'reserve')
        GROUP BY batch.id, batch.size_kg
        HAVING coalesce(sum(upper(serials) - lower(serials)), 0) <> batch.size_kg
        """,
    ),
    Invariant(
        "blocks-tile",
        "The blocks of a batch cover 1 to its size, without a hole or an overlap.",
        """
        SELECT 'batch:' || id FROM (
            SELECT batch.id, batch.size_kg, range_agg(serials) AS covered,
                   sum(upper(serials) - lower(serials)) AS counted
            FROM batch LEFT JOIN credit_block ON credit_block.batch_id = batch.id
            GROUP BY batch.id, batch.size_kg
        ) AS found
        WHERE covered IS DISTINCT FROM int8multirange(int8range(1, size_kg + 1))
           OR counted <> size_kg
        """,
    ),
    Invariant(
        "postings-sum-to-zero",
        "The postings of a transfer sum to zero in each unit.",
        """
        SELECT DISTINCT 'transfer:' || transfer_id FROM posting
        GROUP BY transfer_id, unit HAVING sum(amount) <> 0
        """,
    ),
    Invariant(
        "serials-leave-and-arrive",
        "In a transfer, the serials that leave are the serials that arrive.",
        """
        SELECT DISTINCT 'transfer:' || transfer_id FROM posting WHERE batch_id IS NOT NULL
        GROUP BY transfer_id, batch_id
        HAVING range_agg(serials) FILTER (WHERE amount < 0)
            IS DISTINCT FROM range_agg(serials) FILTER (WHERE amount > 0)
        """,
    ),
    Invariant(
        "blocks-agree-with-postings",
        "What an account holds in blocks of a batch is the sum of its postings in it.",
        """
        SELECT 'account:' || coalesce(held.account_id, booked.account_id)
            || ' batch:' || coalesce(held.batch_id, booked.batch_id)
        FROM (SELECT account_id, batch_id, sum(upper(serials) - lower(serials)) AS kg
              FROM credit_block GROUP BY account_id, batch_id) AS held
        FULL JOIN (SELECT account_id, batch_id, sum(amount) AS kg
                   FROM posting JOIN account ON account.id = account_id
                   WHERE batch_id IS NOT NULL AND account.kind <> 'issuance'
                   GROUP BY account_id, batch_id HAVING sum(amount) <> 0) AS booked
          USING (account_id, batch_id)
        WHERE held.kg IS DISTINCT FROM booked.kg
        """,
    ),
    Invariant(
        "last-posting-holds-the-block",
        "Each block lies where the last posting of its serials put it.",
        """
        SELECT 'credit_block:' || credit_block.id FROM credit_block
        WHERE EXISTS (
            SELECT FROM posting AS arrival
            WHERE arrival.batch_id = credit_block.batch_id AND arrival.amount > 0
              AND arrival.serials && credit_block.serials
              AND arrival.account_id <> credit_block.account_id
              AND NOT coalesce((
                  SELECT range_agg(later.serials)
                      @> int8multirange(arrival.serials * credit_block.serials)
                  FROM posting AS later
                  WHERE later.batch_id = arrival.batch_id AND later.amount > 0
                    AND later.account_id = credit_block.account_id
                    AND later.id > arrival.id), false))
        """,
    ),
    Invariant(
        "balances-agree-with-postings",
        "Each kept balance is the sum of its postings.",
        """
        SELECT 'account:' || coalesce(balance.account_id, booked.account_id)
            || ' ' || coalesce(balance.unit, booked.unit)
        FROM balance
        FULL JOIN (SELECT account_id, unit, sum(amount) AS amount FROM posting
                   GROUP BY account_id, unit) AS booked USING (account_id, unit)
        WHERE balance.amount IS DISTINCT FROM booked.amount
        """,
    ),
    Invariant(
        "nobody-overdrawn",
        "No account but the sources of credits and money is below zero.",
        """
        SELECT 'account:' || account_id || ' ' || unit FROM balance
        JOIN account ON account.id = account_id
        WHERE amount < 0 AND account.kind NOT IN ('issuance', 'cash_source')
        """,
    ),
    Invariant(
        "issued-equals-minted",
        "What left the issuance pool is the size of the batches.",
        """
        SELECT 'batch:' || batch.id FROM batch
        LEFT JOIN posting ON posting.batch_id = batch.id
         AND posting.account_id = (SELECT id FROM account WHERE kind = 'issuance')
        GROUP BY batch.id, batch.size_kg
        HAVING coalesce(-sum(amount), 0) <> batch.size_kg
        """,
    ),
    Invariant(
        "issuance-within-report",
        "A report's batches are not more than what its estimate allows, and stand on approval.",
        """
        SELECT 'monitoring_report:' || report.id FROM monitoring_report AS report
        JOIN batch ON batch.report_id = report.id
        GROUP BY report.id
        HAVING report.state <> 'approved'
            OR sum(size_kg) > floor(((report.estimate #>> '{removals_tco2e,net}')::numeric
                   - coalesce((report.estimate #>> '{removals_tco2e,previous}')::numeric, 0))
                   * 1000)
            OR sum(buffer_kg)
                   < ceil((report.estimate #>> '{removals_tco2e,buffer}')::numeric * 1000)
        """,
    ),
    Invariant(
        "buffer-comes-last",
        "Of each batch the last serials are the buffer pool's, as many as it says.",
        """
        SELECT 'batch:' || batch.id FROM batch
        WHERE buffer_kg <> coalesce((
            SELECT sum(upper(serials) - lower(serials)) FROM posting
            WHERE posting.batch_id = batch.id AND amount > 0
              AND account_id = (SELECT id FROM account WHERE kind = 'buffer')
              AND upper(serials) = size_kg + 1), 0)
        """,
    ),
    Invariant(
        "retired-once",
        "Retirements cover exactly the serials in retired blocks, each once.",
        """
        SELECT 'batch:' || coalesce(said.batch_id, held.batch_id)
        FROM (SELECT batch_id, range_agg(run) AS runs, sum(upper(run) - lower(run)) AS kg
              FROM retirement, unnest(serials) AS run GROUP BY batch_id) AS said
        FULL JOIN (SELECT batch_id, range_agg(serials) AS runs,
                          sum(upper(serials) - lower(serials)) AS kg
                   FROM credit_block WHERE state = 'retired' GROUP BY batch_id) AS held
          USING (batch_id)
        WHERE said.runs IS DISTINCT FROM held.runs OR said.kg IS DISTINCT FROM held.kg
        """,
    ),
    Invariant(
        "listed-equals-offered",
        "What lies in listed accounts is what open listings still offer.",
        """
        SELECT 'account:' || coalesce(held.account_id, offered.account_id)
            || ' batch:' || coalesce(held.batch_id, offered.batch_id)
        FROM (SELECT account_id, batch_id, sum(upper(serials) - lower(serials)) AS kg
              FROM credit_block WHERE state = 'listed' GROUP BY account_id, batch_id) AS held
        FULL JOIN (SELECT account_id, batch_id, sum(remaining_kg) AS kg FROM listing
                   WHERE state = 'open' GROUP BY account_id, batch_id) AS offered
          USING (account_id, batch_id)
        WHERE held.kg IS DISTINCT FROM offered.kg
        """,
    ),
    Invariant(
        "sold-equals-purchased",
        "What a listing sold is what was purchased from it.",
        """
        SELECT 'listing:' || listing.id FROM listing
        LEFT JOIN purchase ON purchase.listing_id = listing.id
        GROUP BY listing.id
        HAVING coalesce(sum(purchase.quantity_kg), 0)
            <> CASE WHEN listing.state = 'withdrawn' THEN coalesce(sum(purchase.quantity_kg), 0)
                    ELSE listing.quantity_kg - listing.remaining_kg END
            OR coalesce(sum(purchase.quantity_kg), 0) > listing.quantity_kg
        """,
    ),
    Invariant(
        "land-claimed-once",
        "No cell is claimed exclusively by two areas in one pool on one day.",
        """
        SELECT 'claim:' || one.area_id || '/' || one.cell FROM claim AS one
        JOIN claim AS other ON other.cell = one.cell AND other.pool = one.pool
         AND other.period && one.period AND other.area_id > one.area_id
        WHERE one.mode = 'exclusive' AND other.mode = 'exclusive'
        """,
    ),
    Invariant(
        "periods-chain",
        "The verified periods of an area neither overlap nor leave a gap.",
        """
        SELECT 'verified_period:' || id FROM (
            SELECT id, period, follows, lag(period) OVER (
                PARTITION BY project_id, area_lineage, pool ORDER BY lower(period)) AS before
            FROM verified_period) AS chained
        WHERE (before IS NULL) <> (follows IS NULL) OR upper(before) <> lower(period)
        """,
    ),
)
"""Every check that is one question to the database."""


def run(session: Session) -> list[Broken]:
    """Run every check; an empty list means that all hold. Reads only, safe at any time.

    Who: tests after each step, operators and jobs on a schedule.
    """
    broken = [
        Broken(check.name, check.sentence, ids)
        for check in INVARIANTS
        if (ids := check.broken_by(session))
    ]
    wrong = tuple(_log_faults(session))
    if wrong:
        sentence = "Each event has its hash; leaves lead to every signed checkpoint's root."
        broken.append(Broken("log-consistent", sentence, wrong))
    return broken


def _log_faults(session: Session) -> Iterator[str]:
    """Recompute every leaf and every checkpoint; yield what does not agree."""
    rows = session.execute(
        select(AuditEvent, col(LogLeaf.leaf_index))
        .outerjoin(LogLeaf, col(LogLeaf.event_seq) == col(AuditEvent.seq))
        .order_by(col(LogLeaf.leaf_index).nulls_last())
        .execution_options(populate_existing=True)
    )
    tree = Tree()
    for event, index in rows:
        if _leaf_of(event) != event.leaf_sha256:
            yield f"audit_event:{event.seq}"
        if index is not None:
            if index != tree.size:
                yield f"log_leaf:{index}"
            tree.append(event.leaf_sha256)
    for checkpoint in session.scalars(select(Checkpoint).order_by(col(Checkpoint.tree_size))):
        head = proof.Checkpoint(
            origin=checkpoint.origin, size=checkpoint.tree_size, root=checkpoint.root_sha256
        )
        signed = proof.signature_holds(
            head, signature=checkpoint.signature, public_key=checkpoint.public_key
        )
        if head.size > tree.size or tree.root(head.size) != head.root or not signed:
            yield f"checkpoint:{checkpoint.tree_size}"


def _leaf_of(event: AuditEvent) -> bytes:
    """Hash the event anew, from its columns, as `audit.record` did."""
    return proof.leaf_hash(
        proof.canonical_json(
            {
                "action": event.action,
                "actor": event.actor,
                "at": moment_text(event.at),
                "content": event.content,
                "environment": event.environment,
                "subject": event.subject,
            }
        )
    )
