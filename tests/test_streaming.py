"""``kd predict`` piece by piece predicts as on the whole table, and writes whole files only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_models import LeastSquaresStudent, SoftmaxStudent

import kdcore
from kdcore import streaming
from kdcore.__main__ import main
from kdcore.bundle import pack
from kdcore.onnx_models import linear_model
from kdcore.table import read_table
from kdcore.testing import tiny_data

ENDINGS = [".csv", ".csv.gz", ".tsv", ".parquet", ".feather"]
READERS = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".feather": pd.read_feather}


class Linear(SoftmaxStudent):
    def to_onnx(self) -> Any:
        return linear_model(self.weights_[:-1].T, self.weights_[-1], link="softmax")


class Line(LeastSquaresStudent):
    def to_onnx(self) -> Any:
        return linear_model(self.model_.coef_, self.model_.intercept_, link="identity")


def write(frame: pd.DataFrame, path: str) -> None:
    if ".csv" in path or ".tsv" in path:
        frame.to_csv(path, index=False, sep="\t" if ".tsv" in path else ",")
    elif path.endswith(".parquet"):
        frame.to_parquet(path, row_group_size=50)
    else:
        frame.to_feather(path)


def codes(n: int) -> pd.DataFrame:
    """Texts that look like numbers, with one that does not near the end, and gaps at the start."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "code": rng.choice(np.array(["007", "7", "7.0", "10"], dtype=object), n),
            "whole": rng.integers(0, 9, n).astype(float),
            "flag": rng.choice(np.array([True, False, None], dtype=object), n),
            "extra": ["not, read"] * n,
        }
    )
    frame.loc[n - 3, "code"] = "A"
    frame.loc[:60, "whole"] = np.nan
    frame.loc[:60, "flag"] = None
    return frame


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(streaming.pieces, "__kwdefaults__", {"rows": 37})
    monkeypatch.setattr(streaming, "WHOLE_TEXT", 0)


@pytest.fixture
def saved():
    """A bundle that reads three columns of `codes`."""
    frame = codes(200)
    Path("train.csv").write_text(frame.to_csv(index=False))
    table = read_table("train.csv")[["code", "whole", "flag"]]
    y = (frame["code"] == "007").astype(int) + (frame["whole"] > 4)
    pack(Linear().fit(table, y.to_numpy()), table).save("s.kd")
    return kdcore.load("s.kd")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("target", ["p.csv", "p.parquet", "p.feather", None])
def test_pieces_give_what_the_whole_table_gives(saved, capsys, ending, target):
    write(codes(160), f"rows{ending}")
    expected = saved.predict_proba(read_table(f"rows{ending}"))
    assert len({row.tobytes() for row in expected}) > 8
    arguments = ["predict", "s.kd", f"rows{ending}"]
    assert main([*arguments, *(["-o", target] if target else [])]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    if target is None:
        target = "stdout.csv"
        Path(target).write_text(out)
    written = READERS[Path(target).suffix](target)
    assert list(written) == ["prediction", "proba_0", "proba_1", "proba_2"]
    np.testing.assert_array_equal(written["prediction"], expected.argmax(axis=1))
    np.testing.assert_allclose(written.iloc[:, 1:], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("ending", ENDINGS)
def test_pieces_have_the_types_of_the_whole_and_only_the_columns_that_are_read(ending):
    write(codes(160), f"rows{ending}")
    wanted = ["flag", "code"]
    parts, total = streaming.pieces(f"rows{ending}", wanted)
    parts = list(parts)
    assert total in (160, None)
    assert max(map(len, parts)) == 37
    assert all(set(part) == set(wanted) for part in parts)
    from kdcore.columns import category_keys

    whole = read_table(f"rows{ending}")
    for name in wanted:
        keys = np.concatenate([category_keys(part[name]) for part in parts])
        assert keys.tolist() == category_keys(whole[name]).tolist()


def test_a_regression_is_written_too(capsys):
    data = tiny_data("regression", content="mixed")
    pack(Line().fit(data.X, data.y), data.X).save("r.kd")
    data.X.set_index("amount").to_parquet("rows.parquet")
    assert main(["predict", "r.kd", "rows.parquet", "-o", "p.parquet"]) == 0
    expected = kdcore.load("r.kd").predict(data.X)
    np.testing.assert_allclose(pd.read_parquet("p.parquet")["prediction"], expected, rtol=1e-6)


def test_unseen_categories_are_counted_over_all_pieces(saved, capsys):
    codes(160).assign(code="new").to_parquet("rows.parquet")
    assert main(["predict", "s.kd", "rows.parquet", "-o", "p.csv"]) == 0
    assert "column 'code' holds 160 value(s)" in capsys.readouterr().err
    assert main(["predict", "s.kd", "rows.parquet", "-o", "p.csv", "--force", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("target", ["p.csv", "p.parquet", "p.feather"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_bad_value_near_the_end_leaves_no_half_file(saved, capsys, ending, target):
    frame = codes(160)
    frame["whole"] = frame["whole"].astype(object)
    frame.loc[157, "whole"] = "oops"
    frame["whole"] = frame["whole"].map(lambda v: v if v == "oops" else str(v))
    write(frame, f"rows{ending}")
    Path(target).write_text("mine")
    assert main(["predict", "s.kd", f"rows{ending}", "-o", target, "--force"]) == 1
    err = capsys.readouterr().err
    assert "column 'whole' holds 'oops'" in err
    assert len(err.strip().splitlines()) == 1
    assert Path(target).read_text() == "mine"
    assert sorted(os.listdir()) == sorted({"s.kd", "train.csv", target, f"rows{ending}"})


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_that_cannot_be_read_are_refused_as_ever(saved, capsys, ending):
    write(codes(50).drop(columns="flag"), f"lacks{ending}")
    write(codes(50).head(0), f"none{ending}")
    Path(f"broken{ending}").write_bytes(b"PAR1 no table" * 9)
    Path(f"empty{ending}").touch()
    for name, reason in (
        ("lacks", "lacks 1 column(s) that the student reads: 'flag'"),
        ("none", "has no rows"),
        ("broken", ""),
        ("empty", "is empty"),
        ("absent", "there is no file"),
    ):
        assert main(["predict", "s.kd", f"{name}{ending}", "-o", "p.csv"]) == 1, name
        err = capsys.readouterr().err
        assert reason in err
        assert len(err.strip().splitlines()) == 1
        assert not Path("p.csv").exists()
