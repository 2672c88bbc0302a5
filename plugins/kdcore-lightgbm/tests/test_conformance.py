"""Every check of kdcore's conformance kit, on all that this plugin provides."""

from kdcore.testing import parametrize_plugin_checks


@parametrize_plugin_checks("kdcore_lightgbm")
def test_plugin(check):
    check()
