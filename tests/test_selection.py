"""Columns of a student: the budget is kept, wishes are honoured, nothing else is ever read."""

from __future__ import annotations

import gc
import inspect
import weakref
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from small_models import LeastSquaresStudent, SoftmaxStudent, TreeStudent

import kdcore
from kdcore import DistillationClassifier, SelectorSpec
from kdcore.builtin import kd_selectors
from kdcore.errors import DataError, FitError, ParameterError, UnknownNameError
from kdcore.resolve import Resolved
from kdcore.selection import ColumnWishes, Limits, either_budget, redundancy, some_rows
from kdcore.selection.filters import MRMR, RankingSelector
from kdcore.selection.redundancy import mrmr_order
from kdcore.selection.search import Selection, _chosen
from kdcore.selection.task import shares, sizes, task_of
from kdcore.selectors import Selector, budget
from kdcore.targets import SoftTargets

BUILT_IN = [spec.name for spec in kd_selectors()]
ENCODERS = ["standard", "ordinal", "quantile", "ple", "spline", "teacher_bins:pairs=6"]
COLUMNS = ["a", "b", "city", "flag", *(f"noise_{j}" for j in range(4))]


def table(n: int = 160, seed: int = 0) -> pd.DataFrame:
    """Numbers with gaps, a text, a truth value, noise; a and city matter, b with a."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n)})
    frame["city"] = rng.choice(["Ulm", "Bonn", "Kiel", "Hof"], n)
    frame["flag"] = rng.random(n) < 0.5
    for j in range(4):
        frame[f"noise_{j}"] = rng.normal(size=n)
    score = frame["a"] + frame["a"] * frame["b"] + 1.5 * (frame["city"] == "Ulm")
    frame.loc[rng.random(n) < 0.1, "noise_0"] = np.nan
    frame.loc[rng.random(n) < 0.05, "city"] = None
    frame["label"] = np.where(score + rng.normal(0, 0.3, n) > 0.4, "yes", "no")
    return frame


def numbers(n: int = 160, seed: int = 0) -> pd.DataFrame:
    frame = table(n, seed).drop(columns="city")
    return frame.assign(flag=frame["flag"].astype(float)).fillna(0.0)


def forest(**options: Any) -> RandomForestClassifier:
    return RandomForestClassifier(**{"n_estimators": 8, "random_state": 0, **options})


def distilled(student: Any, data: pd.DataFrame | None = None, **options: Any) -> Any:
    given_ = {"teacher": forest(), "recipe": "fast", "folds": 2, "relabel": "never", **options}
    return kdcore.distill(
        table() if data is None else data, target="label", student=student, **given_
    )


class TestThePromise:
    @settings(max_examples=5, deadline=None)
    @given(
        student=st.sampled_from([SoftmaxStudent, TreeStudent]),
        encoder=st.sampled_from(ENCODERS),
        selector=st.sampled_from(BUILT_IN),
        allowed=st.one_of(st.integers(1, 9), st.floats(0.01, 1.0)),
        wishes=st.lists(st.sampled_from(COLUMNS), max_size=3, unique=True),
        which=st.integers(0, 3),
        relabel=st.sampled_from(["never", "always"]),
        seed=st.integers(0, 3),
    )
    def test_no_student_reads_more_than_was_allowed_whatever_chose(
        self, student, encoder, selector, allowed, wishes, which, relabel, seed
    ):
        if encoder == "ordinal":
            # Its gaps are for trees.
            student = TreeStudent
        most = budget(allowed, len(COLUMNS))
        keep, drop = wishes[: min(which, most)], wishes[min(which, most) :]
        if selector == "teacher_shap":
            # scikit-learn's forest does not tell any, and the error says so.
            selector = "teacher_prior"
        result = distilled(
            student(encoder=encoder),
            table(80, seed=seed),
            relabel=relabel,
            max_features=allowed,
            selector=selector,
            keep=keep,
            drop=drop,
            encoder=encoder,
        )
        model = result.student
        read = model.get_selected_features()
        assert 1 <= len(read) <= most
        assert set(keep) <= set(read)
        assert not set(drop) & set(read)
        schema = model.encoder_.schema_.names
        owners = {*model.encoder_.owners_, *model.encoder_.partners_}
        assert {schema[j] for j in owners} <= set(read)
        assert result.report.student["features"] == read
        assert result.plain.get_selected_features() == read
        # What the file reads is what counts, however the columns were encoded.
        clean = table(40, seed=9).drop(columns="label")
        spoilt = clean.copy()
        for name in set(COLUMNS) - set(read):
            spoilt[name] = "spoilt"
        expected = model.predict_proba(clean)
        np.testing.assert_array_equal(model.predict_proba(spoilt), expected)
        np.testing.assert_array_equal(model.predict_proba(clean[read]), expected)

    def test_an_estimator_predicts_from_a_table_that_holds_only_what_was_chosen(self):
        data = table()
        X, y = data[COLUMNS], data["label"]
        model = DistillationClassifier(
            teacher=forest(), student=SoftmaxStudent(), folds=2, max_features=2, drop=["city"]
        ).fit(X, y)
        read = model.get_selected_features()
        assert len(read) <= 2
        np.testing.assert_array_equal(
            model.predict_proba(X[read]), model.predict_proba(X.assign(city="?"))
        )
        assert model.report_.selection["columns"] == read
        assert model.student_.selection_path_ == model.report_.selection["path"]
        assert model.selection_path_ == model.report_.selection["path"]
        assert model.selected_features_ == read
        assert [COLUMNS[j] for j in model.get_support(indices=True)] == read
        assert model.get_support().sum() == len(read)
        importance = model.get_feature_importance()
        assert {name for name, value in importance.items() if value > 0} <= set(read)

    def test_a_student_that_ignores_its_features_is_refused_not_believed(self):
        class Greedy(SoftmaxStudent):
            def _chosen(self, names):
                return names

        with pytest.raises(FitError, match="which was not selected"):
            distilled(Greedy(), max_features=2)

    def test_a_selector_that_breaks_the_budget_is_cut(self):
        class Everything(Selector):
            def select(self, X, targets, *, max_features, random_state=0):
                return list(X.columns)

        result = distilled(SoftmaxStudent(), max_features=3, selector=Everything())
        assert len(result.student.get_selected_features()) == 3
        assert result.report.recipe["selector"] == "Everything"


class TestChoice:
    @pytest.mark.parametrize("selector", [n for n in BUILT_IN if n != "teacher_shap"])
    def test_what_matters_is_found_and_noise_left_out(self, selector):
        result = distilled(TreeStudent(max_depth=4), table(500), max_features=3, selector=selector)
        assert {"a", "city"} <= set(result.student.get_selected_features())

    def test_the_budget_is_a_ceiling_and_the_curve_is_kept(self):
        result = distilled(SoftmaxStudent(), table(400), max_features=8)
        told = result.report.to_dict()["selection"]
        path = told["path"]
        assert max(p["n_columns"] for p in path) <= told["budget"] == 8
        [won] = [p for p in path if p["chosen"]]
        assert won["loss"] == min(p["loss"] for p in path)
        assert won["n_columns"] == len(told["columns"]) < 8
        assert {"prior", "path"} >= {p["ranking"] for p in path}
        assert result.student.selection_path_ == path
        assert result.report.recipe["max_features"] == 8
        assert any("plain student reads the same" in note for note in result.report.notes)

    def test_the_same_seed_chooses_the_same_columns(self):
        one, other = (distilled(TreeStudent(), max_features=3).report.selection for _ in range(2))
        assert one["columns"] == other["columns"]
        assert one["path"] == other["path"]

    def test_held_out_rows_have_no_say(self):
        """Columns chosen with the rows that judge would flatter the verdict."""
        data = table(300)
        train, test = data.iloc[:200], data.iloc[200:]
        # In the rows that judge, what matters is another column.
        swapped = test.assign(a=test["noise_3"], noise_3=test["a"])
        one, other = (
            distilled(TreeStudent(), train, test=held, max_features=3) for held in (test, swapped)
        )
        assert one.report.selection["path"] == other.report.selection["path"]
        assert one.report.student["features"] == other.report.student["features"]

    def test_regression_given_labels_and_unlabeled_rows_can_select_too(self):
        data = numbers(200)
        data["label"] = 2 * data["a"] + data["b"] + 0.1 * data["noise_1"]
        values = data["label"].to_numpy() + 0.1
        for teacher in (RandomForestRegressor(8, random_state=0), values):
            result = distilled(LeastSquaresStudent(), data, teacher=teacher, max_features=2)
            assert result.student.get_selected_features() == ["a", "b"]
        more = distilled(
            LeastSquaresStudent(),
            data,
            teacher=RandomForestRegressor(8, random_state=0),
            unlabeled=data.iloc[:50].drop(columns="label"),
            max_features=2,
        )
        assert more.student.get_selected_features() == ["a", "b"]

    def test_weights_count(self):
        """Rows of weight 0, in which another column matters, must not choose it."""
        data = table(300)
        wrong = data.assign(a=data["noise_3"], noise_3=data["a"], b=0.0, city="Hof")
        both = pd.concat([data.assign(w=1.0), wrong.assign(w=0.0)], ignore_index=True)
        result = distilled(
            TreeStudent(), both, max_features=2, sample_weight="w", test=data.assign(w=1.0)
        )
        assert "a" in result.student.get_selected_features()
        assert "noise_3" not in result.student.get_selected_features()

    def test_with_too_few_rows_the_budget_is_filled_and_that_is_said(self):
        result = distilled(TreeStudent(), table(40), max_features=3)
        assert len(result.student.get_selected_features()) == 3
        assert any("too few to choose the number" in note for note in result.report.notes)

    def test_a_time_limit_ends_the_search(self):
        result = distilled(TreeStudent(), max_features=6, time_limit=1e-6)
        assert len(result.report.selection["path"]) == 1
        assert any("time limit ended the search" in note for note in result.report.notes)

    def test_columns_can_be_dropped_without_any_selection(self):
        result = distilled(TreeStudent(), drop=["a", "flag"])
        assert result.student.get_selected_features() == [
            c for c in COLUMNS if c not in ("a", "flag")
        ]
        assert result.report.selection["selector"] is None
        assert distilled(TreeStudent()).report.selection is None

    def test_only_columns_that_the_student_may_read_anyway_are_chosen(self):
        mine = ["b", "flag", "noise_0"]
        result = distilled(TreeStudent(features=mine), max_features=2)
        assert set(result.student.get_selected_features()) <= set(mine)

    def test_a_column_without_two_values_is_no_candidate_unless_it_is_kept(self):
        data = table().assign(flag=True)
        assert (
            "flag" not in distilled(TreeStudent(), data, max_features=7).report.student["features"]
        )
        kept = distilled(TreeStudent(), data, max_features=2, keep=["flag"])
        assert "flag" in kept.student.get_selected_features()

    def test_selectors_of_plugins_choose_at_every_size(self):
        asked = []

        class Last(Selector):
            def select(self, X, targets, *, max_features, random_state=0):
                asked.append(max_features)
                return list(X.columns)[-budget(max_features, X.shape[1]) :]

        result = distilled(TreeStudent(), max_features=6, selector=Last())
        # A small table is split five times.
        assert asked == [6, 4, 3] * 5
        assert [p["n_columns"] for p in result.report.selection["path"]] == [6, 4, 3]

    def test_a_selector_may_rank_by_size_and_judge_sets_itself(self):
        class Judge(RankingSelector):
            def rankings(self, task):
                return {"by size": lambda size: COLUMNS[:size] if size < 6 else COLUMNS[::-1]}

            def losses(self, task, columns):
                return np.full(len(task.held_X), float("flag" in columns) + len(columns) / 100)

        result = distilled(TreeStudent(), max_features=6, selector=Judge())
        path = result.report.selection["path"]
        assert [p["n_columns"] for p in path] == [6, 4, 3]
        assert [round(p["loss"], 2) for p in path] == [1.06, 1.04, 0.03]
        assert result.student.get_selected_features() == COLUMNS[:3]
        assert result.report.selection["all_columns_loss"] == pytest.approx(1.08)


class TestWishes:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"max_features": 1, "keep": ["a", "b"]}, "keep names 2 columns, but max_features=1"),
            ({"max_features": 3, "keep": ["citty"]}, "no column 'citty'. Did you mean 'city'?"),
            ({"drop": ["nose_1"]}, "no column 'nose_1'. Did you mean 'noise_"),
            ({"max_features": 3, "keep": ["a"], "drop": ["a"]}, "both name 'a'"),
            ({"drop": COLUMNS}, "leaves no column"),
            ({"keep": ["a"]}, "give max_features too"),
            ({"max_features": 3, "keep": "a"}, "must be a list of columns"),
            ({"max_features": 1.5}, "not a ratio"),
            ({"max_features": 0}, "leaves no column"),
            ({"max_features": -2}, "max_features=-2 leaves no column"),
            ({"max_features": -0.5}, r"not a ratio in \(0, 1\]"),
            ({"max_features": "five"}, "is not a number"),
            ({"max_features": 3, "max_factor_ratio": 0.2}, "two names of the same budget"),
            ({"max_factor_ratio": 3}, r"not a ratio in \(0, 1\]"),
            ({"max_features": 3, "max_cost": 2}, "belong together"),
            ({"max_features": 3, "costs": {"a": 2}}, "belong together"),
            ({"costs": {"a": -1}, "max_cost": 2}, r"costs\['a'\]=-1 must be"),
            ({"costs": {"A": 1}, "max_cost": 2}, "costs: the table has no column 'A'"),
            ({"costs": dict.fromkeys(COLUMNS, 5), "max_cost": 2}, "every column costs more"),
            ({"costs": {"a": 5}, "max_cost": 2, "keep": ["a"]}, "cost 5 together, more than"),
            ({"max_features": 3, "tolerance": -1}, "tolerance=-1 must be"),
            ({"max_features": 3, "selector": int}, "neither a name nor an object"),
            ({"selector": "prior_backward:prior_weight=3"}, "prior_weight=3"),
            ({"selector": "prior_backward:wait=3"}, "no parameter 'wait'"),
        ],
    )
    def test_what_cannot_be_meant_is_refused_in_one_line_before_any_fit(self, options, words):
        def never(frame: Any) -> Any:
            raise AssertionError("the teacher was asked")

        with pytest.raises(ParameterError, match=words) as caught:
            distilled(TreeStudent(), teacher=never, **options)
        assert "\n" not in str(caught.value)

    def test_a_budget_beyond_the_table_means_all_columns_and_that_is_said(self):
        result = distilled(TreeStudent(), table(80), max_features=50)
        assert result.report.selection["budget"] == 8
        assert any("more than the 8 columns" in note for note in result.report.notes)

    def test_constant_columns_are_nothing_to_choose_from(self):
        data = table(80).assign(**dict.fromkeys(COLUMNS, 1.0))
        with pytest.raises(DataError, match=r"all 8 columns .* are constant") as caught:
            distilled(TreeStudent(), data, max_features=2)
        assert "\n" not in str(caught.value)

    def test_a_chosen_column_that_is_lacking_is_named(self):
        result = distilled(TreeStudent(), table(80), max_features=2, keep=["city"])
        alone = table(20)[result.student.get_selected_features()].drop(columns="city")
        with pytest.raises(DataError, match=r"lacks 1 column.*'city'") as caught:
            result.student.predict(alone)
        assert "\n" not in str(caught.value)

    def test_an_unknown_selector_is_named_with_the_nearest(self):
        with pytest.raises(UnknownNameError, match="prior_backward"):
            ColumnWishes(max_features=3, selector="prior_bakward")

    def test_selectors_that_train_inside_a_student_are_refused_not_misused(self):
        def never(frame: Any) -> Any:
            raise AssertionError("the teacher was asked")

        class Inside(Selector):
            embedded = True

            def select(self, X, targets, *, max_features, random_state=0):
                return list(X.columns)

        spec = SelectorSpec(
            name="inside", summary="Gates.", factory="builtins:dict", kind="embedded"
        )
        with kdcore.register(spec):
            for selector in ("inside", Inside()):
                with pytest.raises(
                    ParameterError,
                    match=r"trains inside the student, which TreeStudent does not allow; "
                    "use a filter such as 'prior_backward'",
                ):
                    distilled(TreeStudent(), teacher=never, max_features=3, selector=selector)

    def test_a_student_may_prefer_a_selector_and_the_user_another(self):
        student = Resolved("own", TreeStudent(), selector="mrmr")
        assert ColumnWishes(max_features=3).suited(student).name == "mrmr"
        asked = ColumnWishes(max_features=3, selector="teacher_gain")
        assert asked.suited(student).name == "teacher_gain"
        assert ColumnWishes(drop=["a"]).suited(student).selector is None
        assert ColumnWishes(max_features=3).suited(Resolved("own", TreeStudent())).name == (
            "prior_backward"
        )

    def test_both_names_of_the_budget_mean_the_same(self):
        assert either_budget(None, 0.2) == 0.2
        assert either_budget(7, None) == 7
        one = distilled(TreeStudent(), max_features=0.4).report.selection
        other = distilled(TreeStudent(), max_factor_ratio=0.4).report.selection
        assert one["columns"] == other["columns"]

    @given(
        st.permutations(COLUMNS),
        st.integers(1, 9),
        st.lists(st.sampled_from(COLUMNS), max_size=4, unique=True),
        st.dictionaries(st.sampled_from(COLUMNS), st.floats(0, 5), max_size=8),
        st.floats(0, 20),
    )
    def test_no_set_breaks_budget_cost_or_wishes(self, ranking, size, kept, costs, most_cost):
        kept = kept[:size]
        limits = Limits(COLUMNS, [c for c in COLUMNS if c != "flag" or c in kept], kept, size)
        chosen = limits.take(ranking, 9)
        assert len(chosen) == min(size, len(limits.pool))
        assert set(kept) <= set(chosen) <= set(limits.pool)
        assert chosen == [c for c in COLUMNS if c in chosen]
        dear = Limits(COLUMNS, COLUMNS, [], size, costs, most_cost)
        assert dear.cost(dear.take(ranking, size)) <= most_cost + 1e-6

    def test_the_dear_column_gives_way_to_cheap_ones(self):
        result = distilled(TreeStudent(), table(400), costs={"a": 10.0}, max_cost=4, max_features=3)
        read = result.student.get_selected_features()
        assert "a" not in read
        assert len(read) <= 3


class TestSize:
    @given(st.integers(1, 3000))
    def test_sizes_fall_from_the_budget_without_a_repeat(self, most):
        found = sizes(most)
        assert found[0] == most
        assert found == sorted(set(found), reverse=True)
        assert found[-1] == min(3, most)

    def test_tolerance_takes_fewer_columns_for_a_little_more_loss(self):
        rng = np.random.default_rng(0)
        weight = np.full(100, 0.01)
        trials = [
            (name, ["c"] * size, loss + rng.normal(0, 0.05, 100))
            for name, size, loss in (("x", 9, 0.50), ("x", 6, 0.51), ("x", 3, 0.80))
        ]
        assert _chosen(trials, weight, 0.0)[0] == 0
        assert _chosen(trials, weight, 0.1)[0] == 1
        assert _chosen(trials, weight, 1.0)[0] == 2
        noisy = [(n, c, own + rng.normal(0, 2.0, 100) * (len(c) != 9)) for n, c, own in trials]
        assert _chosen(noisy, weight, "one_se")[0] > 0

    def test_noise_that_the_student_ignores_does_not_fill_the_budget(self):
        """A tree of 100,000 rows never split on noise, so that all sizes had its very loss.

        The largest was tried first, and 17 columns of noise were kept beside the 3 that mattered.
        """
        weight, own = np.full(50, 0.02), np.random.default_rng(0).uniform(0.2, 0.6, 50)
        trials = [("x", ["c"] * size, own + rounding) for size, rounding in ((20, 0), (3, 1e-16))]
        assert _chosen(trials, weight, 0.0)[0] == 1
        lucky = [("x", ["c"] * size, own * (1 + more)) for size, more in ((20, 0), (3, 0.001))]
        assert _chosen(lucky, weight, 0.0)[0] == 0
        assert _chosen(lucky, weight, ColumnWishes().tolerance)[0] == 1
        needed = [("x", ["c"] * size, own * (1 + more)) for size, more in ((20, 0), (3, 0.01))]
        assert _chosen(needed, weight, ColumnWishes().tolerance)[0] == 0

    @given(st.dictionaries(st.text(), st.floats(-1e6, 1e6), min_size=1))
    def test_shares_are_a_distribution(self, scores):
        found = shares(scores)
        assert sum(found.values()) == pytest.approx(1)
        assert min(found.values()) >= 0


def test_mrmr_passes_over_a_copy_of_what_it_has() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 400))
    X = pd.DataFrame({"a": a, "copy": a + rng.normal(0, 0.01, 400), "b": b})
    X["noise"] = rng.normal(size=400)
    labels = (a + 0.5 * b > 0).astype(int)
    task = task_of(X, SoftTargets(labels=labels, classes=np.array([0, 1])), 2, 0)
    assert set(mrmr_order(task)[:2]) in ({"a", "b"}, {"copy", "b"})


class TestLargeTables:
    """A part of their rows chooses, and nothing of it is held afterwards."""

    def test_a_part_of_the_rows_chooses_with_classes_in_their_shares(self, monkeypatch):
        monkeypatch.setattr(some_rows, "_MOST_CELLS", 800)
        monkeypatch.setattr(some_rows, "_MOST_ROWS", 90)
        seen = []

        class Watching(MRMR):
            def rankings(self, task):
                seen.append(task)
                return super().rankings(task)

        data = table(1000).assign(label=np.where(np.arange(1000) % 50, "no", "yes"))
        results = [distilled(TreeStudent(), data, max_features=2, selector=Watching())]
        results.append(distilled(TreeStudent(), data, max_features=2, selector=Watching()))
        task = seen[0]
        assert (len(task.X), len(task.held_X)) == (100, 25)
        assert np.bincount(task.targets.labels).tolist() == [98, 2]
        assert task.targets.provenance == "out-of-fold"
        first, again = (result.student.get_selected_features() for result in results)
        assert first == again
        assert any("chosen by 100 of the 750" in note for note in results[0].report.notes)

    def test_the_rows_of_a_choice_are_let_go_with_it(self):
        """A student that was asked from inside its task held the table until the collector came."""
        held = []

        class Watching(MRMR):
            def rankings(self, task):
                held.append(weakref.ref(task))
                return super().rankings(task)

        gc.disable()
        try:
            result = distilled(TreeStudent(), table(120), max_features=2, selector=Watching())
            assert held
            assert not any(ref() for ref in held)
        finally:
            gc.enable()
        assert len(result.student.get_selected_features()) <= 2

    def test_mrmr_looks_at_some_of_many_rows_with_the_same_answer(self, monkeypatch):
        data = numbers(800)
        labels = (data.pop("label") == "yes").to_numpy(dtype=int)
        task = task_of(data, SoftTargets(labels=labels, classes=np.array([0, 1])), 3, 0)
        whole = mrmr_order(task)
        monkeypatch.setattr(redundancy, "_MOST_ROWS", 500)
        monkeypatch.setattr(redundancy, "_AT_ONCE", 2)
        assert mrmr_order(task)[0] == whole[0]
        assert mrmr_order(task) == mrmr_order(task)
        assert sorted(mrmr_order(task)) == sorted(whole)


def test_a_selection_is_plain_data() -> None:
    told = Selection(["a"], "mrmr", 0.5, 2).to_dict()
    assert told["columns"] == ["a"]
    assert {"selector", "max_features", "budget", "path", "all_columns_loss"} <= set(told)


def test_both_estimators_and_distill_take_the_same_wishes() -> None:
    wanted = {f.name for f in ColumnWishes.__dataclass_fields__.values()} | {"max_factor_ratio"}
    for called in (kdcore.distill, DistillationClassifier, kdcore.DistillationRegressor):
        assert wanted <= set(inspect.signature(called).parameters)
