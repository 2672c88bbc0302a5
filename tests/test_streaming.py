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
from kdcore.testing.isolation import run_python

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
    monkeypatch.setattr(streaming.pieces, "__kwdefaults__", {"rows": 37, "skip": 0})
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


KILLED = """
import os, signal
from kdcore import resume, streaming
from kdcore.__main__ import main

resume.ROWS = resume.Parts.__init__.__kwdefaults__["rows"] = 40
streaming.pieces.__kwdefaults__["rows"] = 20
real, calls = streaming.predictions, []

def predictions(model, frame):
    calls.append(len(frame))
    if len(calls) > {calls}:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(model, frame)

streaming.predictions = predictions
code = main(["predict", "student.kd", {source!r}, "-o", {output!r}])
print(sum(calls))
raise SystemExit(code)
"""


@pytest.mark.parametrize("source", ["rows.parquet", "rows.feather", "rows.csv"])
def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path, monkeypatch, source):
    """By a real kill: no handler runs, and nothing is tidied up."""
    monkeypatch.chdir(tmp_path)
    data = tiny_data("multiclass", labels="text")
    pack(Linear().fit(data.X, data.y), data.X).save(tmp_path / "student.kd")
    write(data.X.assign(city=["never seen", *data.X["city"][1:]]), source)
    assert main(["predict", "student.kd", source, "-o", "whole.csv", "-q"]) == 0

    def run(calls: int, output: str = "out.csv") -> Any:
        return run_python(KILLED.format(calls=calls, source=source, output=output))

    first = run(5)
    assert first.returncode == -9, first.stderr
    assert not Path("out.csv").exists()
    parts = Path(".out.csv.parts")
    assert {p.name for p in parts.glob("*.json")} == {"job.json", "000000.json", "000001.json"}
    # A part without its note is one that was being written.
    (parts / "000002.feather").write_bytes(b"half")
    again = run(99)
    assert again.returncode == 0, again.stderr
    assert again.stdout.split() == [str(len(data.X) - 80)]
    assert "going on after 80 rows" in again.stderr
    assert "'city' holds 1 value(s) that were not there" in again.stderr
    pd.testing.assert_frame_equal(pd.read_csv("out.csv"), pd.read_csv("whole.csv"))
    assert not parts.exists()
    # Another bundle, or other rows, start anew.
    assert run(5, "other.csv").returncode == -9
    write(data.X.iloc[::-1], source)
    anew = run(99, "other.csv")
    assert anew.stdout.split() == [str(len(data.X))]
    assert "going on" not in anew.stderr


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("skip", [0, 1, 49, 50, 51, 120, 159, 160, 500])
def test_rows_that_are_skipped_are_those_at_the_start(tmp_path, monkeypatch, ending, skip):
    monkeypatch.setattr(streaming, "WHOLE_TEXT", 10)
    path = tmp_path / f"rows{ending}"
    frame = codes(160)
    write(frame, str(path))
    found, total = streaming.pieces(path, ["code", "whole"], rows=30, skip=skip)
    parts = list(found)
    assert total in (None, 160)
    assert sum(map(len, parts)) == max(0, 160 - skip)
    if parts:
        got = pd.concat(parts)["whole"].to_numpy(dtype=float)
        np.testing.assert_array_equal(got, frame["whole"].to_numpy()[skip:])
