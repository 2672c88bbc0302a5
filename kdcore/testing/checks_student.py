"""Checks of what students learn from: labels, soft targets, weights, losses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from kdcore.errors import ParameterError
from kdcore.losses import KL, Blend
from kdcore.specs import StudentSpec
from kdcore.students import ClassifierStudent, RegressorStudent
from kdcore.testing.cases import ModelCase, far_apart
from kdcore.testing.checks import Violation
from kdcore.testing.checks_model import CLOSE
from kdcore.testing.data import TinyData, tiny_targets

__all__ = ["student_checks"]

_PARAMETERS = ("alpha", "temperature", "loss", "encoder", "features")


def student_checks(case: ModelCase) -> Iterator[Callable[[ModelCase], None]]:
    """The checks of learning that apply to a student in one task."""
    yield check_is_a_student
    yield check_has_the_parameters_of_students
    yield check_encoder_is_that_of_the_spec
    yield check_gradient_is_that_of_the_spec
    yield check_forms_of_fit_agree
    yield check_learns_from_soft_targets
    yield check_rows_without_labels_count
    yield check_alpha_of_zero_is_plain
    yield check_alpha_of_one_follows_the_teacher
    yield check_temperature_is_used_or_refused
    yield check_loss_is_used
    yield check_curvature_and_steps_as_declared
    yield check_rows_of_weight_zero_are_absent


def check_is_a_student(case: ModelCase) -> None:
    """A student derives from ClassifierStudent, or from RegressorStudent for regression."""
    base = ClassifierStudent if case.classifies else RegressorStudent
    if not isinstance(case.make(), base):
        raise Violation(
            f"{type(case.make()).__name__}, which does not",
            f"derive it from kdcore.{base.__name__}",
        )


def check_has_the_parameters_of_students(case: ModelCase) -> None:
    """alpha, temperature, loss, encoder and features are parameters of every student."""
    missing = [name for name in _PARAMETERS if name not in case.make().get_params()]
    if missing:
        raise Violation(f"no {' nor '.join(missing)}", "add them to the constructor")


def check_encoder_is_that_of_the_spec(case: ModelCase) -> None:
    """The default of the parameter encoder is the encoder that the spec names."""
    assert isinstance(case.spec, StudentSpec)
    own = case.make().encoder
    if own != case.spec.encoder:
        raise Violation(
            f"encoder={own!r} in the student and {case.spec.encoder!r} in the spec",
            "give both the same",
        )


def check_gradient_is_that_of_the_spec(case: ModelCase) -> None:
    """uses_gradient is the same in the spec and in the student: either it minimises any loss, or
    it is fitted to plain targets."""
    assert isinstance(case.spec, StudentSpec)
    own = case.make().uses_gradient
    if own is not case.spec.uses_gradient:
        raise Violation(
            f"uses_gradient={own!r} in the student and {case.spec.uses_gradient!r} in the spec",
            "give both the same; it is a class attribute of the student",
        )


def check_forms_of_fit_agree(case: ModelCase) -> None:
    """fit(X, y) is fit(X, SoftTargets) without a teacher, and fit(X, y, teacher_proba=P) (in
    regression teacher_output=) is fit(X, SoftTargets) with it."""
    data = case.data
    keyword = "teacher_proba" if case.classifies else "teacher_output"
    pairs = {
        "fit(X, y)": (case.fitted, _fit(case, data, teacher=False)),
        f"fit(X, y, {keyword}=...)": (
            case.make().fit(data.X, data.y, **{keyword: data.teacher}),
            _fit(case, data),
        ),
    }
    for form, (one, other) in pairs.items():
        difference = far_apart(case.output(one, case.fresh.X), case.output(other, case.fresh.X))
        if not difference <= CLOSE:
            raise Violation(
                f"{form} and fit(X, SoftTargets) differ by {difference:.3g}",
                "leave fit to the base class and write fit_encoded only",
            )


def check_learns_from_soft_targets(case: ModelCase) -> None:
    """A student can be fitted to a teacher alone, without any label, and is then clearly nearer
    to the truth than a constant."""
    model = _fit(case, case.data, unlabeled=np.ones(len(case.data), dtype=bool))
    error = case.error(case.output(model, case.fresh.X), case.fresh)
    constant = case.constant_error(case.fresh)
    if not error < 0.8 * constant:
        raise Violation(
            f"an error of {error:.3g}, where a constant has {constant:.3g}",
            "minimise the loss, or fit to loss.blend(targets), in every row",
        )


def check_rows_without_labels_count(case: ModelCase) -> None:
    """Rows that have a teacher but no label are learned from, beside rows with labels."""
    data, wrong = case.data, _misled(case.data).teacher
    unlabeled = np.arange(len(data)) % 2 == 1
    model = _fit(case, data, unlabeled=unlabeled)
    rows = unlabeled if data.task == "regression" else unlabeled[:, None]
    other = TinyData(data.task, data.X, data.y, np.where(rows, wrong, data.teacher))
    misled = _fit(case, other, unlabeled=unlabeled)
    if not far_apart(case.output(model, case.fresh.X), case.output(misled, case.fresh.X)) > CLOSE:
        raise Violation(
            "the same model, whatever the teacher says of them", "do not drop rows without labels"
        )


def check_alpha_of_zero_is_plain(case: ModelCase) -> None:
    """With alpha=0 the teacher has no say where a row has a label."""
    model = case.make(alpha=0.0).fit(case.data.X, tiny_targets(_misled(case.data)))
    got, plain = case.output(model, case.fresh.X), case.output(case.fitted, case.fresh.X)
    difference = far_apart(got, plain)
    if not difference <= CLOSE:
        raise Violation(
            f"predictions that differ by {difference:.3g} from those of a student fitted to the "
            "labels alone",
            "take the share of the teacher from the loss (targets.row_alpha(loss.alpha))",
        )


def check_alpha_of_one_follows_the_teacher(case: ModelCase) -> None:
    """With alpha=1 a student follows its teacher, even where the labels say otherwise."""
    wrong = _misled(case.data)
    model = case.make(alpha=1.0).fit(wrong.X, tiny_targets(wrong))
    got = case.output(model, case.fresh.X)
    to_teacher = case.error(got, _misled(case.fresh))
    to_labels = case.error(got, case.fresh)
    if not to_teacher < to_labels:
        raise Violation(
            f"an error of {to_teacher:.3g} from the teacher and {to_labels:.3g} from the truth "
            "behind the labels",
            "take the share of the teacher from the loss (targets.row_alpha(loss.alpha))",
        )


def check_temperature_is_used_or_refused(case: ModelCase) -> None:
    """A temperature other than 1 changes the fit, or is refused with a ParameterError."""
    targets = tiny_targets(case.data)
    try:
        model = case.make(temperature=4.0).fit(case.data.X, targets)
    except ParameterError:
        return
    plain = case.make(temperature=1.0).fit(case.data.X, targets)
    if far_apart(case.output(model, case.fresh.X), case.output(plain, case.fresh.X)) <= CLOSE:
        raise Violation(
            "the same model with temperature=1 and temperature=4",
            "minimise loss.value_and_grad; a student that cannot has uses_gradient = False",
        )


def check_loss_is_used(case: ModelCase) -> None:
    """A student asks the loss it is given: value_and_grad if it uses gradients, else blend."""
    asked: list[str] = []
    kind: type[Any] = KL if case.classifies else Blend

    class Recording(kind):
        def value_and_grad(self, logits: Any, targets: Any) -> Any:
            asked.append("value_and_grad")
            return super().value_and_grad(logits, targets)

        def blend(self, targets: Any) -> Any:
            asked.append("blend")
            return super().blend(targets)

    model = case.make(loss=lambda **params: Recording(**params))
    model.fit(case.data.X, tiny_targets(case.data))
    wanted = "value_and_grad" if model.uses_gradient else "blend"
    if wanted not in asked:
        raise Violation(
            f"{wanted} was never called", f"fit by the loss that fit_encoded gets: loss.{wanted}"
        )


def check_curvature_and_steps_as_declared(case: ModelCase) -> None:
    """A student asks its loss for hessian_bound only if it has uses_curvature, and for at(progress)
    at several points of the training, the start among them, if it has uses_steps: so that losses
    without a curvature, and losses that change on the way, meet only students they work with."""
    bounds, points = [], set()
    kind: type[Any] = KL if case.classifies else Blend

    class Recording(kind):
        def hessian_bound(self, logits: Any, targets: Any) -> Any:
            bounds.append(1)
            return super().hessian_bound(logits, targets)

        def at(self, progress: float) -> Any:
            points.add(float(progress))
            return self

    model = case.make(loss=lambda **params: Recording(**params))
    model.fit(case.data.X, tiny_targets(case.data))
    if model.uses_curvature is not bool(bounds):
        raise Violation(
            f"{len(bounds)} calls of hessian_bound and uses_curvature={model.uses_curvature!r}",
            "set the class attribute uses_curvature to what fit_encoded does",
        )
    stepwise = len(points) >= 3 and min(points) == 0 and max(points) <= 1
    if model.uses_steps and not stepwise:
        raise Violation(
            f"uses_steps=True and {len(points)} points of progress",
            "call loss.at(steps done / all steps) before each step or block of steps",
        )


def check_rows_of_weight_zero_are_absent(case: ModelCase) -> None:
    """Rows of weight 0 are as good as removed."""
    data = case.data
    keep = np.arange(len(data)) % 3 != 0
    weighted = case.make().fit(data.X, data.y, sample_weight=keep.astype(float))
    rest = data.take(keep)
    removed = case.make().fit(rest.X, rest.y)
    difference = far_apart(case.output(weighted, case.fresh.X), case.output(removed, case.fresh.X))
    if not difference <= CLOSE:
        raise Violation(
            f"predictions that differ by {difference:.3g} from those after removal",
            "leave fit to the base class, and use targets.sample_weight in fit_encoded",
        )


def _fit(case: ModelCase, data: TinyData, **options: Any) -> Any:
    return case.make().fit(data.X, tiny_targets(data, **options))


def _misled(data: TinyData) -> TinyData:
    """The same rows with a teacher that takes each class for the next, or is off in sign."""
    wrong = -data.teacher if data.task == "regression" else np.roll(data.teacher, 1, axis=1)
    return TinyData(data.task, data.X, data.y, wrong)
