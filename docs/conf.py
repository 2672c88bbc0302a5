"""Sphinx settings; build with ``tox -e docs``, where a warning is an error."""

import importlib.metadata

project = "kdcore"
author = "the kdcore developers"
copyright = "2026, the kdcore developers"
release = importlib.metadata.version("kdcore")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "requirements.txt"]

# Single backticks in docstrings are references to Python objects where there is one.
default_role = "py:obj"
napoleon_google_docstring = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
# scikit-learn adds these; their docstrings refer to its own glossary.
autodoc_default_options = {"exclude-members": "set_fit_request, set_score_request"}

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
copybutton_prompt_text = "$ "

html_theme = "furo"
html_title = f"kdcore {release}"
