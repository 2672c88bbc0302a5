"""What the core itself provides, through the same hooks as every plugin."""

from __future__ import annotations

from collections.abc import Iterator

from kdcore.hookspecs import hookimpl
from kdcore.specs import LossSpec, SelectorSpec

__all__ = ["kd_losses", "kd_selectors"]


@hookimpl
def kd_losses() -> Iterator[LossSpec]:
    """Provide the built-in losses."""
    yield LossSpec(
        name="kl",
        summary="Kullback-Leibler divergence of softened probabilities (the classic).",
        factory="kdcore.losses:KL",
        tasks=("binary", "multiclass"),
        min_classes=2,
        target_only=True,
        reference="Hinton, Vinyals, Dean 2015, arXiv:1503.02531",
    )
    yield LossSpec(
        name="logit_mse",
        summary="Squared error between centred logits.",
        factory="kdcore.losses:LogitMSE",
        tasks=("binary", "multiclass"),
        reference="Ba, Caruana 2014, arXiv:1312.6184; Kim et al. 2021, arXiv:2105.08919",
    )
    yield LossSpec(
        name="brier",
        summary="Squared error between probabilities; bounded, so robust to a wrong teacher.",
        factory="kdcore.losses:Brier",
        tasks=("binary", "multiclass"),
        target_only=True,
        reference="Fakoor et al. 2020 (FAST-DAD), arXiv:2006.14284",
    )
    yield LossSpec(
        name="dkd",
        summary="KL split into target class and other classes; for many classes, sure teachers.",
        factory="kdcore.multiclass_losses:DKD",
        tasks=("multiclass",),
        min_classes=3,
        reference="Zhao et al. 2022, Decoupled knowledge distillation, arXiv:2203.08679",
    )
    yield LossSpec(
        name="dist",
        summary="Correlation with the teacher over classes and over rows; for strong teachers.",
        factory="kdcore.multiclass_losses:DIST",
        tasks=("multiclass",),
        min_classes=3,
        curvature=False,
        reference="Huang et al. 2022, Distillation from a stronger teacher, arXiv:2205.10536",
    )
    yield LossSpec(
        name="logit_standardization",
        summary="kl (or base=dkd) between logits that are standardised row by row.",
        factory="kdcore.multiclass_losses:LogitStandardization",
        tasks=("multiclass",),
        min_classes=3,
        curvature=False,
        reference="Sun et al. 2024, Logit standardization, arXiv:2403.01427",
    )
    yield LossSpec(
        name="label_smoothing",
        summary="No teacher: labels that leave a little to every class; parameter smoothing.",
        factory="kdcore.baseline_losses:LabelSmoothing",
        tasks=("binary", "multiclass"),
        target_only=True,
        teacher=False,
        reference="Szegedy et al. 2016, Rethinking the Inception architecture, arXiv:1512.00567",
    )
    yield LossSpec(
        name="tf_kd",
        summary="No teacher: kl to a virtual one that is always right; parameter correct.",
        factory="kdcore.baseline_losses:TfKD",
        tasks=("binary", "multiclass"),
        target_only=True,
        teacher=False,
        reference="Yuan et al. 2020, Revisiting knowledge distillation, arXiv:1909.11723",
    )
    yield LossSpec(
        name="annealing",
        summary="First a teacher that grows step by step, then labels alone; needs a network.",
        factory="kdcore.annealing_loss:Annealing",
        tasks=("binary", "multiclass", "regression"),
        progress=True,
        reference="Jafari et al. 2021, Annealing knowledge distillation, arXiv:2104.07163",
    )
    yield LossSpec(
        name="blend",
        summary="Squared error to a mix of the teacher's output and the true value.",
        factory="kdcore.losses:Blend",
        tasks=("regression",),
        target_only=True,
        reference="Squared error to alpha * teacher + (1 - alpha) * label",
    )
    yield LossSpec(
        name="damped_blend",
        summary="Like blend, but labels far from the teacher count for less.",
        factory="kdcore.regression_losses:DampedBlend",
        tasks=("regression",),
        target_only=True,
        reference="Takamoto, Morishita, Imaoka 2020, arXiv:2002.12597",
    )
    yield LossSpec(
        name="huber",
        summary="Squared error that turns linear for outliers; parameter delta.",
        factory="kdcore.regression_losses:Huber",
        tasks=("regression",),
        reference="Huber 1964, Robust estimation of a location parameter",
    )
    yield LossSpec(
        name="quantile",
        summary="Pinball loss: predicts a quantile; parameter q.",
        factory="kdcore.regression_losses:Quantile",
        tasks=("regression",),
        reference="Koenker, Bassett 1978, Regression quantiles",
    )
    yield LossSpec(
        name="teacher_bounded",
        summary="Squared error to the teacher, and to the label where the teacher is nearer to it.",
        factory="kdcore.regression_losses:TeacherBounded",
        tasks=("regression",),
        reference="Chen et al. 2017, Learning efficient object detection models, NeurIPS",
    )


@hookimpl
def kd_selectors() -> Iterator[SelectorSpec]:
    """Provide the built-in selectors."""
    yield SelectorSpec(
        name="prior_backward",
        summary="Half the teacher's opinion, half the student's own, beside the teacher's alone.",
        factory="kdcore.selection.filters:PriorBackward",
        reference="Guyon et al. 2002 (RFE), with a teacher's importances as prior",
    )
    yield SelectorSpec(
        name="student_backward",
        summary="Recursive elimination of the columns that the student misses least.",
        factory="kdcore.selection.filters:StudentBackward",
        reference="Guyon et al. 2002, Gene selection using support vector machines (RFE)",
    )
    yield SelectorSpec(
        name="teacher_prior",
        summary="The teacher's gain, permutation and contributions together.",
        factory="kdcore.selection.filters:TeacherPrior",
        reference="Mean of shares of teacher_gain, teacher_permutation and teacher_shap",
    )
    yield SelectorSpec(
        name="teacher_gain",
        summary="Gain of the teacher's splits on each column.",
        factory="kdcore.selection.filters:TeacherGain",
        reference="Breiman et al. 1984, Classification and regression trees",
    )
    yield SelectorSpec(
        name="teacher_permutation",
        summary="What the teacher loses on held-out rows when a column is shuffled.",
        factory="kdcore.selection.filters:TeacherPermutation",
        reference="Breiman 2001, Random forests; Fisher et al. 2019, arXiv:1801.01489",
    )
    yield SelectorSpec(
        name="teacher_shap",
        summary="Size of each column's contributions to the teacher's output (TreeSHAP).",
        factory="kdcore.selection.filters:TeacherContributions",
        reference="Lundberg et al. 2020, Nature Machine Intelligence 2, arXiv:1905.04610",
    )
    yield SelectorSpec(
        name="mrmr",
        summary="Relevance to the labels over redundancy among columns; without a teacher.",
        factory="kdcore.selection.filters:MRMR",
        reference="Peng et al. 2005, IEEE TPAMI 27(8); Zhao et al. 2019 (FCQ), arXiv:1908.05376",
    )
