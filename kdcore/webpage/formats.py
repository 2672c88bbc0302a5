"""Numbers as readers like them."""

from __future__ import annotations

import math
from typing import Any

from kdcore.notes import figure

__all__ = [
    "count",
    "number",
    "percent",
    "ratio",
    "short",
    "signed",
    "size",
    "time",
    "with_error",
]

_NONE = "–"
#: Between a number and its unit there is no line break.
_GAP = "\u00a0"


def _known(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def number(value: Any, digits: int = 4) -> str:
    """Four significant digits, thousands apart; a dash for what is unknown."""
    if not _known(value):
        return _NONE
    if value and not 1e-4 <= abs(value) < 1e9:
        return f"{value:.{digits - 1}e}".replace("-", "−")
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    text = f"{value:,.{max(0, digits - max(whole, 1) + (whole == 0))}f}"
    return text.replace("-", "−")


def short(value: float) -> str:
    """Up to five significant digits without idle zeros, for the edges of ranges."""
    shown = float(f"{value:.5g}")
    return (f"{shown:,.10g}" if abs(shown) >= 10_000 else f"{shown:.5g}").replace("-", "−")


def with_error(gain: float, error: float) -> str:
    """A difference and its standard error to the same place: two digits of the error."""
    if not (_known(gain) and _known(error)):
        return signed(gain)
    places = 1 - math.floor(math.log10(error)) if error > 0 else 4
    places = min(max(places, 0), 8)
    return f"{gain:+,.{places}f} ± {error:,.{places}f}".replace("-", "−")


def signed(value: Any) -> str:
    """Three significant digits with a sign."""
    return _NONE if not _known(value) else figure(value, 3, "+").replace("-", "−")


def count(value: Any) -> str:
    """A whole number, thousands apart."""
    return f"{value:,}" if _known(value) else _NONE


def percent(value: Any, places: int = 1) -> str:
    """A share in percent."""
    return f"{value * 100:.{places}f}{_GAP}%".replace("-", "−") if _known(value) else _NONE


def ratio(value: float) -> str:
    """How many times, as ``93×``."""
    return f"{value:,.0f}×" if value >= 10 else f"{value:.1f}×"


def time(microseconds: Any) -> str:
    """A time in µs, ms or s."""
    if not _known(microseconds):
        return _NONE
    if microseconds >= 1e6:
        return f"{microseconds / 1e6:.2f}{_GAP}s"
    if microseconds >= 1000:
        return f"{microseconds / 1000:.2f}{_GAP}ms"
    return f"{microseconds:.0f}{_GAP}µs" if microseconds >= 10 else f"{microseconds:.1f}{_GAP}µs"


def size(octets: Any) -> str:
    """A size in kB or MB."""
    if not _known(octets):
        return _NONE
    return f"{octets / 1e6:.1f}{_GAP}MB" if octets >= 1e6 else f"{octets / 1e3:.1f}{_GAP}kB"
