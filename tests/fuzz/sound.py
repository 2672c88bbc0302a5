"""Small sound bundles of every kind of graph that the core writes."""

from __future__ import annotations

from typing import Any

import numpy as np
from small_models import LeastSquaresStudent, RegressionTreeStudent, SoftmaxStudent, TreeStudent

from kdcore.bundle import Packed, pack
from kdcore.graph import linear_model, tree_ensemble
from kdcore.testing import tiny_data

__all__ = ["bundles"]


class Linear(SoftmaxStudent):
    def to_onnx(self) -> Any:
        return linear_model(self.weights_[:-1].T, self.weights_[-1], link="softmax")


class Line(LeastSquaresStudent):
    def to_onnx(self) -> Any:
        return linear_model(self.model_.coef_, self.model_.intercept_, link="identity")


class _Tree:
    model_: Any

    def to_onnx(self) -> Any:
        tree = self.model_.tree_
        told = {
            "left": tree.children_left,
            "right": tree.children_right,
            "feature": tree.feature,
            "threshold": tree.threshold,
            "missing_left": tree.missing_go_to_left.astype(bool),
            "value": tree.value.reshape(tree.node_count, -1),
        }
        outputs = told["value"].shape[1]
        return tree_ensemble(
            [told], n_features=tree.n_features, n_outputs=outputs, less_or_equal=True
        )


class Tree(_Tree, TreeStudent):
    pass


class RegressionTree(_Tree, RegressionTreeStudent):
    pass


def bundles() -> list[tuple[Packed, dict[str, list[Any]]]]:
    """Bundles, each with rows of plain values to predict."""
    texts, values = tiny_data("multiclass", labels="text"), tiny_data("regression")
    made = []
    for student, data in [
        (Linear(), texts),
        (Linear(encoder="teacher_bins:pairs=2"), texts),
        (Tree(), texts),
        (Linear(encoder="quantile"), texts),
        (Line(encoder="spline"), values),
        (RegressionTree(), values),
    ]:
        packed = pack(student.fit(data.X, data.y), data.X, name="small")
        rows = data.X.head(8).astype(object).where(data.X.head(8).notna(), None)
        table = {str(n): [_plain(v) for v in rows[n]] for n in rows}
        made.append((packed, table))
    return made


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
