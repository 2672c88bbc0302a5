"""What fitted students tell of themselves: importances of columns, and losses of their training."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["importance", "learning"]

_MOST_COLUMNS = 40
_MOST_POINTS = 200


def importance(student: Any) -> list[list[Any]] | None:
    """``[column, importance]`` of the columns that are read, largest first; None if it has none."""
    try:
        found = student.get_feature_importance()
    except Exception:
        # Not every student tells importances, and no plugin's fault may cost the report.
        return None
    values = {str(name): float(value) for name, value in found.items() if value > 0}
    if not all(map(np.isfinite, values.values())):
        return None
    return [[name, value] for name, value in values.items()][:_MOST_COLUMNS]


def learning(student: Any) -> dict[str, Any] | None:
    """The training loss by step: ``steps`` and ``loss``, at most 200 of each; None if unknown."""
    curve = getattr(student, "loss_curve_", None)
    if curve is None or len(curve) < 2:
        return None
    values = np.asarray(curve, dtype=float)
    if not np.isfinite(values).all():
        return None
    steps = np.unique(np.linspace(1, len(values), min(len(values), _MOST_POINTS)).round()).astype(
        int
    )
    return {"steps": steps.tolist(), "loss": [float(f"{v:.6g}") for v in values[steps - 1]]}
