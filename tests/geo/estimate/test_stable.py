"""RO-STABLE, first period, on the real imagery: the whole document."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from geo.carbon import tco2e_per_agb
from geo.digest import differences
from geo.inference import assign_plots, relative_half_width, stock_change
from geo.plots import read_plots

if TYPE_CHECKING:
    from tests.geo.estimate.conftest import Bundle

SCHEMA = Path("data/schemas/amanar.estimate-1.schema.json")
EXAMPLE = Path("data/examples/estimate.json")


def codes(document: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in document["quality"]}


def test_the_document_fits_the_committed_schema(stable: Bundle) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.validate(stable.document, schema, cls=jsonschema.Draft202012Validator)


def test_the_committed_example_is_this_document(stable: Bundle) -> None:
    example = json.loads(EXAMPLE.read_text(encoding="utf-8"))
    made = json.loads(json.dumps(stable.document))
    example.pop("provenance")
    made.pop("provenance")
    assert list(differences(example, made)) == []


def test_the_file_in_the_bundle_is_the_document(stable: Bundle) -> None:
    text = (stable.folder / "estimate.json").read_text(encoding="utf-8")
    assert json.loads(text) == json.loads(json.dumps(stable.document))
    assert "NaN" not in text


def test_it_is_a_demonstration_and_says_why(stable: Bundle) -> None:
    assert stable.document["kind"] == "demonstration"
    assert stable.document["environment"] == "sandbox"
    (why,) = [f for f in stable.document["quality"] if f["code"] == "kind-demonstration"]
    assert "the baseline is declared" in why["message"]
    assert "the plots are illustrative" in why["message"]


def test_nothing_blocks(stable: Bundle) -> None:
    assert {f["severity"] for f in stable.document["quality"]} <= {"warning", "info"}


def test_pixels_that_do_not_bear_the_plots_out_are_pointed_at(stable: Bundle) -> None:
    assert stable.document["ndvi"]["change"] < 0
    assert "plots-and-imagery-disagree" in codes(stable.document)


def test_the_root_shoot_ratio_is_the_marked_fallback(stable: Bundle) -> None:
    assert stable.document["carbon"]["root_shoot"] == 0.26
    assert stable.document["carbon"]["fallback"] is True
    assert "root-shoot-fallback" in codes(stable.document)


def test_the_tonnes_follow_from_the_plots_by_hand(stable: Bundle) -> None:
    """Plot rows -> paired change -> x area x 1.26 x 0.47 x 44/12 -> deduction -> 15 % buffer."""
    ends = assign_plots(
        read_plots("data/samples/projects/RO-STABLE-plots.csv"),
        t0=date(2016, 1, 1),
        end=date(2018, 12, 31),
    )
    change = stock_change(ends, weights=None, permanent=True).change
    assert change is not None
    area_ha = stable.document["boundary"]["area_ha"]
    gross = change.mean * area_ha * 1.26 * 0.47 * 44 / 12
    width = relative_half_width(change)
    assert width is not None
    net = gross * (1 - width / 1.6449 * 0.4307)
    block = stable.document["removals_tco2e"]
    assert tco2e_per_agb(0.26) == pytest.approx(1.26 * 0.47 * 44 / 12)
    assert block["gross"] == pytest.approx(gross)
    assert block["net"] == pytest.approx(net)
    assert block["buffer"] == pytest.approx(0.15 * net)
    assert block["creditable"] == pytest.approx(0.85 * net)
    assert 100 < block["creditable"] < 101


def test_measured_span_and_plots_not_used_are_said(stable: Bundle) -> None:
    document = stable.document
    assert (document["measured_from"], document["measured_to"]) == ("2016-03-15", "2018-11-20")
    assert document["plots"]["start"] == document["plots"]["end"] == 12
    assert document["plots"]["not_used"] == 12
    assert "plot-measurement-not-used" in codes(document)


def test_start_change_and_end_agree(stable: Bundle) -> None:
    agb = stable.document["agb_t_per_ha"]
    assert agb["start"]["mean"] + agb["change"]["mean"] == pytest.approx(agb["end"]["mean"])
    low, high = agb["change"]["ci90"]
    assert low < agb["change"]["mean"] < high
    total = stable.document["agb_change_t"]["mean"]
    assert total == pytest.approx(agb["change"]["mean"] * stable.document["boundary"]["area_ha"])


def test_scenes_and_looks_are_listed(stable: Bundle) -> None:
    seen = stable.document["observations"]
    assert len(seen["scenes_used"]) == 27
    assert [s["scenes"] for s in stable.document["seasons"]] == [5, 10, 12]
    assert seen["clear_looks"]["min"] >= 3
    assert seen["clear_looks"]["median"] >= seen["clear_looks"]["min"]


def test_no_biomass_raster_is_invented(stable: Bundle) -> None:
    assert stable.document["biomass_map"] is None
    assert not list(stable.folder.glob("agb_*.tif"))
    assert "no-biomass-raster" in codes(stable.document)


def test_nothing_of_this_machine_stands_in_the_document(stable: Bundle) -> None:
    text = json.dumps(stable.document)
    assert str(Path.cwd()) not in text
    assert str(stable.folder) not in text


def test_progress_is_told(stable: Bundle) -> None:
    assert any("27 scenes used" in said for said in stable.said)
    assert stable.said[-1].startswith("evidence complete: sha256:")
