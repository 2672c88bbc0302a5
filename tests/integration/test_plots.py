"""`Comparison.plot` with the real matplotlib."""

from __future__ import annotations

import io
import sys

import pytest

from kdcore import KDError
from kdcore.comparison import Comparison


def pair(student: str, score: float, time: float, size: int | None) -> dict:
    return {
        "teacher": {"name": "t", "metrics": {"log_loss": 0.1}},
        "student": {
            "name": student,
            "metrics": {"log_loss": score},
            "fidelity": None,
            "features": ["a", "b"],
        },
        "plain": {"metrics": {"log_loss": score}},
        "verdict": {"metric": "log_loss", "gap_closed": None, "choice": "plain"},
        "latency_us": {"student": {"single": time}},
        "size_bytes": {"student": size},
    }


def test_every_pair_is_a_point_with_a_name_in_each_picture():
    comparison = Comparison(
        [
            pair("tree", 0.3, 10.0, 3000),
            pair("linear", 0.2, 20.0, None),
            pair("network", 0.4, 30.0, 9000),
            {"teacher": {"name": "t"}, "student": {"name": "broken"}, "error": "why"},
        ]
    )
    figure = comparison.plot()
    assert len(figure.axes) == 3
    for axis, names in zip(
        figure.axes, ({"tree", "linear", "network"}, {"tree", "network"}, None), strict=True
    ):
        texts = {text.get_text() for text in axis.texts}
        assert names is None or texts == names
        points = sum(len(c.get_offsets()) for c in axis.collections)
        assert points == (3 if names is None else len(names))
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")
    # No global state of pyplot, which would pile up figures.
    assert (
        "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()
    )


def test_without_matplotlib_or_points_a_reader_is_told_what_to_do(monkeypatch):
    failed = {"teacher": {"name": "t"}, "student": {"name": "s"}, "error": "why"}
    with pytest.raises(KDError, match="no pair was distilled"):
        Comparison([failed]).plot()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(KDError, match=r"pip install 'kdcore\[plot\]'"):
        Comparison([pair("tree", 0.3, 10.0, 3000)]).plot()
