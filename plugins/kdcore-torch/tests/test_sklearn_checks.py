"""scikit-learn's own checks: teachers and students work wherever its estimators do."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from kdcore_torch.cnn import TorchCNNClassifier, TorchCNNRegressor
from kdcore_torch.mlp import TorchMLPClassifier, TorchMLPRegressor
from kdcore_torch.teachers import (
    TorchCNNTeacherClassifier,
    TorchCNNTeacherRegressor,
    TorchMLPTeacherClassifier,
    TorchMLPTeacherRegressor,
)

# scikit-learn's tables have any number of columns, which are signals then.
ROW = {"img_size": "row", "max_shift": 0, "max_iter": 120, "channels": (8,)}
MODELS = [
    TorchMLPClassifier(max_iter=100),
    TorchMLPRegressor(max_iter=100),
    TorchCNNClassifier(**ROW),
    TorchCNNRegressor(**ROW),
    TorchMLPTeacherClassifier(max_iter=100, hidden_layer_sizes=(32,)),
    TorchMLPTeacherRegressor(max_iter=100, hidden_layer_sizes=(32,)),
    TorchCNNTeacherClassifier(**ROW, hidden_layer_sizes=()),
    TorchCNNTeacherRegressor(**ROW, hidden_layer_sizes=()),
]


@parametrize_with_checks(MODELS)
def test_model(estimator, check):
    check(estimator)
