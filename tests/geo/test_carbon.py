"""Root-to-shoot and growth tables: which row, which class, what is never used."""

from __future__ import annotations

import pytest

from geo.carbon import _table, root_shoot, tier1
from geo.errors import BadInput


class TestRootShoot:
    def test_a_stated_ratio_is_taken_with_its_source(self) -> None:
        ratio = root_shoot(stated=0.3, stated_source="Somebody 2020")
        assert (ratio.value, ratio.source, ratio.fallback) == (0.3, "Somebody 2020", False)

    @pytest.mark.parametrize("value", [0.05, 1.2])
    def test_a_stated_ratio_out_of_range_needs_a_reason(self, value: float) -> None:
        with pytest.raises(BadInput, match=r"outside 0\.1 to 1"):
            root_shoot(stated=value)
        assert root_shoot(stated=value, justification="destructive sample").value == value

    def test_with_neither_ratio_nor_zone_it_is_the_marked_fallback(self) -> None:
        ratio = root_shoot()
        assert (ratio.value, ratio.fallback) == (0.26, True)
        assert "Mokany" in ratio.source

    @pytest.mark.parametrize(
        ("stocks", "expected"),
        [
            ((18.0, 31.5), 0.323),
            ((130.0, 180.0), 0.246),
            ((120.0, 126.0), 0.246),
            ((125.0,), 0.323),
        ],
        ids=["low class", "high class", "both: the smaller", "the limit belongs below"],
    )
    def test_the_smaller_of_the_classes_touched(
        self, stocks: tuple[float, ...], expected: float
    ) -> None:
        zone = "tropical-moist-deciduous/asia/natural"
        assert root_shoot(zone=zone, stocks_t_per_ha=stocks).value == expected

    def test_crossing_the_class_limit_never_turns_growth_into_loss(self) -> None:
        """120 -> 126 t/ha with a ratio for each class: 158.8 -> 157.0, a loss that is none."""
        ratio = root_shoot(zone="tropical-moist-deciduous/asia/natural", stocks_t_per_ha=(120, 126))
        assert 126 * (1 + ratio.value) > 120 * (1 + ratio.value)
        assert 126 * (1 + 0.246) < 120 * (1 + 0.323)

    def test_without_stocks_it_is_the_smaller_of_the_row(self) -> None:
        assert root_shoot(zone="tropical-rainforest/africa/natural").value == 0.532

    def test_of_two_copies_that_disagree_the_smaller_counts_and_it_is_flagged(self) -> None:
        ratio = root_shoot(zone="tropical-dry/americas/natural", stocks_t_per_ha=(50,))
        assert ratio.value == 0.334
        assert ratio.flags == ("sources-disagree",)

    @pytest.mark.parametrize(
        ("zone", "stock", "told"),
        [
            ("temperate-mountain/europe/natural/quercus", 100, "1.155 is implausible"),
            ("temperate-continental/europe/natural/quercus", 100, "0.477 is gap-filled"),
            ("subtropical-steppe/americas/natural", 100, "1.338 is implausible"),
            ("temperate-oceanic/americas/planted/conifer", 100, "no value for this biomass"),
        ],
    )
    def test_doubtful_cells_are_never_used(self, zone: str, stock: float, told: str) -> None:
        with pytest.raises(BadInput, match=told):
            root_shoot(zone=zone, stocks_t_per_ha=(stock,))

    def test_the_good_cell_beside_a_doubtful_one_may_be_used(self) -> None:
        zone = "temperate-mountain/europe/natural/quercus"
        assert root_shoot(zone=zone, stocks_t_per_ha=(200, 210)).value == 0.394
        assert root_shoot(zone=zone).value == 0.394

    def test_an_unknown_zone_lists_those_of_its_land(self) -> None:
        with pytest.raises(BadInput) as caught:
            root_shoot(zone="temperate-continental/europe/natural")
        assert "temperate-continental/europe/natural/quercus" in str(caught.value)
        assert "tropical" not in str(caught.value)

    def test_an_unknown_zone_is_refused_beside_a_stated_ratio_too(self) -> None:
        with pytest.raises(BadInput, match=r"natural/quercus, .*or leave it out"):
            root_shoot(stated=0.3, zone="temperate-mountain/europe/wild")

    def test_a_zone_that_only_the_growth_table_knows_stands_beside_a_stated_ratio(self) -> None:
        assert root_shoot(stated=0.3, zone="temperate-mountain/europe/natural").value == 0.3

    def test_nonsense_lists_all(self) -> None:
        with pytest.raises(BadInput, match="boreal/any/any"):
            root_shoot(zone="moon")

    def test_a_zone_is_read_in_any_spelling(self) -> None:
        zone = " Tropical Rainforest/Asia/natural "
        assert root_shoot(zone=zone, stocks_t_per_ha=(10,)).value == 0.207

    def test_a_continent_has_several_names(self) -> None:
        zone = "tropical-rainforest/South America/natural"
        assert root_shoot(zone=zone, stocks_t_per_ha=(10,)).value == 0.221

    def test_boreal_is_one_row_for_all_with_its_own_limit(self) -> None:
        assert root_shoot(zone="boreal/europe/natural", stocks_t_per_ha=(75,)).value == 0.39
        assert root_shoot(zone="boreal/asia/planted", stocks_t_per_ha=(76,)).value == 0.24


class TestTables:
    def test_every_usable_ratio_is_plausible(self) -> None:
        for row in _table("root_shoot.json")["rows"]:
            for cell in row["classes"]:
                assert 0.1 <= cell["value"] <= 1.0 or "implausible" in cell["flags"]

    def test_no_two_rows_have_one_key(self) -> None:
        rows = _table("root_shoot.json")["rows"]
        keys = {(r["zone"], r["continent"], r["origin"], r["type"]) for r in rows}
        assert len(keys) == len(rows)


class TestTier1:
    def test_temperate_mountain_europe(self) -> None:
        found = tier1("temperate-mountain/europe/natural")
        assert found is not None
        assert found.growth_t_per_ha_yr == (3.0, 3.0)

    def test_age_classes_give_a_range(self) -> None:
        found = tier1("tropical-rainforest/americas/natural")
        assert found is not None
        assert found.growth_t_per_ha_yr == (1.0, 5.9)

    @pytest.mark.parametrize("zone", [None, "moon", "tropical-rainforest/americas/planted"])
    def test_a_zone_without_a_row_has_no_figure(self, zone: str | None) -> None:
        assert tier1(zone) is None
