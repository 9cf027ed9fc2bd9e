"""The site's configuration: Sphinx with pages in Markdown whose code is executed by the build.

    pip install '.[docs]' && python -m sphinx -W --keep-going -j 6 docs build/docs

Warnings are errors (-W): a link that leads nowhere, a page in no table of contents, an exception in a page's code. The
build needs no network.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

project = "sequentia"
author = "the sequentia developers"
copyright = "2026, the sequentia developers"
html_title = "sequentia"

DOCS = Path(__file__).parent
sys.path += [str(DOCS), str(DOCS / "kernels" / "forked"), str(DOCS / "live")]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_copybutton"]
extensions += ["forked_kernel", "live_page", "notebooks"]
source_suffix = {".md": "myst-nb"}
exclude_patterns = ["_build"]

# Pages. Each is executed by a kernel of its own, so that it shows what this version of the package does.
nb_execution_mode = "force"
nb_kernel_rgx_aliases = {"python3": "forked"}
nb_execution_show_tb = True  # an exception is a warning, with its traceback
nb_execution_timeout = 300
nb_merge_streams = True
nb_output_stderr = "remove"  # logs of trainings
nb_execution_in_temp = True
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the same digits with any number of cores; pages run side by side
os.environ["PYTHONWARNINGS"] = "ignore"

# Reference, from the docstrings.
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_member_order = "bysource"
default_role = "code"  # docstrings mark code with single backticks
napoleon_use_ivar = True

# Look.
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_js_files = ["pages.js"]
html_copy_source = False
html_show_sphinx = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
copybutton_exclude = ".linenos, .gp, .go"


PAGES = {"README.md": "/index.md", "CONTRIBUTING.md": "/contributing.md", "benchmarks/RESULTS.md": "/results.md"}
"""Files outside of this directory -> their pages."""


def adapt_links(*arguments: Any) -> None:
    """Make links that are right in the repository lead to the pages of the site; for two of Sphinx's events."""
    content: list[str] = arguments[-1]
    for file, page in PAGES.items():
        content[0] = re.sub(rf"\]\((\.\./)*{file}\)", f"]({page})", content[0])
    content[0] = re.sub(r"\]\((\.\./)*configs/(\w+)\.yaml\)", r"](/configs.md#\2)", content[0])
    content[0] = re.sub(r"\]\(docs/(\w+\.md)\)", r"](/\1)", content[0])


def setup(app: Any) -> None:
    """Connect the function above to reading a page, and to including a file in one."""
    app.connect("source-read", adapt_links)
    app.connect("include-read", adapt_links)
