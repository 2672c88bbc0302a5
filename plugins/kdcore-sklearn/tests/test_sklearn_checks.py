"""scikit-learn's own checks: the students work wherever its estimators do."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from kdcore_sklearn.linear import LogisticRegressionStudent, RidgeStudent
from kdcore_sklearn.mlp import MLPStudentClassifier, MLPStudentRegressor
from kdcore_sklearn.svm import SVMStudentClassifier, SVMStudentRegressor
from kdcore_sklearn.tree import DecisionTreeStudentClassifier, DecisionTreeStudentRegressor

STUDENTS = [
    LogisticRegressionStudent(),
    RidgeStudent(),
    DecisionTreeStudentClassifier(min_samples_leaf=1),
    DecisionTreeStudentRegressor(min_samples_leaf=1),
    MLPStudentClassifier(max_iter=100),
    MLPStudentRegressor(max_iter=100),
    SVMStudentClassifier(),
    SVMStudentRegressor(),
    SVMStudentClassifier(kernel="linear"),
    SVMStudentRegressor(kernel="linear"),
]


@parametrize_with_checks(STUDENTS)
def test_student(estimator, check):
    check(estimator)
