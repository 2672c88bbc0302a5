"""Every check of kdcore's conformance kit, on all that this plugin provides."""

from kdcore.testing import parametrize_plugin_checks

PARAMS = {
    "student.pytorch_mlp": {"max_iter": 400},
    "student.pytorch_cnn": {"max_iter": 150},
    "teacher.pytorch_mlp": {"max_iter": 300, "hidden_layer_sizes": (64,)},
    "teacher.pytorch_cnn": {"max_iter": 150, "channels": (8, 16), "hidden_layer_sizes": ()},
}


@parametrize_plugin_checks("kdcore_torch", params=PARAMS)
def test_plugin(check):
    check()
