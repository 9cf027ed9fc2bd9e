"""The site's configuration: Sphinx with pages in Markdown whose code is executed by the build.

    pip install '.[docs]' && python -m sphinx -W --keep-going docs build/docs

Warnings are errors (-W): a link that leads nowhere, a page in no table of contents, an exception in a page's code. The
build needs no network.
"""

import os
import re
from typing import Any

project = "sequentia"
author = "the sequentia developers"
copyright = "2026, the sequentia developers"
html_title = "sequentia"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_copybutton"]
source_suffix = {".md": "myst-nb"}
exclude_patterns = ["_build"]

# Pages. Each is executed by a fresh kernel, so that it shows what this version of the package does.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the same digits with any number of cores; pages run side by side
os.environ["PYTHONWARNINGS"] = "ignore"

# Reference, from the docstrings.
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
default_role = "code"  # docstrings mark code with single backticks
napoleon_use_ivar = True

# Look.
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
copybutton_exclude = ".linenos, .gp, .go"


def adapt_links(_app: Any, _path: Any, _docname: str, content: list[str]) -> None:
    """Links of a file that the repository's root shares with the site lead to the site's pages."""
    content[0] = re.sub(r"\]\(configs/(\w+)\.yaml\)", r"](/configs.md#\1)", content[0])
    content[0] = content[0].replace("](README.md)", "](/index.md)")


def setup(app: Any) -> None:
    """Connect the function above to the event that Sphinx sends when a page includes a file."""
    app.connect("include-read", adapt_links)
