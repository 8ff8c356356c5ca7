# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From a polygon to an estimate
#
# Real Sentinel-2 images of a beech forest in Romania, **illustrative** plots. Five lines: the
# request, and where its evidence goes.

# %%
import tempfile
from pathlib import Path

from geo.estimate import EstimateRequest, run_estimate

samples = Path("../data/samples")

# %%
request = EstimateRequest(
    boundary=samples / "projects/RO-STABLE.geojson", plots=samples / "projects/RO-STABLE-plots.csv",
    catalog=str(samples / "catalog/catalog.json"), collection="s2-l2a-romania", season="06-01/08-31",
    start="2016-01-01", end="2018-12-31", project=samples / "projects/RO-STABLE-1.json")
bundle = Path(tempfile.mkdtemp(prefix="amanar-")) / "RO-STABLE"
result = run_estimate(request, bundle, progress=lambda line: None)

# %% [markdown]
# ## What came out, and what it may be used for
#
# `kind` decides: a demonstration can be minted in a sandbox only. Every number has its interval;
# what speaks against it stands in `quality`.

# %%
import pandas as pd

rows = {
    "AGB, first end (t/ha)": result["agb_t_per_ha"]["start"],
    "AGB, last end (t/ha)": result["agb_t_per_ha"]["end"],
    "AGB, change (t/ha)": result["agb_t_per_ha"]["change"],
    "AGB, change of the area (t)": result["agb_change_t"],
}
table = pd.DataFrame(
    {name: {"mean": e["mean"], "se": e["se"], "low 90 %": e["ci90"][0], "high 90 %": e["ci90"][1]}
     for name, e in rows.items()}
).T.round(2)
print(result["kind"], "in a", result["environment"], "-", result["methodology"]["id"])
table

# %%
pd.Series(result["removals_tco2e"], name="t CO2e").round(2).to_frame()

# %%
pd.DataFrame(result["quality"])[["severity", "code", "message"]].style.set_properties(
    **{"text-align": "left", "white-space": "normal"}
)

# %% [markdown]
# ## The pixels
#
# The rasters of the bundle are published integers (NDVI x 10,000); the map is drawn here from
# them, not taken from the bundle's picture.

# %%
import geopandas as gpd
import matplotlib.pyplot as plt
import rioxarray

first, last = (
    rioxarray.open_rasterio(bundle / f"ndvi_{end}.tif", masked=True).squeeze() / 10_000
    for end in ("start", "end")
)
area = gpd.read_file(request.boundary).to_crs(first.rio.crs)
figure, axes = plt.subplots(1, 3, figsize=(11, 6), constrained_layout=True)
for axis, (title, raster, style) in zip(axes, (
    (f"NDVI, summer {result['seasons'][0]['year']}", first, dict(cmap="YlGn", vmin=0.6, vmax=0.95)),
    (f"NDVI, summer {result['seasons'][-1]['year']}", last, dict(cmap="YlGn", vmin=0.6, vmax=0.95)),
    ("change", last - first, dict(cmap="BrBG", vmin=-0.3, vmax=0.3)),
), strict=True):
    raster.plot(ax=axis, cbar_kwargs={"label": "NDVI (unit 1)", "shrink": 0.6}, **style)
    area.boundary.plot(ax=axis, color="black", linewidth=1.2)
    axis.set(title=title, xlabel="", ylabel="", xticks=[], yticks=[], aspect="equal")
plt.show()

# %%
series = pd.read_csv(bundle / "timeseries.csv", parse_dates=["date"])
figure, axis = plt.subplots(figsize=(11, 3.5), constrained_layout=True)
dots = axis.scatter(series["date"], series["ndvi_median"], c=series["clear_share"], cmap="viridis", vmin=0, vmax=1)
figure.colorbar(dots, label="share of clear pixels")
axis.set(ylabel="NDVI, median of clear pixels (unit 1)", title="Every scene that was looked at")
plt.show()

# %% [markdown]
# ## Anybody can run it again
#
# The bundle carries its source pixels. Replay recomputes from them and names the first thing
# that differs. It shows that the number was computed as stated, not that it is right.

# %%
from geo.replay import replay

found = replay(bundle)
print(found.source, found.differences or "no difference")
assert not found.differences
