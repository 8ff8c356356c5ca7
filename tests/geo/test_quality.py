"""What is said beside a number, and what the number may be used for."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from geo.inference import StockChange, assign_plots, stock_change
from geo.project import ProjectFile, read_project
from geo.quality import (
    decide_kind,
    imagery_findings,
    increment_findings,
    is_blocked,
    kind_finding,
    plot_findings,
    project_findings,
    uncertainty_findings,
)
from geo.types import Estimate, Finding, Period, Plot

T0, END = date(2016, 1, 1), date(2018, 12, 31)
PERIOD = Period(T0, END)
STATED: dict[str, Any] = {
    "t0": "2016-01-01",
    "previous_net_tco2e": 0,
    "previous_buffer_base_tco2e": 0,
    "project_emissions_tco2e": 0,
    "leakage_tco2e": 0,
    "buffer_percent": 15,
    "root_shoot": {"value": 0.3, "source": "measured"},
    "plot_design": "simple-random",
    "permanent_plots": True,
    "estimator": "mean",
    "illustrative": False,
    "applicability": {"assessed_by": "X", "assessed_on": "2016-01-01", "statement": "met"},
}


def project(**changes: Any) -> ProjectFile:
    return read_project(STATED | changes)


def stock(number: int = 8, *, late: int = 0, stratum: str | None = None) -> StockChange:
    plots = [
        Plot(f"P{n}", 22.15, 45.2, day, 0.05, agb + n, stratum)
        for n in range(number)
        for day, agb in ((T0, 100.0), (END + timedelta(late), 109.0 + n % 3))
    ]
    return stock_change(assign_plots(plots, t0=T0, end=END), weights=None, permanent=True)


def decided(stock_: StockChange, project_: ProjectFile, **options: Any) -> tuple[str, str]:
    values: dict[str, Any] = {"baseline_measured": True, "outside": 0, "findings": ()} | options
    decision = decide_kind(stock_, project=project_, **values)
    return decision.kind, kind_finding(decision).message


class TestKind:
    def test_everything_measured_is_issuable(self) -> None:
        kind, told = decided(stock(), project())
        assert (kind, told.split(":")[0]) == ("issuable", "Issuable")

    def test_without_stocks_it_is_indicative(self) -> None:
        kind, told = decided(stock(1), project())
        assert kind == "indicative"
        assert "not known from plots" in told

    @pytest.mark.parametrize(
        ("changes", "options", "reason"),
        [
            ({}, {"baseline_measured": False}, "the baseline is declared, not measured"),
            ({"illustrative": True}, {}, "the plots are illustrative"),
            ({"illustrative": None}, {}, "the plots are not said to be real"),
            ({"plot_design": "purposive"}, {}, "plot design is purposive"),
            ({"leakage_tco2e": None}, {}, "does not state leakage_tco2e"),
            ({"buffer_percent": None}, {}, "does not state buffer_percent"),
            ({"root_shoot": None}, {}, "does not state root_shoot"),
            ({"applicability": None}, {}, "does not state applicability"),
            ({}, {"outside": 2}, "2 plot measurements lie outside"),
            ({}, {"findings": [Finding("loss-detected", "blocking", "x")]}, "(loss-detected)"),
        ],
    )
    def test_one_thing_amiss_makes_it_a_demonstration(
        self, changes: dict[str, Any], options: dict[str, Any], reason: str
    ) -> None:
        kind, told = decided(stock(), project(**changes), **options)
        assert kind == "demonstration"
        assert reason in told

    def test_seven_plots_are_too_few(self) -> None:
        assert "smallest sample has 7 plots, not 8" in decided(stock(7), project())[1]

    def test_the_poorest_stratum_counts(self) -> None:
        design = project(plot_design="stratified")
        assert decided(stock(8, stratum="a"), design)[0] == "issuable"

    def test_a_zone_is_as_good_as_a_ratio(self) -> None:
        assert (
            decided(stock(), project(root_shoot=None, zone="boreal/europe/natural"))[0]
            == "issuable"
        )

    def test_keys_that_the_methodology_does_not_read_may_be_absent(self) -> None:
        assert {"benchmark", "vmd0054", "nprt"} <= set(project().absent)
        assert decided(stock(), project())[0] == "issuable"


class TestProject:
    def test_every_absent_key_is_a_warning(self) -> None:
        found = project_findings(read_project(None), start=T0)
        codes = {finding.code for finding in found}
        assert {finding.severity for finding in found} == {"warning"}
        assert codes >= {"t0-not-stated", "leakage-not-stated", "buffer-not-rated"}
        assert codes >= {
            "applicability-not-assessed",
            "benchmark-not-stated",
            "previous-net-not-stated",
        }

    def test_a_full_file_warns_of_the_unread_keys_only(self) -> None:
        codes = {finding.code for finding in project_findings(project(), start=T0)}
        assert codes == {"benchmark-not-stated", "vmd0054-not-stated", "nprt-not-stated"}

    def test_a_later_period_without_its_history_would_count_twice(self) -> None:
        found = project_findings(project(previous_net_tco2e=None), start=date(2019, 1, 1))
        assert "earlier-credits-unknown" in {finding.code for finding in found}


class TestPlots:
    def found(self, stock_: StockChange, **options: Any) -> list[Finding]:
        values: dict[str, Any] = {"outside": (), "given": 16, "period": PERIOD} | options
        return plot_findings(stock_, **values)

    def test_no_plots(self) -> None:
        assert [f.code for f in self.found(stock(0), given=0)] == ["no-plots"]

    def test_nothing_to_say_about_a_clean_sample(self) -> None:
        assert self.found(stock()) == []

    def test_a_plot_outside_is_named(self) -> None:
        outside = Plot("FAR", 1.0, 2.0, T0, 0.05, 1.0)
        assert "FAR (1.00000, 2.00000)" in self.found(stock(), outside=[outside])[0].message

    def test_too_few_at_both_ends(self) -> None:
        assert [f.code for f in self.found(stock(1))][:2] == ["too-few-plots"] * 2

    def test_growth_after_the_period_is_pointed_out(self) -> None:
        found = self.found(stock(late=100))
        assert [f.code for f in found] == ["measured-span-exceeds-period"]
        assert "100 days after" in found[0].message

    def test_a_span_within_the_period_is_only_information(self) -> None:
        found = self.found(stock(late=-100))
        assert [(f.code, f.severity) for f in found] == [("measured-span-within-period", "info")]


def imagery(**changes: Any) -> list[Finding]:
    values: dict[str, Any] = {
        "change": Estimate(9, 1, 7, "t/ha"),
        "ndvi_start": 0.90,
        "ndvi_end": 0.91,
        "missing_start": 0.0,
        "missing_end": 0.0,
    }
    return imagery_findings(**(values | changes))


class TestImagery:
    def test_growth_with_falling_ndvi_disagrees(self) -> None:
        found = imagery(ndvi_end=0.89)
        assert [(f.code, f.severity) for f in found] == [("plots-and-imagery-disagree", "warning")]
        assert "+9.00 t/ha" in found[0].message

    def test_loss_with_rising_ndvi_disagrees(self) -> None:
        assert len(imagery(change=Estimate(-9, 1, 7, "t/ha"))) == 1

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"change": None, "ndvi_end": 0.5},
            {"change": Estimate(1, 5, 7, "t/ha"), "ndvi_end": 0.5},
        ],
    )
    def test_nothing_is_said_where_nothing_disagrees(self, changes: dict[str, Any]) -> None:
        assert imagery(**changes) == []

    @pytest.mark.parametrize(
        ("share", "code", "severity"),
        [
            (0.01, "pixels-missing", "info"),
            (0.2, "pixels-missing", "warning"),
            (0.6, "too-few-looks", "blocking"),
        ],
    )
    def test_missing_pixels_are_said_by_share(self, share: float, code: str, severity: str) -> None:
        found = imagery(missing_end=share)
        assert [(f.code, f.severity) for f in found] == [(code, severity)]


class TestRemovals:
    def test_uncertainty(self) -> None:
        assert uncertainty_findings(0.05, 0.0) == []
        assert uncertainty_findings(0.3, 0.08)[0].severity == "info"
        assert is_blocked(uncertainty_findings(1.3, 1.0))

    @pytest.mark.parametrize(
        ("net", "previous", "creditable", "codes"),
        [
            (10.0, 5.0, 3.0, []),
            (4.0, 5.0, 0.0, ["reversal"]),
            (-4.0, 0.0, 0.0, ["net-loss"]),
            (5.0, 5.0, 0.0, ["nothing-to-credit"]),
            (None, 0.0, None, []),
        ],
    )
    def test_increment(
        self, net: float | None, previous: float, creditable: float | None, codes: list[str]
    ) -> None:
        found = increment_findings(net=net, previous=previous, creditable=creditable)
        assert [f.code for f in found] == codes
        assert is_blocked(found) is bool(codes)
