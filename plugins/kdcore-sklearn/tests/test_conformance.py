"""Every check of kdcore's conformance kit, on all that this plugin provides."""

from kdcore.testing import parametrize_plugin_checks


@parametrize_plugin_checks("kdcore_sklearn", params={"student.sklearn_mlp": {"max_iter": 1000}})
def test_plugin(check):
    check()
