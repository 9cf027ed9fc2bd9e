"""Runs a page of the documentation as the build of the site does, but in this process."""

import ast
import contextlib
import io
import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"


def code_cells(page: Path) -> list[str]:
    """The code of a page's cells, or of the file that a cell loads, without IPython's magic lines and options."""
    cells = re.findall(r"(?ms)^```\{code-cell\}[^\n]*\n(.*?)^```$", page.read_text(encoding="utf-8"))
    return [re.sub(r"(?m)^(%|:[a-z]).*\n", "", _loaded(cell, page)) for cell in cells]


def _loaded(cell: str, page: Path) -> str:
    """The code of the file that the cell loads, or the cell if it loads none."""
    file = re.search(r"(?m)^:load: (.+)$", cell)
    return (page.parent / file[1]).read_text(encoding="utf-8") if file else cell


def run_page(page: Path) -> tuple[dict[str, Any], str]:
    """Execute the cells of a page in order.

    Returns:
        The page's variables, and its output: what the cells print, and the value of a cell's last expression.
    """
    variables: dict[str, Any] = {"__name__": "__main__"}
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        for cell in code_cells(page):
            tree = ast.parse(cell)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, page.name, "exec"), variables)
            if isinstance(last, ast.Expr):
                value = eval(compile(ast.Expression(last.value), page.name, "eval"), variables)
                if value is not None:
                    print(value)
    return variables, output.getvalue()
