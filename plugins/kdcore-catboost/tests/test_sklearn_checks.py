"""scikit-learn's own checks: teachers and students work wherever its estimators do."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from kdcore_catboost.student import CatBoostStudentClassifier, CatBoostStudentRegressor
from kdcore_catboost.teacher import CatBoostTeacherClassifier, CatBoostTeacherRegressor

MODELS = [
    CatBoostStudentClassifier(iterations=5),
    CatBoostStudentRegressor(iterations=5),
    CatBoostTeacherClassifier(iterations=30),
    CatBoostTeacherRegressor(iterations=30),
]


def expected_failed_checks(estimator):
    if isinstance(estimator, (CatBoostTeacherClassifier, CatBoostTeacherRegressor)):
        return {
            "check_sample_weight_equivalence_on_dense_data": "CatBoost's random permutations, "
            "bootstrap and penalties count rows, whatever their weights."
        }
    return {}


@parametrize_with_checks(MODELS, expected_failed_checks=expected_failed_checks, xfail_strict=True)
def test_model(estimator, check):
    check(estimator)
