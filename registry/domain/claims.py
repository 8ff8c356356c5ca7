"""The one catalog of sentences: what may be said about a quantity, and where; imports errors only.

Every page, PDF, certificate and API answer that carries a quantity shows `statement_for` it.
People act on these numbers with money: a sentence is changed here, and in its test, or nowhere.

Order: the words, sentences that stand alone, sentences made of facts, the statement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from registry.errors import UnknownClaimWords

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# --- the words -----------------------------------------------------------------------------------

Kind = Literal["indicative", "demonstration", "issuable"]
Environment = Literal["sandbox", "production"]

KINDS: tuple[str, ...] = get_args(Kind)
ENVIRONMENTS: tuple[str, ...] = get_args(Environment)

UNIT = "kg CO2e"
"""What one serial number names."""

WATERMARK = "SANDBOX"
"""Stands across every page of a sandbox's PDF."""

# --- sentences that stand alone ------------------------------------------------------------------

SANDBOX = (
    "Sandbox unit, made to show software. No crediting programme issued or recognises it. "
    "Do not use it for any climate claim."
)

KIND_SENTENCES: dict[str, str] = {
    "indicative": (
        "Indicative: no plots or an uncalibrated model. It may be looked at and screened; "
        "it can never be minted."
    ),
    "demonstration": (
        "Demonstration: illustrative data, or a baseline declared rather than measured. "
        "It can be minted in a sandbox only."
    ),
    "issuable": (
        "Issuable: stocks measured at both ends, a measured baseline, a 90 % interval, "
        "no blocking problem."
    ),
}

CERTIFICATE = "Shows that this registry recorded this, not that a tonne was removed."

REPLAY = "Shows that the number was computed as stated, not that it is right."

REPLAY_SOURCES: dict[str, str] = {
    "from-archive": "Recomputed from the archived pixels.",
    "re-fetched": "Recomputed from pixels fetched again, with the same checksums.",
    "source-gone": "The source is gone; nothing was recomputed.",
}

TRADING = "Not authorised for regulated trading."

SANDBOX_TRADE = "Sandbox trade in play money; it stays out of statistics of real trades."

VERIFIER_FEE = (
    "Verifiers are paid a fixed fee, escrowed before the review, the same for approval and refusal."
)

FIXED_FACTOR = "Estimated avoided emissions, fixed factor, additionality not shown."

_AFTER = (
    "Our implementation of published equations. "
    "The programme that published them has not reviewed it."
)
_OURS = (
    "Our implementation of published equations, in our own combination. "
    "No programme has reviewed it."
)

# --- sentences made of facts ---------------------------------------------------------------------


def methodology_sentences(methodology: Mapping[str, object]) -> tuple[str, ...]:
    """Say what a methodology is, and what nobody has checked about it.

    Parameters
    ----------
    methodology
        `id`, `conformity` ("not-assessed"), `unconfirmed` (equations not checked against the
        official text, may be empty), `applicability` (`assessed_by` and `assessed_on`, or a name;
        "not assessed" or absent: nobody).

    Raises
    ------
    UnknownClaimWords
        If there is no id, or a conformity is claimed: nobody has assessed one.
    """
    name = str(methodology.get("id") or "")
    if not name:
        raise UnknownClaimWords(what="methodology", value="without id", known="an id")
    conformity = methodology.get("conformity")
    if conformity != "not-assessed":
        raise UnknownClaimWords(what="conformity", value=conformity, known="not-assessed")
    sentences = [
        f"Methodology {name}, conformity not assessed.",
        _AFTER if name.startswith("after-") else _OURS,
    ]
    unconfirmed = _texts(methodology.get("unconfirmed"))
    if unconfirmed:
        sentences.append(f"Not checked against the official text: {'; '.join(unconfirmed)}.")
    sentences.append(f"Applicability: {_applicability(methodology.get('applicability'))}.")
    return tuple(sentences)


def _applicability(said: object) -> str:
    if isinstance(said, dict):
        return f"assessed by {said['assessed_by']} on {said['assessed_on']}"
    if isinstance(said, str) and said not in ("", "not assessed", "not-assessed"):
        return f"assessed by {said}"
    return "not assessed"


def _texts(value: object) -> Sequence[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def interval_sentence(*, covers: str, leaves_out: str) -> str:
    """Name what a 90 % interval covers and what it leaves out."""
    return f"The interval covers {covers}; it leaves out {leaves_out}."


def retired_beside_footprint(*, retired_t: str, footprint_t: str) -> str:
    """Put a retirement beside a footprint; never a net figure, never "carbon neutral"."""
    return f"Retired {retired_t} t; estimated footprint {footprint_t} t."


def label_sentence(*, label: str, declared_by: str, on: str, evidence: str) -> str:
    """Repeat what somebody else declares (CCP, CORSIA, Article 6, accreditation, checks)."""
    return f"{label}: declared by {declared_by} on {on}, evidence {evidence}, not confirmed by us."


# --- the statement -------------------------------------------------------------------------------


def statement_for(
    *, kind: str, environment: str, methodology: Mapping[str, object]
) -> tuple[str, ...]:
    """Give the sentences that must stand beside a quantity.

    Parameters
    ----------
    kind, environment, methodology
        Of the quantity; `methodology` as in `methodology_sentences`.

    Returns
    -------
    Sandbox sentence (in a sandbox), kind, methodology; in the order to print them.

    Raises
    ------
    UnknownClaimWords
        If a word is not of the catalog: a quantity without its statement is not shown.
    """
    if kind not in KINDS:
        raise UnknownClaimWords(what="kind", value=kind, known=", ".join(KINDS))
    if environment not in ENVIRONMENTS:
        raise UnknownClaimWords(
            what="environment", value=environment, known=", ".join(ENVIRONMENTS)
        )
    sandbox = (SANDBOX,) if environment == "sandbox" else ()
    return (*sandbox, KIND_SENTENCES[kind], *methodology_sentences(methodology))
