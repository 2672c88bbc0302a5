"""CSV files as people have them: marks, blank lines, endings in capitals, ragged rows."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from kdcore import KDError
from kdcore.schema import as_frame
from kdcore.table import read_table


def rows(path: Path) -> dict[str, list[object]]:
    return read_table(path).to_dict("list")


PLAIN = {"a": [1, 3], "b": ["x", "y"]}


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n3,y\n",
        "\ufeffa,b\n1,x\n3,y\n",
        '\ufeff"a",b\n1,x\n3,y\n',
        "\n\na,b\n1,x\n\n3,y\n\n",
        "  \na,b\n1,x\n3,y",
        "a,b\r\n1,x\r\n3,y\r\n",
        '"a","b"\n"1","x"\n3,"y"\n',
    ],
    ids=["plain", "mark", "mark and quotes", "blank lines", "blanks", "windows", "quotes"],
)
def test_a_text_table_reads_the_same_whoever_wrote_it(tmp_path, text):
    path = tmp_path / "data.csv"
    path.write_bytes(text.encode())
    assert rows(path) == PLAIN


@pytest.mark.parametrize(
    "name", ["D.CSV", "D.Tsv", "D.CSV.GZ", "d.tsv.gz", "D.PARQUET", "D.PQ", "D.FEATHER", "D.ARROW"]
)
def test_an_ending_in_capitals_is_the_same_ending(tmp_path, name):
    path, frame, ending = tmp_path / name, pd.DataFrame(PLAIN), name.lower()
    if ending.endswith((".parquet", ".pq")):
        frame.to_parquet(path)
    elif ending.endswith((".feather", ".arrow")):
        frame.to_feather(path)
    else:
        text = frame.to_csv(index=False, sep="\t" if ".tsv" in ending else ",")
        path.write_bytes(gzip.compress(text.encode()) if ending.endswith(".gz") else text.encode())
    assert rows(path) == PLAIN


def test_the_last_ending_tells_the_separator(tmp_path):
    path = tmp_path / "copy.tsv.csv"
    path.write_text("a,b\n1,x\n3,y\n")
    assert rows(path) == PLAIN


@pytest.mark.parametrize("text", ["\ufeffa,a\n1,2\n", '\ufeff"a",a\n1,2\n', "\n\na,a\n1,2\n"])
def test_a_repeated_name_is_seen_behind_marks_and_blank_lines(tmp_path, text):
    """pandas would call the second column a.1, and no later table would have it."""
    path = tmp_path / "data.csv"
    path.write_bytes(text.encode())
    with pytest.raises(KDError, match="'a' occurs more than once"):
        read_table(path)


@pytest.mark.parametrize("text", ["a,b\n1,2,3\n4,5,6\n", "a,b\n1,2,\n4,5,\n", "a,b\n\n1,2,3\n"])
def test_values_never_move_to_the_column_beside_their_own(tmp_path, text):
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(KDError, match="holds 3 values, but its header names 2 columns"):
        read_table(path)


def test_a_later_row_that_is_too_long_is_counted(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("a,b\n1,2\n4,5,6\n")
    with pytest.raises(KDError, match="line 3") as caught:
        read_table(path)
    assert "\n" not in str(caught.value)


def test_a_very_long_text_is_a_text(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(f"a,b\n1,{'x' * 200_000}\n3,y\n")
    assert [len(str(v)) for v in rows(path)["b"]] == [200_000, 1]


@pytest.mark.parametrize("columns", [{"a": [1], "b": [1, 2]}, {"a": 1, "b": 2}])
def test_a_mapping_that_is_no_table_is_refused_in_words(columns):
    with pytest.raises(KDError, match="expected a mapping of columns, all of one length"):
        as_frame(columns)
