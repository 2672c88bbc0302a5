"""All data of a report's pictures, from the outputs of all models on the held-out rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kdcore.candidates import describe_error
from kdcore.evaluation import row_losses
from kdcore.notes import note
from kdcore.pictures.classes import agreement, calibration
from kdcore.pictures.intervals import intervals
from kdcore.pictures.models import importance, learning
from kdcore.pictures.segments import segments
from kdcore.pictures.summary import summary
from kdcore.pictures.values import predicted, residuals

if TYPE_CHECKING:
    from kdcore.splits import Data

__all__ = ["collect", "collect_or_say"]


def collect(
    data: Data, outputs: Mapping[str, np.ndarray], models: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Plain data, some ten kB, from which a report's pictures are drawn.

    Parameters
    ----------
    data : Data
    outputs : mapping of str to arrays of shape (m, K) or (m,)
        Of ``teacher`` (where it can be asked), ``plain``, ``plain_encoded`` (where there is one)
        and ``student`` for the held-out rows.
    models : mapping of str to fitted student, optional
        Their importances and learning curves are kept too.

    Returns
    -------
    dict
        ``intervals``, ``segments``, ``data``, ``importance`` and ``learning`` in any task;
        ``agreement`` and ``calibration`` where there are classes, else ``predicted`` and
        ``residuals``.
    """
    held, models = data.held, models or {}
    y, classes, weight = held.y, held.classes, held.sample_weight
    losses = {name: row_losses(output, y, classes) for name, output in outputs.items()}
    found: dict[str, Any] = {
        "intervals": {
            name: intervals(output, y, classes, weight) for name, output in outputs.items()
        },
        "segments": segments(held, outputs, losses),
        "data": summary(data),
        "importance": importance(models.get("student")),
        "learning": {
            name: curve for name, model in models.items() if (curve := learning(model)) is not None
        },
    }
    if classes is None:
        found["predicted"] = predicted(outputs, y)
        found["residuals"] = residuals(outputs, y)
    else:
        codes = np.searchsorted(classes, y)
        found["agreement"] = agreement(outputs, codes, classes)
        found["calibration"] = calibration(outputs, codes, classes, weight)
    return found


def collect_or_say(
    data: Data, outputs: Mapping[str, np.ndarray], models: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any] | None, list[str]]:
    """`collect`, or None and a note: no picture is worth the loss of a finished distillation."""
    try:
        return collect(data, outputs, models), []
    except Exception as error:
        return None, [note("no_pictures", error=describe_error(error))]
