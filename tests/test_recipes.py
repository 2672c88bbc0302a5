"""Recipes: what a student is taught with, what is compared, and what must not leak."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from small_models import Memory, SoftmaxStudent, TreeStudent

import kdcore
from kdcore import KDError, StudentRecipe, StudentSpec, TeacherSpec
from kdcore.calibration import Calibration, fit_temperature
from kdcore.chooser import Choice, choose
from kdcore.errors import SpecError
from kdcore.nested import can_be_nested, nested_lessons, part_of
from kdcore.recipe import MOST_BINNED, Recipe, plain_recipe
from kdcore.recipe_choice import ahead_of_teacher, harmed_by_rows
from kdcore.recipe_fit import Lesson
from kdcore.resolve import Resolved
from kdcore.sources import resolve_source
from kdcore.splits import prepare
from kdcore.targets import softmax
from kdcore.teacher_run import run_teacher
from kdcore.teaching import plain_student, teach
from kdcore.tuning import tuned
from kdcore.wishes import Wishes

sys.modules.setdefault(__name__, sys.modules[Memory.__module__])


class Exported(SoftmaxStudent):
    def to_onnx(self) -> Any:
        from kdcore.graph import linear_model

        weights = self.weights_
        return linear_model(weights[:-1].T, weights[-1], link="softmax")


def table(n: int = 400, seed: int = 0, noise: float = 0.5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"row": np.arange(n), "a": rng.normal(size=n), "b": rng.normal(size=n)})
    frame["city"] = rng.choice(["Ulm", "Bonn", "Kiel"], n)
    score = frame["a"] * frame["b"] + (frame["city"] == "Ulm") + rng.normal(0, noise, n)
    frame["label"] = np.where(score > 0.3, "yes", "no")
    return frame


def lesson_of(teacher: Any, data: pd.DataFrame, folds: int = 4, **options: Any) -> Lesson:
    rows = prepare(data, target="label")
    source = resolve_source(teacher, rows.table, **options)
    run = run_teacher(source, rows.train, rows.held, folds=folds, random_state=0, n_jobs=1)
    return Lesson(rows, run, 0)


class TestCalibration:
    @given(
        st.floats(0.25, 4.0),
        st.integers(2, 6),
        st.integers(0, 50),
    )
    def test_the_temperature_that_spoiled_probabilities_is_found(self, t, k, seed):
        rng = np.random.default_rng(seed)
        logits = rng.normal(0, 2, (6000, k))
        p = softmax(logits)
        y = (rng.random((len(p), 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
        # Sharpened by t, they need the temperature t.
        assert fit_temperature(softmax(logits * t), y) == pytest.approx(t, rel=0.15)

    def test_a_calibrated_teacher_is_left_alone_to_the_bit(self):
        rng = np.random.default_rng(0)
        p = softmax(rng.normal(0, 1.5, (4000, 3)))
        y = (rng.random((len(p), 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
        calibration = Calibration.fit(p, y)
        assert calibration.temperature == 1
        assert calibration(p) is p

    def test_probabilities_of_zero_do_no_harm(self):
        p = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.5, 0.5]] * 20)
        y = np.array([0, 1, 1, 0] * 20)
        calibrated = Calibration.fit(p, y)(p)
        assert np.isfinite(calibrated).all()
        np.testing.assert_allclose(calibrated.sum(axis=1), 1)

    def test_rows_without_label_or_weight_do_not_count(self):
        rng = np.random.default_rng(1)
        p = softmax(rng.normal(0, 2, (500, 2)))
        y = rng.integers(0, 2, 500)
        hidden = np.where(np.arange(500) < 250, y, -1)
        weight = (np.arange(500) < 250).astype(float)
        half = fit_temperature(p[:250], y[:250])
        assert fit_temperature(p, hidden) == pytest.approx(half, rel=1e-6)
        assert fit_temperature(p, y, weight) == pytest.approx(half, rel=1e-6)

    def test_an_overconfident_teacher_reaches_the_student_calibrated(self):
        class Loud(GaussianNB):
            def predict_proba(self, X):
                p = np.clip(super().predict_proba(X), 1e-6, 1)
                p = p**8
                return p / p.sum(axis=1, keepdims=True)

        data = table(noise=1.0).drop(columns="city")
        lesson = lesson_of(Loud(), data)
        assert lesson.calibration.temperature > 2
        _, calibrated = lesson.transfer_set(Recipe(name="x"))
        _, raw = lesson.transfer_set(Recipe(name="x", calibrate=False))
        np.testing.assert_allclose(raw.teacher, lesson.run.labels.values, rtol=1e-12)
        assert calibrated.teacher.max(axis=1).mean() < raw.teacher.max(axis=1).mean()

    def test_in_sample_labels_are_not_taken_for_a_measure_of_confidence(self):
        data = table()
        forest = RandomForestClassifier(20, random_state=0)
        forest.fit(data[["row", "a", "b"]], data["label"])
        with pytest.warns(match="in-sample"):
            lesson = lesson_of(forest, data, fitted="in-sample")
        assert lesson.calibration.temperature == 1


class TestNestedLessons:
    @pytest.mark.parametrize("n", [300, 3000])
    def test_no_teacher_has_seen_a_row_that_judges(self, n):
        rows = prepare(table(n), target="label")
        source = resolve_source(Memory(), rows.table)
        lessons = nested_lessons(source, rows, random_state=0, n_jobs=1, cache=None)
        assert len(lessons) == (1 if n == 3000 else 5)
        for lesson in lessons:
            # It would know their labels, had it, or a fold's teacher, seen them.
            assert (lesson.run.held == 0.5).all()
            assert (lesson.run.labels.values == 0.5).all()
            inside = set(lesson.data.train.X["row"])
            assert not inside & set(lesson.data.held.X["row"])
            known = lesson.run.labels.teacher
            assert (teacher_knows(known, lesson.data.train.X) != 0.5).all()
        if n == 300:
            judged = np.concatenate([lesson.data.held.X["row"] for lesson in lessons])
            assert sorted(judged) == sorted(rows.train.X["row"])

    def test_labels_that_may_know_the_answer_are_never_judged_by(self):
        data = table()
        proba = np.full((len(data), 2), 0.5)
        assert not can_be_nested(lesson_of(proba, data).run)
        fitted = LogisticRegression().fit(data[["a", "b"]], data["label"])
        with pytest.warns(match="in-sample"):
            assert not can_be_nested(lesson_of(fitted, data).run)
        assert can_be_nested(lesson_of(fitted, data, fitted="held-out").run)
        assert can_be_nested(lesson_of(Memory(), data).run)

    def test_parts_for_tuning_keep_rows_labels_and_teacher_in_step(self):
        lesson = lesson_of(Memory(), table())
        part = part_of(lesson, 0)
        whole = lesson.data.train
        at = {row: i for i, row in enumerate(whole.X["row"])}
        inside = [at[row] for row in part.data.train.X["row"]]
        outside = [at[row] for row in part.data.held.X["row"]]
        assert sorted(inside + outside) == list(range(len(whole)))
        np.testing.assert_array_equal(part.run.labels.values, lesson.run.labels.values[inside])
        np.testing.assert_array_equal(part.run.held, lesson.run.labels.values[outside])
        np.testing.assert_array_equal(part.data.train.y, whole.y[inside])


def teacher_knows(teacher: Any, X: pd.DataFrame) -> np.ndarray:
    return np.asarray(teacher.predict_proba(X))


def student(**recipe: Any) -> Resolved:
    made = SoftmaxStudent()
    return Resolved("softmax", made, recipe=StudentRecipe(**recipe), given=frozenset())


class TestTuning:
    def test_the_better_value_wins_and_the_users_own_is_left_alone(self):
        lesson = part_of(lesson_of(GaussianNB(), table(noise=0.1).drop(columns="city")), 0)
        one = student(tune={"penalty": (1e9, 0.01)})
        assert tuned(one, lesson) == {"penalty": 0.01}
        same = Resolved(one.name, one.estimator, recipe=one.recipe, given=frozenset({"penalty"}))
        assert tuned(same, lesson) == {}
        assert tuned(Resolved("x", SoftmaxStudent()), lesson) == {}

    def test_a_plain_student_is_tuned_as_the_distilled_one_is(self):
        lesson = lesson_of(GaussianNB(), table(noise=0.1).drop(columns="city"))
        one = student(tune={"penalty": (1e9, 0.01)})
        taught = teach(one, lesson, Wishes(mode="fast"))
        plain = plain_student(one, taught)
        assert plain.penalty == taught.student.penalty == 0.01


class TestChoosing:
    def lessons(self, teacher: Any = None) -> list[Lesson]:
        rows = prepare(table(600), target="label")
        source = resolve_source(teacher or GaussianNB(), rows.table)
        return nested_lessons(source, rows, random_state=0, n_jobs=1, cache=None)[:2]

    def test_the_default_stays_unless_another_is_better_than_chance(self):
        base = Recipe(name="default", params={"penalty": 1.0})
        near = Recipe(name="near", params={"penalty": 1.001})
        far = Recipe(name="far", params={"penalty": 1e9})
        nothing = {"None": {}}
        stays = choose(student(), self.lessons(), [base, near], nothing)
        assert stays.recipe is base
        assert not stays.moved
        moves = choose(student(), self.lessons(), [far, near, base], nothing)
        assert moves.moved
        assert moves.recipe.name in ("near", "default")
        trial = moves.trials[1]
        assert trial["gain"] > trial["se"] > 0
        assert trial["loss"] == pytest.approx(moves.trials[0]["loss"] - trial["gain"])

    def test_a_rival_that_is_far_behind_is_spared_the_other_parts(self):
        rows = prepare(table(600), target="label")
        source = resolve_source(GaussianNB(), rows.table)
        lessons = nested_lessons(source, rows, random_state=0, n_jobs=1, cache=None)
        fits: list[float] = []

        class Counting(SoftmaxStudent):
            def fit_encoded(self, Z, targets, loss):
                fits.append(self.penalty)
                super().fit_encoded(Z, targets, loss)

        base = Recipe(name="default", params={"penalty": 1.0})
        near = Recipe(name="near", params={"penalty": 1.001})
        far = Recipe(name="far", params={"penalty": 1e9})
        one = dataclasses.replace(student(), estimator=Counting())
        choice = choose(one, lessons, [base, far, near], {"None": {}})
        assert choice.recipe is base
        assert [fits.count(p) for p in (1.0, 1e9, 1.001)] == [5, 2, 5]
        behind = choice.trials[1]
        assert behind["gain"] < -2 * behind["se"]
        assert behind["loss"] == pytest.approx(choice.trials[0]["loss"] - behind["gain"])

    def test_a_teacher_that_knows_nothing_is_not_followed(self):
        result = kdcore.distill(
            table(600, noise=0.1), target="label", teacher=Ignorant(), student=SoftmaxStudent()
        )
        assert result.report.recipe["name"].startswith("plain")
        assert result.report.recipe["alpha"] == 0
        assert result.report.verdict["choice"] == "plain"
        assert result.report.verdict["gain"] == 0
        assert any("held-out training rows" in note for note in result.report.notes)

    def test_a_student_that_is_ahead_of_its_teacher_gets_no_synthetic_rows_from_it(self):
        """Soft labels mixed with true ones passed the brake; made rows then spoiled the student."""
        data = table(2000).drop(columns="city")
        data["label"] = np.where(data["a"] + data["b"] > 0, "yes", "no")
        result = kdcore.distill(
            data,
            target="label",
            teacher=RandomForestClassifier(3, max_depth=1, random_state=0),
            student=SoftmaxStudent(),
            recipe="fast",
            augment=10,
        )
        report = result.report
        assert report.recipe["alpha"] == 0
        assert report.rows["augmented"] == 0
        assert report.student["metrics"] == report.plain["metrics"]
        assert any("held-out training rows" in note for note in report.notes)

    @pytest.mark.parametrize(("loss", "left_alone"), [(0.05, True), (1.0, False)])
    def test_labels_alone_are_kept_where_they_beat_the_teacher_and_only_there(
        self, loss, left_alone
    ):
        """The brake saw a tie with soft labels of few rows, and synthetic rows did the harm."""
        lesson = lesson_of(RandomForestClassifier(3, max_depth=1, random_state=0),
                           table(600).drop(columns="city"))  # fmt: skip
        part = part_of(lesson, 0)
        tie = [np.full(len(part.data.held), loss)] * 2
        base, alone = Recipe(name="default", augment=10), plain_recipe()
        tied = Choice(Recipe(name="soft labels"), [{"name": "soft labels"}], losses=tie)
        choice = ahead_of_teacher(tied, lesson, [part], base, [alone])
        assert choice.recipe is (alone if left_alone else base)
        assert choice.moved == left_alone
        assert ("ahead of the teacher" in choice.reason) == left_alone

    @pytest.mark.parametrize("loss", [0.01, 3.0])
    def test_synthetic_rows_that_do_harm_are_left_out(self, loss):
        """Made pictures spoilt a linear student that soft labels of real ones did not."""
        lesson = lesson_of(GaussianNB(), table(600).drop(columns="city"))
        part = part_of(lesson, 0)
        without = np.full(len(part.data.held), loss)
        base = Recipe(name="default", augment=10)
        choice = Choice(base, [{"name": "soft labels"}], losses=[without])
        student = Resolved("softmax", SoftmaxStudent())
        found = harmed_by_rows(student, choice, [part], base, {"None": {}})
        assert found.moved == (loss < 1)
        assert found.recipe.augment == (0 if found.moved else 10)
        assert ("did harm" in found.reason) == found.moved

    def test_wide_tables_are_asked_whether_synthetic_rows_do_harm(self):
        """A mixture of few columns among many: made rows blur what a line can tell of it."""
        rng = np.random.default_rng(0)
        data = pd.DataFrame(rng.normal(size=(300, MOST_BINNED + 1))).rename(columns="c{}".format)
        data["label"] = np.where(data["c0"] + data["c1"] > 0, "yes", "no")
        asked = []

        class Asking(SoftmaxStudent):
            def fit_encoded(self, Z, targets, loss):
                asked.append(len(Z))
                super().fit_encoded(Z, targets, loss)

        spec = StudentRecipe(augment=4)
        student = Resolved("asking", Asking(), recipe=spec)
        lesson = lesson_of(GaussianNB(), data)
        teach(student, lesson, Wishes(mode="fast"), random_state=0)
        n = len(lesson.data.train)
        # All rows with four times as many, and each part with twice as many.
        assert n * 5 in asked
        assert any(abs(size - 0.8 * n * 3) < 5 for size in asked)

    def test_fast_never_fits_more_teachers_than_the_labels_need(self):
        COUNTS.clear()
        kdcore.distill(
            table(), target="label", teacher=Counted(), student=TreeStudent(), recipe="fast"
        )
        assert len(COUNTS) == 6
        COUNTS.clear()
        kdcore.distill(table(), target="label", teacher=Counted(), student=TreeStudent())
        assert len(COUNTS) == 6 + 5 * 6  # 300 rows: five parts


COUNTS: list[int] = []


class Counted(GaussianNB):
    def fit(self, X, y, sample_weight=None):
        COUNTS.append(len(y))
        return super().fit(np.asarray(X)[:, 1:3].astype(float), y, sample_weight)

    def predict_proba(self, X):
        return super().predict_proba(np.asarray(X)[:, 1:3].astype(float))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        return tags


class Ignorant(Memory):
    """Says the opposite of what it should, and is sure of it."""

    def predict_proba(self, X):
        return np.tile([0.97, 0.03], (len(X), 1))


class TestWishes:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"recipe": "best"}, "recipe='best' is not known; use one of auto, fast, plain"),
            ({"time_limit": 0}, "time_limit=0 must be a number of seconds above 0"),
            ({"augment": -1}, "augment=-1 must be a number of synthetic rows"),
            ({"augment": "cart:many"}, "augment='cart:many'"),
            ({"encoder": "teacher_bin"}, "encoder='teacher_bin'"),
        ],
    )
    def test_what_cannot_be_used_is_refused_before_any_work(self, options, words):
        COUNTS.clear()
        with pytest.raises(KDError, match=words):
            kdcore.distill(
                table(), target="label", teacher=Counted(), student=TreeStudent(), **options
            )
        assert not COUNTS

    def test_too_short_a_time_limit_still_gives_a_student_and_says_what_was_left_out(self):
        result = kdcore.distill(
            table(),
            target="label",
            teacher=Counted(),
            student=TreeStudent(),
            augment=5,
            time_limit=1e-6,
        )
        assert result.report.rows["augmented"] == 0
        assert not result.report.recipe["trials"]
        assert any("time limit of 1e-06 s" in note for note in result.report.notes)

    def test_synthetic_rows_need_a_teacher_that_can_be_asked(self):
        data = table()
        with pytest.raises(KDError, match="given labels cannot"):
            kdcore.distill(
                data,
                target="label",
                teacher_proba=np.full((len(data), 2), 0.5),
                student=TreeStudent(),
                augment=3,
            )

    def test_the_users_parameters_win_over_the_recipes(self):
        spec = StudentSpec(
            name="softmax",
            summary="x",
            factory=f"{__name__}:make_student",
            tasks=("binary",),
            uses_gradient=True,
            recipe=StudentRecipe(augment=2, params={"penalty": 5.0}, tune={"penalty": (1.0, 2.0)}),
        )
        options = {"target": "label", "teacher": RandomForestClassifier(30), "recipe": "fast"}
        with kdcore.register(spec):
            free = kdcore.distill(table(), student="softmax", **options)
            own = kdcore.distill(
                table(), student="softmax", student_params={"penalty": 3.0}, **options
            )
        assert free.report.rows["augmented"] == 600
        assert free.student.penalty == 5.0
        assert free.plain.penalty in (1.0, 2.0)
        assert own.student.penalty == own.plain.penalty == 3.0

    def test_plain_is_textbook_distillation(self):
        spec = StudentSpec(
            name="softmax",
            summary="x",
            factory=f"{__name__}:make_student",
            tasks=("binary",),
            uses_gradient=True,
            recipe=StudentRecipe(augment=2, encoder="ordinal", tune={"penalty": (7.0,)}),
        )
        with kdcore.register(spec):
            result = kdcore.distill(
                table(), target="label", teacher=Counted(), student="softmax", recipe="plain"
            )
        assert result.report.rows["augmented"] == 0
        assert result.report.plain_encoded is None
        assert result.student.penalty == 1.0
        assert result.report.recipe["encoder"] == "standard"


def make_student(task: str) -> SoftmaxStudent:
    return SoftmaxStudent()


def test_a_recipe_of_the_wrong_types_is_a_broken_spec():
    with pytest.raises(SpecError, match="recipe"):
        StudentSpec(name="x", summary="x", factory="a:b", tasks=("binary",), recipe={"augment": 1})
    with pytest.raises(SpecError, match="recipe"):
        StudentSpec(
            name="x",
            summary="x",
            factory="a:b",
            tasks=("binary",),
            recipe=StudentRecipe(tune={"C": ()}),
        )


def test_the_plain_student_of_the_same_encoding_is_a_row_of_its_own():
    result = kdcore.distill(
        table(600),
        target="label",
        teacher=RandomForestClassifier(50),
        student=SoftmaxStudent(),
        encoder="ordinal",
        recipe="plain",
    )
    report = result.report
    assert result.plain.encoder == "standard"
    assert report.plain_encoded["name"] == report.plain["name"]
    assert report.plain_encoded["metrics"] != report.plain["metrics"]
    if result.plain_encoded is not result.student:
        assert result.plain_encoded.encoder == "ordinal"
    over = report.verdict["over_encoded"]
    gain = report.plain_encoded["metrics"]["log_loss"] - report.student["metrics"]["log_loss"]
    assert over["gain"] == pytest.approx(gain, abs=1e-6)


def test_cached_labels_still_get_synthetic_rows(tmp_path):
    from kdcore.label_cache import LabelCache

    spec = TeacherSpec(
        name="counted", summary="x", factory=f"{__name__}:make_teacher", tasks=("binary",)
    )
    cache = LabelCache(tmp_path)
    with kdcore.register(spec):
        runs = [
            kdcore.distill(
                table(),
                target="label",
                teacher="counted",
                student=TreeStudent(),
                recipe="fast",
                augment=2,
                cache=cache,
            )
            for _ in range(2)
        ]
    assert runs[1].report.teacher["cached"]
    assert runs[0].report.student["metrics"] == runs[1].report.student["metrics"]


def make_teacher(task: str) -> Counted:
    return Counted()


def test_plain_recipes_use_no_teacher():
    lesson = lesson_of(GaussianNB(), table().drop(columns="city"))
    _, targets = lesson.transfer_set(plain_recipe("ordinal"))
    assert targets.teacher is None
    assert lesson.augmented(plain_recipe()) == 0


def test_the_version_that_the_verdict_names_is_the_one_that_is_handed_over(tmp_path):
    """Else a user is told to keep a student that nobody gave them."""
    data = table(600, noise=0.1)
    plain = kdcore.distill(data, target="label", teacher=Ignorant(), student=Exported(), alpha=1.0)
    assert plain.report.verdict["choice"] == "plain"
    plain.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "plain.kd",
        "report.html",
        "result.json",
        "student.kd",
    ]
    bundle = kdcore.load(plain.report.deploy)
    np.testing.assert_allclose(
        bundle.predict_proba(data), plain.plain.predict_proba(data), atol=1e-5
    )
    assert bundle.manifest["metrics"] == plain.report.plain["metrics"]
    # The name is taken now, and nothing of an earlier run is left when it is given anew.
    (tmp_path / "student.kd").unlink()
    (tmp_path / "result.json").unlink()
    (tmp_path / "report.html").unlink()
    with pytest.raises(KDError, match=r"plain\.kd' exists"):
        plain.save(tmp_path)
    same = dataclasses.replace(plain, preferred=None)
    same.save(tmp_path, force=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "report.html",
        "result.json",
        "student.kd",
    ]
    assert same.report.deploy == same.report.bundle


def test_the_report_tells_how_like_real_rows_synthetic_ones_are():
    result = kdcore.distill(
        table(2200),
        target="label",
        teacher=RandomForestClassifier(10),
        student=TreeStudent(),
        augment="munge:2",
    )
    recipe = result.report.recipe
    assert result.report.rows["augmented"] == 3300
    assert recipe["rows"] == "munge"
    quality = recipe["rows_quality"]
    assert quality["rows"] == 3300
    assert 0 < quality["coverage"] <= 1
    assert quality["outside"] == 0
