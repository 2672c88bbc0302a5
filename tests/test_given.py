"""Given labels: which column is which class, and which rows count."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kdcore import GivenLabels, KDError
from kdcore.labelling import label_frame, label_table

AB, ABC = np.array(["a", "b"]), np.array(["a", "b", "c"])
P = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])


def read(data, classes=ABC, **options):
    return GivenLabels(data, **options).read(len(data), classes)


@pytest.mark.parametrize("prefix", ["", "proba_"])
def test_columns_are_found_by_class_in_any_order(prefix):
    frame = pd.DataFrame({prefix + k: P[:, i].tolist() for k, i in (("c", 2), ("a", 0), ("b", 1))})
    np.testing.assert_allclose(read(frame), P)


def test_columns_beside_those_of_the_classes_do_not_matter():
    frame = pd.DataFrame(P, columns=["proba_a", "proba_b", "proba_c"]).assign(id=[7, 8])
    np.testing.assert_allclose(read(frame), P)


def test_classes_that_are_numbers_are_found_by_their_text():
    frame = pd.DataFrame(P[:, ::-1], columns=["proba_3", "proba_2", "proba_1"])
    np.testing.assert_allclose(read(frame, np.array([1, 2, 3])), P)


def test_a_frame_without_names_is_in_the_order_of_the_classes():
    np.testing.assert_allclose(read(pd.DataFrame(P), np.array([1, 2, 3])), P)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["proba_a", "proba_b", "proba_x"], "'proba_x' .* for a class that the table does not"),
        (["proba_a", "proba_b", "id"], "none for the class 'c'"),
        (["a", "b", "x"], "none for the class 'c'"),
    ],
)
def test_columns_of_other_classes_are_never_taken_by_position(names, message):
    with pytest.raises(KDError, match=message):
        read(pd.DataFrame(P, columns=names))


@pytest.mark.parametrize(
    ("name", "first"), [("p", 0.8), ("proba_b", 0.8), ("b", 0.8), ("proba_a", 0.2), ("a", 0.2)]
)
def test_one_column_of_two_classes_is_of_the_class_it_is_called_by(name, first):
    out = read(pd.DataFrame({name: [0.2, 0.5]}), AB)
    np.testing.assert_allclose(out[0], [first, 1 - first])


@pytest.mark.parametrize("name", ["logit_b", "logit_a"])
def test_one_column_of_logits_is_enough_for_two_classes(name):
    sign = 1 if name == "logit_b" else -1
    expected = 1 / (1 + np.exp(-2.0))
    out = read(pd.DataFrame({name: [sign * 2.0]}), AB)
    np.testing.assert_allclose(out[0, 1], expected)
    np.testing.assert_allclose(read(np.array([2.0]), AB, logits=True)[0, 1], expected)


def test_rows_that_nearly_sum_to_one_are_made_to():
    out = read(P * 1.005)
    np.testing.assert_allclose(out.sum(axis=1), 1, rtol=1e-12)


def test_rows_without_a_target_may_be_empty_and_others_are_named_by_their_place_in_the_file():
    labels = np.vstack([P, [np.nan] * 3, P, [[0.5, 0.1, 0.1]]])
    used = np.array([0, 1, 3, 4])
    out = GivenLabels(labels).read(6, ABC, used)
    np.testing.assert_allclose(out[used], np.vstack([P, P]))
    with pytest.raises(KDError, match=r"of row 5 sum to 0\.7"):
        GivenLabels(labels).read(6, ABC, np.array([0, 5]))
    with pytest.raises(KDError, match="row 2 are missing"):
        GivenLabels(labels).read(6, ABC, np.array([0, 2]))


@pytest.mark.parametrize("shape", [(), (2, 2, 2)])
def test_a_shape_that_is_no_table_is_refused(shape):
    with pytest.raises(KDError, match="the shape"):
        GivenLabels(np.zeros(shape)).read(2, AB)


def test_a_regression_has_one_column():
    with pytest.raises(KDError, match="2 columns, but a regression"):
        read(P[:, :2], None)
    with pytest.raises(KDError, match="row 1 are missing or not finite"):
        read(np.array([0.0, np.inf]), None)


def test_a_provenance_that_nobody_knows_is_not_believed(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    written = pa.Table.from_pandas(pd.DataFrame(P, columns=ABC), preserve_index=False)
    said = {"kdcore.provenance": "trust me"}
    pq.write_table(written.replace_schema_metadata(said), tmp_path / "l.parquet")
    labels = GivenLabels(tmp_path / "l.parquet")
    np.testing.assert_allclose(labels.read(2, ABC), P)
    assert labels.provenance == "given"


def test_labels_of_a_table_with_gaps_in_its_target_can_be_given_back():
    from sklearn.naive_bayes import GaussianNB

    rng = np.random.default_rng(0)
    data = pd.DataFrame({"x": rng.normal(size=60)})
    data["y"] = np.where(data["x"] > 0, "b", "a")
    data.loc[::7, "y"] = None
    table, labels, _, _ = label_table(data, target="y", teacher=GaussianNB())
    frame = label_frame(table, labels)
    assert len(frame) == 60
    again = GivenLabels(frame).read(60, table.classes, table.rows)
    np.testing.assert_allclose(again[table.rows], labels.values)
