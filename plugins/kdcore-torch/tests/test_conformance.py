"""Every check of kdcore's conformance kit, on all that this plugin provides."""

from kdcore.testing import parametrize_plugin_checks

PARAMS = {
    "student.pytorch_mlp": {"max_iter": 150, "hidden_layer_sizes": (32,)},
    "student.pytorch_cnn": {"max_iter": 60, "channels": (8, 16)},
    "selector.budgeted_elimination": {"warm_up": 5, "round_epochs": 2},
    "selector.sigmoid_l1": {"epochs": 30},
    "selector.hard_concrete": {"epochs": 30},
    "selector.stochastic_gates": {"epochs": 30},
    "teacher.pytorch_mlp": {"max_iter": 120, "hidden_layer_sizes": (32,)},
    "teacher.pytorch_cnn": {"max_iter": 60, "channels": (8,), "hidden_layer_sizes": ()},
}


@parametrize_plugin_checks("kdcore_torch", params=PARAMS)
def test_plugin(check):
    check()
