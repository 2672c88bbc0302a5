"""scikit-learn's own checks: teachers and students work wherever its estimators do."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from kdcore_xgboost.student import XGBoostStudentClassifier, XGBoostStudentRegressor
from kdcore_xgboost.teacher import XGBoostTeacherClassifier, XGBoostTeacherRegressor

MODELS = [
    XGBoostStudentClassifier(n_estimators=5),
    XGBoostStudentRegressor(n_estimators=5),
    XGBoostTeacherClassifier(n_estimators=30),
    XGBoostTeacherRegressor(n_estimators=30),
]


def expected_failed_checks(estimator):
    if isinstance(estimator, XGBoostTeacherClassifier):
        return {
            "check_sample_weight_equivalence_on_dense_data": "XGBoost sums gradients in float32: "
            "weights and copies differ by 1e-7."
        }
    return {}


@parametrize_with_checks(MODELS, expected_failed_checks=expected_failed_checks, xfail_strict=True)
def test_model(estimator, check):
    check(estimator)
