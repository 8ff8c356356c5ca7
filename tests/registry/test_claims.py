"""The sentences that stand beside every quantity."""

from __future__ import annotations

import pytest

from registry.domain import claims
from registry.errors import UnknownClaimWords

OURS = {"id": "stock-difference", "conformity": "not-assessed", "unconfirmed": []}
AFTER = {
    "id": "after-vm0047-1.1",
    "conformity": "not-assessed",
    "unconfirmed": ["Eq 32", "Eq 27"],
    "applicability": "Silva Plot Office",
}


class TestStatement:
    def test_sandbox_comes_first_and_in_full(self) -> None:
        found = claims.statement_for(kind="demonstration", environment="sandbox", methodology=OURS)
        assert found[0] == (
            "Sandbox unit, made to show software. No crediting programme issued or recognises it. "
            "Do not use it for any climate claim."
        )

    def test_production_says_nothing_of_a_sandbox(self) -> None:
        found = claims.statement_for(kind="issuable", environment="production", methodology=OURS)
        assert not any("andbox unit" in sentence for sentence in found)

    @pytest.mark.parametrize("kind", claims.KINDS)
    def test_each_kind_says_its_name(self, kind: str) -> None:
        found = claims.statement_for(kind=kind, environment="production", methodology=OURS)
        assert found[0].lower().startswith(f"{kind}:")

    def test_published_equations_are_named_and_what_was_not_checked(self) -> None:
        text = " ".join(
            claims.statement_for(kind="issuable", environment="production", methodology=AFTER)
        )
        assert (
            "Our implementation of published equations. The programme that published them has not "
            "reviewed it. Not checked against the official text: Eq 32; Eq 27. "
            "Applicability: assessed by Silva Plot Office."
        ) in text

    def test_our_own_combination_says_that_nobody_reviewed_it(self) -> None:
        text = " ".join(
            claims.statement_for(kind="demonstration", environment="sandbox", methodology=OURS)
        )
        assert "in our own combination. No programme has reviewed it." in text
        assert "Applicability: not assessed." in text

    def test_who_assessed_applicability_is_named_with_the_day(self) -> None:
        assessed = {"assessed_by": "Silva", "assessed_on": "2026-01-02", "statement": "Fits."}
        text = " ".join(claims.methodology_sentences(OURS | {"applicability": assessed}))
        assert "Applicability: assessed by Silva on 2026-01-02." in text

    @pytest.mark.parametrize(
        ("kind", "environment", "methodology"),
        [
            ("certified", "sandbox", OURS),
            ("issuable", "staging", OURS),
            ("issuable", "sandbox", {"conformity": "not-assessed"}),
            ("issuable", "sandbox", {"id": "after-vm0047-1.1", "conformity": "conforms"}),
        ],
    )
    def test_a_word_outside_the_catalog_is_refused(
        self, kind: str, environment: str, methodology: dict[str, object]
    ) -> None:
        with pytest.raises(UnknownClaimWords):
            claims.statement_for(kind=kind, environment=environment, methodology=methodology)


class TestWordsThatAreNotSaid:
    @pytest.mark.parametrize("kind", claims.KINDS)
    @pytest.mark.parametrize("environment", claims.ENVIRONMENTS)
    def test_no_programme_unit_and_no_offsetting_claim(self, kind: str, environment: str) -> None:
        text = " ".join(
            claims.statement_for(kind=kind, environment=environment, methodology=AFTER)
        ).lower()
        for word in (
            "vcu",
            "verra",
            "verified carbon unit",
            "carbon neutral",
            "certified",
            "net zero",
        ):
            assert word not in text

    def test_a_retirement_beside_a_footprint_is_not_netted(self) -> None:
        text = claims.retired_beside_footprint(retired_t="1.200", footprint_t="3.4")
        assert text == "Retired 1.200 t; estimated footprint 3.4 t."

    def test_a_label_is_somebody_elses_declaration(self) -> None:
        text = claims.label_sentence(
            label="CORSIA", declared_by="Host Ministry", on="2026-01-02", evidence="letter 7"
        )
        assert text.endswith("not confirmed by us.")
