"""What deployment claims: speed against teachers as they are called, equality, and sizes.

`KD_BENCH_DATA` names a folder with adult, letter, magic_gamma, soybean, california_housing and
mnist_5000 as Parquet files; without it nothing here can be shown. One process and one thread, so
that ratios are of one run.
"""

from __future__ import annotations

import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kdcore
from kdcore.bundle import pack
from kdcore.compiled import compile_teacher
from kdcore.exports import export
from kdcore.latency import spread, throughput
from kdcore.registry import default_registry

DATA = Path(os.environ.get("KD_BENCH_DATA", "."))
SECONDS = 0.5
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not (DATA / "letter.parquet").exists(), reason="KD_BENCH_DATA is not set"),
]

#: Least ratios that are claimed: how many times faster the bundle is.
NUMERIC = {"xgboost": 10, "lightgbm": 10, "catboost": 5, "random_forest": 500}


def table(name: str, rows: int | None = None) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame]:
    """Training rows, their labels, and held-out rows."""
    frame = pd.read_parquet(DATA / f"{name}.parquet")
    order = np.random.default_rng(0).permutation(len(frame))
    held, train = order[: len(frame) // 4], order[len(frame) // 4 :][:rows]
    X = frame.drop(columns="target")
    return X.iloc[train], frame["target"].iloc[train], X.iloc[held].reset_index(drop=True)


def singles(bundle: Any, frame: pd.DataFrame) -> float:
    ask = bundle.predict_one if bundle.classes is None else bundle.predict_proba_one
    return spread(ask, frame.head(200)[bundle.features].to_dict("records"), SECONDS)["p50"]


def frames(model: Any, frame: pd.DataFrame) -> float:
    return spread(model.predict_proba, [frame.iloc[[i]] for i in range(200)], SECONDS)["p50"]


def test_a_row_of_a_mixed_table(tmp_path, show):
    X, y, held = table("adult")
    result = kdcore.distill(
        X.assign(target=y), target="target", teacher="xgboost", recipe="fast", output=tmp_path
    )
    bundle = kdcore.load(tmp_path / "student.kd")
    own = singles(bundle, held)
    export(tmp_path / "student.kd", tmp_path / "p", format="sklearn", rows=held.head(100))
    student = kdcore.load(tmp_path / "student.kd", native=True)
    found = {
        "sklearn pipeline": (frames(student.to_sklearn()[1], held), 20),
        "xgboost": (frames(result.teacher, held), 50),
    }
    for name in ("lightgbm", "catboost"):
        teacher = default_registry().create("teacher", name, "classification").fit(X, y)
        found[name] = (frames(teacher, held), 50 if name == "lightgbm" else 0)
    show(f"\nadult, one row, p50: bundle (logistic_regression) {own:.1f} us")
    failed = told(show, own, found)
    assert not failed


def told(show: Any, own: float, found: dict[str, tuple[float, float]]) -> list[str]:
    failed = []
    for name, (time, least) in found.items():
        show(f"  {name:24} {time:10,.0f} us {time / own:8.1f} times (wanted {least:g})")
        if time / own < least:
            failed.append(f"{name}: {time / own:.1f} < {least}")
    return failed


@pytest.mark.parametrize("name", ["magic_gamma", "letter"])
def test_a_row_of_numbers(name, tmp_path, show):
    from catboost import CatBoostClassifier
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import RandomForestClassifier
    from xgboost import XGBClassifier

    X, y, held = table(name, 6000)
    labels = np.unique(y, return_inverse=True)[1]
    arrays = held.to_numpy(np.float32)
    ones = [arrays[[i]] for i in range(200)]
    users = {
        "xgboost": XGBClassifier(n_estimators=300, max_depth=6, n_jobs=1),
        "lightgbm": LGBMClassifier(n_estimators=300, n_jobs=1, verbosity=-1),
        "catboost": CatBoostClassifier(iterations=300, thread_count=1, verbose=0),
        "random_forest": RandomForestClassifier(300, n_jobs=1, random_state=0),
    }
    found: dict[str, tuple[float, float]] = {}
    rates = {}
    for kind, model in users.items():
        model.fit(X.to_numpy(np.float32), labels)
        found[kind] = (spread(model.predict_proba, ones, SECONDS)["p50"], NUMERIC[kind])
        if kind == "lightgbm":
            rates[kind] = throughput(model.predict_proba, arrays[:10_000], SECONDS)
    for kind in ("xgboost", "lightgbm"):
        teacher = default_registry().create("teacher", kind, "classification")
        teacher.set_params(n_estimators=300).fit(X, y)
        packed = compile_teacher(teacher, held.head(2000))
        found[f"{kind}, compiled"] = (singles(packed.bundle, held), 1.5)
    student = default_registry().create("student", "decision_tree", "classification").fit(X, y)
    bundle = pack(student, held, name="decision_tree").bundle
    own = singles(bundle, held)
    rate = throughput(bundle.predict_proba, held.head(10_000), SECONDS)
    show(f"\n{name}, one row, p50: bundle (decision_tree) {own:.1f} us")
    failed = told(show, own, found)
    ratio = rate / rates["lightgbm"]
    show(f"  rows a second: {rate:,.0f}, lightgbm {rates['lightgbm']:,.0f}: {ratio:.1f} times")
    assert not failed
    assert ratio >= 20


TABLES = {
    "adult": "classification",
    "letter": "classification",
    "soybean": "classification",
    "california_housing": "regression",
    "mnist_5000": "classification",
}


def cells() -> list[tuple[str, str]]:
    found = default_registry().specs("student")
    return [
        (name, student)
        for name, kind in TABLES.items()
        for student, spec in found.items()
        # The 16 numbers of a letter can be read as a picture of 4 x 4.
        if (spec.input == "table" or name in ("letter", "mnist_5000"))
        and ("regression" if kind == "regression" else "multiclass") in spec.tasks
    ]


@pytest.mark.parametrize(("name", "student"), cells())
def test_every_student_is_equal_in_its_bundle(name, student, tmp_path, show):
    """All held-out rows; fitted to 2,000 rows, since equality does not depend on quality."""
    X, y, held = table(name, 2000)
    made = default_registry().create("student", student, TABLES[name])
    if "pytorch" in student or "mlp" in student:
        made.set_params(max_iter=300)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.fit(X, y)
    packed = pack(made, held, name=student)
    packed.save(tmp_path / "s.kd")
    parity = packed.bundle.manifest["parity"]
    again = "-"
    if "reason" not in packed.bundle.manifest["native"]:
        native = kdcore.load(tmp_path / "s.kd", native=True)
        ask = "predict" if packed.bundle.classes is None else "predict_proba"
        again = (
            "same bits"
            if np.array_equal(getattr(native, ask)(held), getattr(made, ask)(held))
            else "DIFFERS"
        )
    scale = 1.0 if packed.bundle.classes is not None else max(1.0, float(np.abs(y).max()))
    difference = parity["max_difference"] / scale
    line = (
        f"{name:20} {student:20} {parity['rows']:6} rows, difference {difference:.1e}, "
        f"flipped {parity['flipped']}, {len(packed.data):,} bytes ("
        f"{len(packed.without_state().data):,} without state), native {again}"
    )
    if "onnx-int8" in default_registry().specs("student")[student].exports:
        small = export(tmp_path / "s.kd", tmp_path / "s8", format="onnx-int8", rows=held)
        told = small.parity or {}
        line += f"; int8 {told['max_difference']:.1e}, flipped {told['flipped']}"
        line += f", {small.size_bytes:,} bytes"
    script = export(tmp_path / "s.kd", tmp_path / "s.pt", format="torchscript", rows=held).parity
    line += f"; torchscript {script['max_difference']:.1e}, flipped {script['flipped']}"
    show(line)
    assert parity["flipped"] == 0
    assert difference < 1e-5
    assert again != "DIFFERS"


SIZES = (
    ("logistic_regression", 20_000, {}),
    ("decision_tree", 30_000, {"max_depth": 6}),
    ("sklearn_mlp", 60_000, {}),
    ("pytorch_mlp", 60_000, {}),
)


@pytest.mark.parametrize(("student", "limit", "params"), SIZES)
@pytest.mark.parametrize("recipe", ["plain", "auto"])
def test_sizes(student, limit, params, recipe, tmp_path, show):
    """All that is in the bundle but the report; networks have hidden layers of 64 and 32."""
    kdcore.distill(
        DATA / "adult.parquet",
        target="target",
        teacher="xgboost",
        student=student,
        student_params=params,
        recipe=recipe,
        output=tmp_path,
    )
    with zipfile.ZipFile(tmp_path / "student.kd") as archive:
        sizes = {i.filename: i.compress_size for i in archive.infolist()}
        report = archive.getinfo("report.html")
        # Its entry takes its bytes, a head before them, and a line in the directory.
        others = (tmp_path / "student.kd").stat().st_size
        others -= report.compress_size + 30 + 46 + 2 * len(report.filename)
    told = ", ".join(f"{name} {size:,}" for name, size in sizes.items())
    show(f"adult, {student} {params}, recipe {recipe}: {others:,} bytes (limit {limit:,}): {told}")
    assert others < limit
