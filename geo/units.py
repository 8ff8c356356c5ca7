"""Physical constants and unit conversions, each with its source; imports nothing.

What is project- or zone-dependent (root:shoot, growth) is data, not a constant: data/reference.
"""

CARBON_FRACTION = 0.47
"""tC per t of dry matter. IPCC 2006 Guidelines, vol. 4, ch. 4, Table 4.3 (default)."""

CO2_PER_C = 44 / 12
"""tCO2 per tC, ratio of molar masses; exact, never 3.67."""

ROOT_SHOOT_FALLBACK = 0.26
"""BGB/AGB, t/t: the slope of Mokany et al. 2006 (Global Change Biology 12:84), Fig. 3.

Used only where neither the project nor a zone names a ratio, and marked as a fallback.
"""

M2_PER_HA = 10_000.0

DAYS_PER_YEAR = 365.25
