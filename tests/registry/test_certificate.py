"""The certificate of a real retirement, as JSON and as print."""

from __future__ import annotations

import io
import re
import zlib
from datetime import date
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageChops

from registry.adapters import certificate_pdf, signing
from registry.db import session_scope
from registry.domain import claims
from registry.domain.certificate import Use
from registry.domain.credits import SerialRange, Wanted, parse_serial
from registry.domain.ids import new_id
from registry.domain.proof import verify_certificate
from registry.errors import NotFound, NotSealedYet
from registry.jobs import seal_now
from registry.services import certificate
from tests.registry import paper

if TYPE_CHECKING:
    from typing import Any

    from tests.registry.books import Books

USE = Use(
    beneficiary="Atelier Nord SRL",
    purpose="Travel of the team in 2025",
    country="RO",
    period_start=date(2025, 1, 1),
    period_end=date(2025, 12, 31),
    note="Făgăraș workshop",
)


def built(books: Books, wanted: Wanted, *, use: Use = USE) -> dict[str, Any]:
    retirement = books.retire(books.seller, wanted, use=use)
    seal_now(books.settings)
    with session_scope(books.settings) as session:
        return certificate.build(session, retirement_id=retirement.id)


class TestDocument:
    def test_it_is_proven_by_the_registrys_key_and_says_what_was_retired(
        self, books: Books
    ) -> None:
        (batch,) = books.mint()
        document = built(books, Wanted(batch.id, 1_350))
        verdict = verify_certificate(document, key=signing.fingerprint(books.settings))
        assert verdict.exit_code == 0, verdict.sentence
        said = document["retirement"]
        assert (said["quantity_kg"], said["quantity_t"]) == (1_350, "1.350")
        assert said["serials"] == [
            f"SANDBOX-AMR-RO-{books.project.code}-1-20190101-20191231-1-1350"
        ]
        assert said["period"] == {"start": "2025-01-01", "end": "2025-12-31"}
        assert said["note"] == "Făgăraș workshop"
        assert document["number"].startswith("SANDBOX-AMR-RETIREMENT-")
        assert document["environment"] == "sandbox"

    def test_every_run_of_serials_is_listed(self, books: Books) -> None:
        (batch,) = books.mint()
        runs = (SerialRange(1, 50), SerialRange(100, 199))
        document = built(books, Wanted(batch.id, serials=runs))
        found = tuple(parse_serial(line).serials for line in document["retirement"]["serials"])
        assert found == runs

    def test_statement_has_sandbox_kind_methodology_and_what_it_does_not_show(
        self, books: Books
    ) -> None:
        (batch,) = books.mint()
        statement = built(books, Wanted(batch.id, 1))["statement"]
        assert statement[0] == claims.SANDBOX
        assert statement[1] == claims.KIND_SENTENCES["demonstration"]
        assert any("conformity not assessed" in sentence for sentence in statement)
        assert statement[-1] == claims.CERTIFICATE

    def test_it_waits_for_its_seal(self, books: Books) -> None:
        (batch,) = books.mint()
        seal_now(books.settings)
        retirement = books.retire(books.seller, Wanted(batch.id, 1))
        with pytest.raises(NotSealedYet), session_scope(books.settings) as session:
            certificate.build(session, retirement_id=retirement.id)

    def test_it_stays_the_same_as_the_log_grows(self, books: Books) -> None:
        (batch,) = books.mint()
        retirement = books.retire(books.seller, Wanted(batch.id, 1), use=USE)
        documents = []
        for _ in range(2):
            seal_now(books.settings)
            with session_scope(books.settings) as session:
                documents.append(certificate.build(session, retirement_id=retirement.id))
            books.retire(books.seller, Wanted(batch.id, 1))
        assert documents[0] == documents[1]

    def test_unknown_retirement_has_none(self, books: Books) -> None:
        with pytest.raises(NotFound), session_scope(books.settings) as session:
            certificate.build(session, retirement_id=new_id())

    def test_unit_and_methodology_stand_beside_the_quantity(self, books: Books) -> None:
        (batch,) = books.mint()
        said = built(books, Wanted(batch.id, 1))["retirement"]
        assert said["unit"] == "kg CO2e"
        assert said["kind"] == "demonstration"
        assert said["methodology"] == {
            "id": "stock-difference",
            "conformity": "not-assessed",
            "unconfirmed": [],
            "applicability": "not assessed",
        }


class TestPrint:
    def test_same_certificate_gives_the_same_bytes(self) -> None:
        document = paper.certificate()
        first = certificate_pdf.render(document)
        assert first == certificate_pdf.render(document)
        assert first.startswith(b"%PDF-1.7")

    def test_it_is_tagged_archivable_and_carries_its_proof(self) -> None:
        streams = _streams(certificate_pdf.render(paper.certificate()))
        meta = next(stream for stream in streams if b"pdfaid" in stream)
        assert b"<pdfaid:part>3</pdfaid:part>" in meta
        assert b"<pdfaid:conformance>A</pdfaid:conformance>" in meta
        assert any(b'"schema": "amanar.certificate/1"' in stream for stream in streams)

    def test_picture_has_an_alternative_text(self) -> None:
        document = paper.certificate()
        raw = certificate_pdf.render(document) + b"".join(
            _streams(certificate_pdf.render(document))
        )
        assert re.search(rb"/Alt\s*\(QR code: SANDBOX-AMR-RETIREMENT-", raw)

    def test_watermark_stands_on_every_page_of_a_sandbox(self) -> None:
        """The two prints differ across the middle of each page, where the watermark runs."""
        marked = certificate_pdf.picture(paper.certificate(runs=90), ppi=40)
        plain = certificate_pdf.picture(
            paper.certificate(runs=90, environment="production"), ppi=40
        )
        assert len(marked) == len(plain) == 3
        for one, other in zip(marked, plain, strict=True):
            left, right = (Image.open(io.BytesIO(page)).convert("RGB") for page in (one, other))
            width, height = left.size
            diagonal = (width * 6 // 10, height // 4, width * 9 // 10, height // 2)
            changed = ImageChops.difference(left.crop(diagonal), right.crop(diagonal)).getbbox()
            assert changed is not None
            red, _, blue = left.crop(diagonal).split()
            coloured = sum(ImageChops.subtract(red, blue).histogram()[8:])
            assert coloured > 100

    @pytest.mark.parametrize("beneficiary", ["中文公司", "שלום", "A\u0301telier", "x" * 300, "😀"])
    def test_names_in_any_script_are_printed_or_spelt_out(self, beneficiary: str) -> None:
        document = paper.certificate(beneficiary=beneficiary)
        assert certificate_pdf.render(document).startswith(b"%PDF")
        assert document["retirement"]["beneficiary"] == beneficiary

    def test_every_character_said_to_be_printable_is(self) -> None:
        """PDF/A refuses a missing glyph, so one page with all of them shows that none is."""
        known = [chr(code) for code in range(0x20, 0x2300) if certificate_pdf._has_glyph(chr(code))]
        assert len(known) > 700
        assert {"ă", "ș", "Ž", "Я", "Ω", "€", "\u2013"} <= set(known)
        document = paper.certificate(beneficiary=" ".join(known))
        assert certificate_pdf.render(document).startswith(b"%PDF")

    def test_markup_in_a_name_is_printed_as_text(self) -> None:
        document = paper.certificate(beneficiary='#panic("x") *b* $x$ <a> \\ // /* "')
        assert certificate_pdf.render(document).startswith(b"%PDF")


def _streams(pdf: bytes) -> list[bytes]:
    """Give the contents of the PDF's streams, inflated where they are packed."""
    found = []
    for match in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", pdf, flags=re.DOTALL):
        try:
            found.append(zlib.decompress(match[1]))
        except zlib.error:
            found.append(match[1])
    return found
