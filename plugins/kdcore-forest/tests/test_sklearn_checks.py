"""scikit-learn's own checks: the teachers work wherever its estimators do."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from kdcore_forest.teacher import RandomForestTeacherClassifier, RandomForestTeacherRegressor

MODELS = [
    RandomForestTeacherClassifier(n_estimators=20),
    RandomForestTeacherRegressor(n_estimators=20),
]


def expected_failed_checks(estimator):
    return {
        "check_sample_weight_equivalence_on_dense_data": "bootstrap draws rows, not weights: "
        "scikit-learn's own forests are exempt too."
    }


@parametrize_with_checks(MODELS, expected_failed_checks=expected_failed_checks, xfail_strict=True)
def test_model(estimator, check):
    check(estimator)
