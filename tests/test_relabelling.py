"""Teaching the teacher again: a teacher that noise had hurt labels again on the chosen columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from small_models import LeastSquaresStudent, Memory, SoftmaxStudent, TreeStudent

import kdcore
from kdcore import DistillationClassifier, recipe_choice
from kdcore.errors import ParameterError
from kdcore.labeller import Labeller, reading_only
from kdcore.sources import resolve_source
from kdcore.splits import prepare


def table(n: int = 200, noise: int = 12, seed: int = 0) -> pd.DataFrame:
    """Two columns that matter, much noise between them, and a text that does not matter."""
    rng = np.random.default_rng(seed)
    columns = {"a": rng.normal(size=n)}
    columns |= {f"noise_{j}": rng.normal(size=n) for j in range(noise)}
    columns["b"] = rng.normal(size=n)
    frame = pd.DataFrame(columns)
    frame["city"] = rng.choice(["Ulm", "Bonn"], n)
    score = frame["a"] + frame["b"] + rng.normal(0, 0.4, n)
    return frame.assign(label=np.where(score > 0, "yes", "no"))


def neighbours() -> KNeighborsClassifier:
    """A teacher that every column of noise hurts."""
    return KNeighborsClassifier(15)


def distilled(data: pd.DataFrame | None = None, **options: Any) -> Any:
    given = {
        "target": "label",
        "teacher": neighbours(),
        "student": SoftmaxStudent(),
        "recipe": "fast",
        "folds": 2,
        "augment": 0,
        # Who sets it by hand is not handed true labels alone.
        "alpha": 0.7,
        "selector": "mrmr",
        "max_features": 2,
        **options,
    }
    return kdcore.distill(table() if data is None else data, **given)


def test_a_teacher_that_noise_had_hurt_labels_again_and_that_is_told() -> None:
    result = distilled()
    told = result.report.selection["relabel"]
    assert told["used"] == "new"
    loss = {t["labels"]: t["loss"] for t in told["trials"]}
    assert set(loss) == {"old", "new", "none"}
    assert loss["new"] < loss["old"]
    # The rows that judge say the same of the two teachers, after the choice.
    assert told["teacher"]["metrics"]["log_loss"] < result.report.teacher["metrics"]["log_loss"]
    assert told["teacher"]["columns"] == 2
    assert any("fitted anew on the 2 chosen columns" in note for note in result.report.notes)
    kept = distilled(relabel="never")
    assert kept.report.selection["relabel"] is None
    assert kept.report.selection["columns"] == result.report.selection["columns"]


def test_better_labels_of_the_first_teacher_are_kept() -> None:
    """A teacher that knows more than the student may read can be the better one."""
    data = table(400)
    told = distilled(data, teacher=GaussianNB(), max_features=1, drop=["city"]).report.selection
    loss = {t["labels"]: t["loss"] for t in told["relabel"]["trials"]}
    assert told["relabel"]["used"] in ("old", "new")
    assert (told["relabel"]["used"] == "new") == (loss["new"] < loss["old"])


def test_rows_that_judge_have_no_say_in_whose_labels_are_used() -> None:
    data = table(200)
    train, test = data.iloc[:140], data.iloc[140:]
    one, other = (
        distilled(train, test=held).report.selection
        for held in (test, test.assign(a=test["noise_3"], b=test["noise_4"]))
    )
    assert one["relabel"]["trials"] == other["relabel"]["trials"]


def test_rows_are_labelled_again_by_teachers_that_have_not_seen_them() -> None:
    data = table().drop(columns="city")
    data.insert(0, "id", np.arange(len(data), dtype=float))
    rows = prepare(data, target="label")
    source = reading_only(resolve_source(Memory(), rows.table), ["id", "a"])
    run = Labeller(source, rows).run(measure=False)
    np.testing.assert_array_equal(run.labels.values, 0.5)
    # Only the teacher of all training rows knows them.
    assert (run.labels.teacher.predict_proba(rows.train.X).max(axis=1) == 1).all()
    np.testing.assert_array_equal(run.held, 0.5)
    assert run.refit(rows.train).columns == ["id", "a"]


def test_where_recipes_are_compared_no_label_has_seen_the_rows_that_decide() -> None:
    result = distilled(table(120, noise=4), recipe="auto", student=TreeStudent())
    assert result.report.selection["relabel"]["nested"] is True
    other = distilled(table(120, noise=4), student=TreeStudent())
    assert other.report.selection["relabel"]["nested"] is False


@pytest.mark.parametrize("encoder", [None, "teacher_bins", "ordinal"])
def test_new_labels_teach_every_kind_of_student(encoder: Any) -> None:
    """The rows keep all their columns, so supports and importances are those of the table."""
    data = table(160)
    student = TreeStudent() if encoder == "ordinal" else SoftmaxStudent()
    result = distilled(
        data,
        teacher=RandomForestClassifier(8, random_state=0),
        student=student,
        encoder=encoder,
        relabel="always",
        augment=2,
        max_features=3,
        recipe="plain",
    )
    assert result.report.selection["relabel"]["used"] == "new"
    assert len(result.student.get_support()) == data.shape[1] - 1
    read = result.student.get_selected_features()
    clean = data.drop(columns="label")
    np.testing.assert_array_equal(
        result.student.predict_proba(clean[read]), result.student.predict_proba(clean)
    )


def test_regression_several_teachers_and_unlabeled_rows_can_be_labelled_again() -> None:
    data = table(200).drop(columns="city")
    data["label"] = data["a"] + data["b"]
    more = data.drop(columns="label").head(30)
    result = distilled(
        data,
        teacher=[KNeighborsRegressor(9), KNeighborsRegressor(3)],
        student=LeastSquaresStudent(),
        unlabeled=more,
        recipe="plain",
        relabel="always",
    )
    assert result.report.selection["relabel"]["used"] == "new"
    assert result.report.selection["relabel"]["teacher"]["metrics"]["r2"] > 0.8
    assert sorted(result.student.get_selected_features()) == ["a", "b"]


def test_teachers_that_come_fitted_are_never_fitted_anew_without_leave() -> None:
    data = table().drop(columns="city")
    X, y = data.drop(columns="label"), data["label"]
    fitted = neighbours().fit(X, y)
    told = distilled(data, teacher=fitted, fitted="held-out").report.selection
    assert told["relabel"] is None
    proba = fitted.predict_proba(X)
    assert distilled(data, teacher=proba).report.selection["relabel"] is None
    for teacher, options in ((fitted, {"fitted": "held-out"}), (proba, {})):
        with pytest.raises(ParameterError, match="is not fitted here; use relabel='auto'") as told:
            distilled(data, teacher=teacher, relabel="always", **options)
        assert "\n" not in str(told.value)
    allowed = distilled(data, teacher=fitted, fitted="refit", relabel="always", recipe="plain")
    assert allowed.report.selection["relabel"]["used"] == "new"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"relabel": "sometimes"}, "use one of auto, always, never"),
        ({"relabel": "always", "max_features": None, "selector": None}, "give max_features too"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(options: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words) as told:
        distilled(**options)
    assert "\n" not in str(told.value)


def test_a_teacher_that_cannot_do_without_its_columns_keeps_its_first_labels() -> None:
    """A pipeline may name columns; nobody asked for new labels, so that must not end the work."""
    numbers = ColumnTransformer([("n", "passthrough", ["a", "b", "noise_0", "noise_1"])])
    teacher = make_pipeline(numbers, GaussianNB())
    result = distilled(teacher=teacher)
    assert result.report.selection["relabel"]["used"] == "old"
    assert any("could not be fitted anew" in note for note in result.report.notes)
    with pytest.raises(kdcore.KDError):
        distilled(teacher=teacher, relabel="always")


def test_dropped_columns_leave_labels_alone_unless_asked() -> None:
    options = {"max_features": None, "selector": None, "drop": ["a"]}
    assert distilled(**options).report.selection["relabel"] is None
    again = distilled(**options, relabel="always", recipe="plain").report.selection
    assert again["relabel"]["teacher"]["columns"] == 14


def test_estimators_label_again_too() -> None:
    data = table()
    X, y = data.drop(columns="label"), data["label"]
    model = DistillationClassifier(
        teacher=neighbours(), student=SoftmaxStudent(), max_features=2, selector="mrmr", folds=2
    ).fit(X, y)
    loss = {t["labels"]: t["loss"] for t in model.report_.selection["relabel"]["trials"]}
    assert loss["new"] < loss["old"]
    assert model.predict(X[model.get_selected_features()]).shape == (len(X),)
    same = model.set_params(relabel="never").fit(X, y)
    assert same.report_.selection["relabel"] is None


def test_new_labels_of_few_columns_must_beat_true_ones_on_rows_their_teacher_has_not_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ordinary parts would flatter a teacher that remembers its rows."""
    asked: list[Any] = []
    decided: list[Any] = []
    nested, choose = Labeller.nested, recipe_choice.choose

    def counted(self: Labeller) -> Any:
        asked.append(nested(self))
        return asked[-1]

    def seen(student: Any, lessons: Any, *others: Any, **options: Any) -> Any:
        decided.append(lessons)
        return choose(student, lessons, *others, **options)

    monkeypatch.setattr(Labeller, "nested", counted)
    monkeypatch.setattr(recipe_choice, "choose", seen)
    free = {"alpha": None, "student": TreeStudent(), "teacher": RandomForestClassifier(20)}
    few, many = (distilled(table(160, noise=noise), relabel="always", **free) for noise in (12, 3))
    assert few.report.selection["relabel"]["used"] in ("new", "none")
    # Two of 15 columns, five times; of six columns that would cost more than the first labels.
    assert len(asked) == 1
    assert len(decided) == 2
    assert decided[0] is asked[0]
    assert len(decided[0]) == 5
    assert decided[1] is not asked[0]
    assert any("of which soft labels know a little" in said for said in many.report.notes)
