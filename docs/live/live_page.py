"""Sphinx extension that makes the page "Letter by letter" live: style, models, and the scripts of the exported page."""

from pathlib import Path
from typing import Any

from sequentia.export.html import read

HERE = Path(__file__).parent
MODELS = ("bigram", "bigram_counts", "mlp", "recurrent", "transformer")


def fragment() -> str:
    """HTML for the end of the page. The names of the scripts are not global, so they cannot clash with the theme's."""
    style, models, page = ((HERE / name).read_text("utf-8") for name in ("page.css", "models.json", "page.js"))
    scripts = map(read, ("numbers.js", *(f"models/{name}.js" for name in MODELS), "drawing.js"))
    script = "\n".join(("(() => {", '"use strict";', *scripts, page, "})();"))
    return (
        f"<style>\n{style}</style>\n"
        f'<script type="application/json" id="model">{models}</script>\n'
        f"<script>\n{script}\n</script>\n"
    )


def add_fragment(app: Any, page: str, template: str, context: dict[str, Any], document: Any) -> None:
    """Complete the page when it is written."""
    if page == "letter_by_letter":
        context["body"] += fragment()


def setup(app: Any) -> dict[str, bool]:
    """Connect the function above to writing a page."""
    app.connect("html-page-context", add_fragment)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
