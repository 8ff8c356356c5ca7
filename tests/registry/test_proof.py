"""The offline checker: what holds, and each way in which a certificate can be made not to hold."""

from __future__ import annotations

import base64
import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from registry.domain import proof
from registry.domain.proof import (
    Malformed,
    canonical_json,
    read_certificate,
    read_key,
    read_note,
    verify_certificate,
)
from tests.registry.paper import FINGERPRINT, KEY, OTHER_KEY, PUBLIC, certificate

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CHECKER = Path(proof.__file__)


def codes(document: dict[str, Any], *, key: str | None = FINGERPRINT) -> set[str]:
    return {problem.code for problem in verify_certificate(document, key=key).problems}


def places(document: dict[str, Any], *, key: str | None = FINGERPRINT) -> set[str]:
    return {problem.place for problem in verify_certificate(document, key=key).problems}


class TestHolds:
    def test_with_the_right_key_it_is_proven(self) -> None:
        verdict = verify_certificate(certificate(), key=FINGERPRINT)
        assert verdict.problems == ()
        assert (verdict.exit_code, verdict.pinned) == (0, True)
        assert "not that a tonne was removed" in verdict.sentence
        assert verdict.summary["quantity_t"] == "1.360"

    def test_without_a_key_the_signer_is_not_pinned(self) -> None:
        verdict = verify_certificate(certificate())
        assert (verdict.holds, verdict.exit_code) == (True, 3)
        assert verdict.sentence.startswith("Consistent, signer not pinned")
        assert FINGERPRINT in verdict.sentence

    def test_it_survives_writing_and_reading(self) -> None:
        text = json.dumps(certificate(), indent=4)
        assert verify_certificate(read_certificate(text), key=FINGERPRINT).exit_code == 0

    def test_production_certificate_holds_too(self) -> None:
        document = certificate(environment="production")
        assert verify_certificate(document, key=FINGERPRINT).exit_code == 0
        assert not document["number"].startswith("SANDBOX")


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Set what stands at `a.b.0` to a value."""

    def do(document: dict[str, Any]) -> None:
        *way, last = path.split(".")
        place: Any = document
        for name in way:
            place = place[int(name)] if isinstance(place, list) else place[name]
        place[int(last) if isinstance(place, list) else last] = value

    return do


def every_leaf(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """List every text, number and null of a document with its path."""
    if isinstance(value, dict):
        return [
            pair for name, inner in value.items() for pair in every_leaf(inner, f"{path}{name}.")
        ]
    if isinstance(value, list):
        return [
            pair for name, inner in enumerate(value) for pair in every_leaf(inner, f"{path}{name}.")
        ]
    return [(path[:-1], value)]


def inner_paths(value: Any, path: str = "") -> list[str]:
    """List the path of every value of a document, lists and objects too."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    found = [path[:-1]]
    for name, inner in pairs:
        below = f"{path}{name}."
        found += inner_paths(inner, below) if isinstance(inner, dict | list) else [below[:-1]]
    return found


def something_else(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return "something"
    if isinstance(value, int):
        return value + 1
    text = str(value)
    if not text:
        return "x"
    return ("1" if text[0] != "1" else "2") + text[1:]


class TestEveryChangeIsSeen:
    def test_any_single_changed_value_breaks_it(self) -> None:
        document = certificate()
        paths = every_leaf(document)
        assert len(paths) > 60
        for path, value in paths:
            bent = copy.deepcopy(document)
            change(path, something_else(value))(bent)
            assert not verify_certificate(bent, key=FINGERPRINT).holds, path

    def test_any_removed_value_breaks_it(self) -> None:
        document = certificate()
        for path, _ in every_leaf(document):
            bent = copy.deepcopy(document)
            *way, last = path.split(".")
            place: Any = bent
            for name in way:
                place = place[int(name)] if isinstance(place, list) else place[name]
            del place[int(last) if isinstance(place, list) else last]
            assert not verify_certificate(bent, key=FINGERPRINT).holds, path

    def test_nothing_in_any_place_makes_the_checker_stumble(self) -> None:
        """Whatever stands where, the answer is a verdict, never an exception."""
        document = certificate()
        for way in inner_paths(document):
            for strange in (
                None,
                True,
                5,
                -1,
                10**40,
                1.5,
                "",
                "x",
                "\ud800",
                [],
                [5],
                {},
                {"a": 5},
            ):
                bent = copy.deepcopy(document)
                if way:
                    change(way, strange)(bent)
                verdict = verify_certificate(bent, key=FINGERPRINT)
                assert verdict.holds == (json.dumps(bent) == json.dumps(document)), (way, strange)

    @pytest.mark.parametrize(
        ("bend", "code", "place"),
        [
            (change("retirement.beneficiary", "Somebody Else"), "altered-field",
             "retirement.beneficiary"),
            (change("retirement.quantity_kg", 9_999_999), "altered-field",
             "retirement.quantity_kg"),
            (change("retirement.batch", value=True), "altered-field", "retirement.batch"),
            (change("retirement.extra", None), "altered-field", "retirement.extra"),
            (change("statement.0", "Carbon neutral!"), "altered-field", "statement"),
            (change("number", "AMR-RETIREMENT-1"), "altered-field", "number"),
            (change("environment", "production"), "altered-field", "environment"),
            (change("log.leaf.content.beneficiary", "Somebody Else"), "inclusion",
             "log.inclusion_proof"),
            (change("log.leaf_index", 4), "inclusion", "log.inclusion_proof"),
            (change("log.leaf_index", 11), "inclusion", "log.inclusion_proof"),
            (change("log.leaf_index", -1), "inclusion", "log.inclusion_proof"),
            (change("log.tree_size", 12), "checkpoint", "log.tree_size"),
            (change("log.inclusion_proof.0", "ab" * 32), "inclusion", "log.inclusion_proof"),
            (change("log.inclusion_proof.0", "xyz"), "inclusion", "log.inclusion_proof"),
            (change("log.inclusion_proof", []), "inclusion", "log.inclusion_proof"),
            (change("log.inclusion_proof", "ab"), "malformed", "log.inclusion_proof"),
            (change("log.fingerprint", "sha256:" + "0" * 64), "altered-field", "log.fingerprint"),
            (change("log.checkpoint", "nonsense"), "malformed", "log"),
            (change("log.public_key", "nonsense"), "malformed", "log"),
            (change("schema", "amanar.certificate/2"), "malformed", "schema"),
            (change("endorsed_by", "Somebody"), "unknown-field", "endorsed_by"),
            (change("log.note", "x"), "unknown-field", "log.note"),
            (change("retirement.endorsed_by", "x"), "altered-field", "retirement.endorsed_by"),
            (change("retirement.quantity_kg", 1.36), "malformed", ""),
        ],
    )  # fmt: skip
    def test_problem_is_named_with_its_place(
        self, bend: Callable[[dict[str, Any]], None], code: str, place: str
    ) -> None:
        document = certificate()
        bend(document)
        assert code in codes(document)
        assert place in places(document)

    def test_both_values_that_clash_are_said(self) -> None:
        document = certificate()
        document["retirement"]["beneficiary"] = "Somebody Else"
        (problem,) = verify_certificate(document, key=FINGERPRINT).problems
        assert "Somebody Else" in problem.message
        assert "Atelier Nord SRL" in problem.message

    def test_same_lie_on_paper_and_in_the_leaf_breaks_the_proof(self) -> None:
        document = certificate()
        for place in (document["retirement"], document["log"]["leaf"]["content"]):
            place["beneficiary"] = "Somebody Else"
        assert codes(document) == {"inclusion"}

    def test_serials_that_do_not_add_up_are_seen_even_when_signed(self) -> None:
        document = certificate()
        content = document["log"]["leaf"]["content"]
        document["retirement"]["quantity_kg"] = content["quantity_kg"] = 5_000_000
        assert "quantity" in codes(_signed_again(document))

    @pytest.mark.parametrize("digits", [20, 5_000])
    def test_serial_with_more_digits_than_a_ledger_has_is_refused(self, digits: int) -> None:
        document = certificate(runs=1)
        serials = ["SANDBOX-AMR-1-" + "9" * digits]
        for place in (document["retirement"], document["log"]["leaf"]["content"]):
            place["serials"] = serials
        verdict = verify_certificate(_signed_again(document), key=FINGERPRINT)
        (problem,) = verdict.problems
        assert problem.place == "retirement.serials"
        assert len(problem.message) < 200

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("action", "ledger:credits:transfer"),
            ("action", ["ledger:credits:retire"]),
            ("subject", "retirement:01938f2e-5f00-7000-8000-000000000002"),
            ("subject", "transfer:01938f2e-5f00-7000-8000-000000000001"),
        ],
    )
    def test_another_event_of_the_same_log_is_no_retirement(self, name: str, value: Any) -> None:
        document = certificate()
        document["log"]["leaf"][name] = value
        (problem,) = verify_certificate(_signed_again(document), key=FINGERPRINT).problems
        assert (problem.code, problem.place) == ("event", f"log.leaf.{name}")

    def test_number_of_another_retirement_is_refused(self) -> None:
        document = certificate()
        number = document["number"][:-1] + "2"
        document["number"] = document["log"]["leaf"]["content"]["number"] = number
        assert codes(_signed_again(document)) == {"event"}


def _signed_again(document: dict[str, Any], *, key: Ed25519PrivateKey = KEY) -> dict[str, Any]:
    """Sign a log of one leaf, this one, whatever it says."""
    leaf = document["log"]["leaf"]
    old, _, _ = read_note(document["log"]["checkpoint"])
    head = proof.Checkpoint(origin=old.origin, size=1, root=proof.leaf_hash(canonical_json(leaf)))
    public = key.public_key().public_bytes_raw()
    signature = key.sign(head.text().encode())
    document["log"] |= {
        "leaf_index": 0,
        "tree_size": 1,
        "inclusion_proof": [],
        "checkpoint": proof.note_of(head, public_key=public, signature=signature),
        "public_key": base64.b64encode(public).decode(),
        "fingerprint": proof.fingerprint_of(public),
    }
    return document


class TestKeys:
    def test_forger_with_a_key_of_his_own_is_caught_by_the_pin(self) -> None:
        forged = certificate(key=OTHER_KEY, beneficiary="Forger Ltd")
        assert verify_certificate(forged).exit_code == 3
        verdict = verify_certificate(forged, key=FINGERPRINT)
        assert [problem.code for problem in verdict.problems] == ["wrong-key"]
        assert verdict.exit_code == 4

    def test_key_in_the_document_cannot_be_swapped_for_the_trusted_one(self) -> None:
        forged = certificate(key=OTHER_KEY)
        forged["log"]["public_key"] = base64.b64encode(PUBLIC).decode()
        forged["log"]["fingerprint"] = FINGERPRINT
        assert codes(forged) == {"signature"}

    def test_signature_by_another_key_under_the_trusted_keys_name_is_refused(self) -> None:
        forged = certificate(key=OTHER_KEY)
        head, _, signature = read_note(forged["log"]["checkpoint"])
        forged["log"] |= {
            "checkpoint": proof.note_of(head, public_key=PUBLIC, signature=signature),
            "public_key": base64.b64encode(PUBLIC).decode(),
            "fingerprint": FINGERPRINT,
        }
        (problem,) = verify_certificate(forged, key=FINGERPRINT).problems
        assert (problem.code, problem.place) == ("signature", "log.checkpoint")

    def test_every_bit_of_the_signature_counts(self) -> None:
        document = certificate()
        head, _, signature = read_note(document["log"]["checkpoint"])
        for place in range(0, 512, 37):
            bent = bytearray(signature)
            bent[place // 8] ^= 1 << place % 8
            assert not proof.signature_holds(head, signature=bytes(bent), public_key=PUBLIC)

    def test_production_origin_on_a_sandbox_certificate_is_refused(self) -> None:
        assert codes(certificate(origin="amanar-production/registry")) == {"environment"}

    def test_sandbox_origin_on_a_production_certificate_is_refused(self) -> None:
        document = certificate(environment="production", origin="amanar-sandbox/x")
        assert codes(document) == {"environment"}

    @pytest.mark.parametrize("upper", [False, True])
    def test_fingerprint_is_read_with_and_without_its_prefix(self, *, upper: bool) -> None:
        digits = FINGERPRINT.removeprefix("sha256:")
        assert read_key(digits.upper() if upper else digits) == FINGERPRINT
        assert read_key(FINGERPRINT) == FINGERPRINT

    def test_key_files_are_read_in_three_forms(self, tmp_path: Path) -> None:
        pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        forms = (pem.decode(), base64.b64encode(PUBLIC).decode() + "\n", FINGERPRINT + "\n")
        for number, text in enumerate(forms):
            file = tmp_path / f"{number}.key"
            file.write_text(text)
            assert read_key(str(file)) == FINGERPRINT

    def test_private_key_is_refused_as_a_pin(self, tmp_path: Path) -> None:
        file = tmp_path / "secret.pem"
        file.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        with pytest.raises(Malformed, match="private key"):
            read_key(str(file))

    @pytest.mark.parametrize("text", ["", "sha256:12", "no such file", "12" * 31])
    def test_what_is_no_key_is_refused(self, text: str) -> None:
        with pytest.raises(Malformed):
            read_key(text)


class TestReading:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "not JSON"),
            ("[1]", "not a JSON object"),
            ('{"number": 1, "number": 2}', "number twice"),
            ('{"a": {"b": 1, "b": 1}}', "b twice"),
            ('{"quantity": 1.5}', "integers only"),
            ('{"quantity": NaN}', "integers only"),
            ("[" * 100_000, "not JSON"),
            ('{"quantity": ' + "9" * 5_000 + "}", "not JSON"),
        ],
    )
    def test_text_that_readers_could_read_differently_is_refused(
        self, text: str, said: str
    ) -> None:
        with pytest.raises(Malformed, match=said):
            read_certificate(text)

    @pytest.mark.parametrize("value", [1.0, float("nan"), {1: 2}, {"a": {"b": (1.5,)}}, object()])
    def test_what_has_no_one_spelling_is_not_hashed(self, value: object) -> None:
        with pytest.raises(Malformed):
            canonical_json(value)

    def test_canonical_json_is_one_spelling(self) -> None:
        assert canonical_json({"b": [1, None, True], "a": "ă\n"}) == (
            '{"a":"ă\\n","b":[1,null,true]}'.encode()
        )

    @pytest.mark.parametrize("document", [{}, {"log": 1}, {"log": {"leaf": {"content": 3}}}])
    def test_what_is_no_certificate_gives_problems_and_no_exception(
        self, document: dict[str, Any]
    ) -> None:
        assert verify_certificate(document, key=FINGERPRINT).exit_code == 4


class TestStandsAlone:
    """The checker is one file that runs without the rest of the house."""

    def run(self, *arguments: str, at: Path) -> subprocess.CompletedProcess[str]:
        copied = at / "proof.py"
        copied.write_bytes(CHECKER.read_bytes())
        return subprocess.run(
            [sys.executable, "-I", str(copied), *arguments],
            capture_output=True,
            text=True,
            cwd=at,
            check=False,
        )

    def test_exit_codes_say_what_was_found(self, tmp_path: Path) -> None:
        good, bad = tmp_path / "good.json", tmp_path / "bad.json"
        good.write_text(json.dumps(certificate()))
        altered = certificate()
        altered["retirement"]["beneficiary"] = "Somebody Else"
        bad.write_text(json.dumps(altered))
        assert self.run(str(good), "--key", FINGERPRINT, at=tmp_path).returncode == 0
        assert self.run(str(good), at=tmp_path).returncode == 3
        found = self.run(str(bad), "--key", FINGERPRINT, at=tmp_path)
        assert found.returncode == 4
        assert "retirement.beneficiary" in found.stdout
        assert self.run(str(tmp_path / "none.json"), at=tmp_path).returncode == 2
        assert self.run(str(good), "--key", "nonsense", at=tmp_path).returncode == 2
