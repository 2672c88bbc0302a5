"""Small tables of the kinds that users have; `data/README.md` says where they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["TABLES", "load"]

_FOLDER = Path(__file__).with_name("data")

#: Binary with text, numbers and gaps; 26 classes; categories only, with gaps and tiny classes;
#: a regression with a category and gaps.
TABLES = ("adult", "letter", "soybean", "housing")


def load(name: str) -> pd.DataFrame:
    """One of `TABLES`; the last column is ``target``."""
    if name == "housing":
        return _housing(400)
    path = _FOLDER / f"{name}.csv"
    # Codes of soybean's categories would be read as numbers.
    return pd.read_csv(path, dtype="category" if name == "soybean" else None)


def _housing(n: int) -> pd.DataFrame:
    """A made table with the columns, ranges, gaps and skews of the Californian census of 1990."""
    rng = np.random.default_rng(0)
    south = rng.random(n) < 0.6
    latitude = np.where(south, rng.normal(33.9, 0.6, n), rng.normal(37.8, 0.8, n))
    # The coast runs from north-west to south-east.
    inland = rng.gamma(1.3, 0.6, n)
    longitude = -122.4 + (37.7 - latitude) * 1.15 + inland
    households = rng.lognormal(6.0, 0.7, n).round().clip(2)
    income = rng.gamma(4.2, 0.92, n).clip(0.5, 15.0).round(4)
    age = rng.integers(1, 53, n)
    rooms = (households * (3.6 + 0.45 * income + rng.normal(0, 0.5, n))).clip(2).round()
    bedrooms = (households * rng.normal(1.07, 0.08, n)).clip(1).round()
    near = np.where(south, "NEAR OCEAN", "NEAR BAY")
    place = np.select([inland > 0.9, inland > 0.25], ["INLAND", "<1H OCEAN"], near)
    value = (
        42_000 * income * np.where(place == "INLAND", 0.75, 1.0)
        + 35_000 * (place == "NEAR BAY")
        + 500 * age
        + 30_000 * np.exp(-(((latitude - 34.0) / 0.3) ** 2))
        + 15_000
    ) * rng.lognormal(0, 0.22, n)
    return pd.DataFrame(
        {
            "longitude": longitude.round(2),
            "latitude": latitude.round(2),
            "housing_median_age": age,
            "total_rooms": rooms.astype(int),
            "total_bedrooms": np.where(rng.random(n) < 0.02, np.nan, bedrooms),
            "population": (households * rng.gamma(9, 0.32, n)).round().astype(int),
            "households": households.astype(int),
            "median_income": income,
            "ocean_proximity": place,
            "target": value.clip(15_000, 500_001).round(-2),
        }
    )
