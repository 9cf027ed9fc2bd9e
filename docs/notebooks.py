"""Each page of the tutorial as a notebook to download: what the page says, and its code, without outputs."""

import re
from pathlib import Path
from typing import Any

import nbformat
from myst_nb.core.read import read_myst_markdown_notebook

TUTORIAL = Path(__file__).parent / "tutorial"
INSTALL = """
# If sequentia is not installed, as in Colab: remove the # of the last line, and put in the address of its repository
# (git+https://...) or of a wheel.
# %pip install ADDRESS
""".strip()
DIRECTIVE = re.compile(r"(?ms)^```\{(\w+)\} ?(\S*)\n(.*?)^```$")


def notebook(page: Path) -> Any:
    """The notebook of a page.

    Raises:
        ValueError: The page has a directive that a notebook cannot show.
    """
    made = read_myst_markdown_notebook(page.read_text(encoding="utf-8"), path=page)
    made.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    made.cells.insert(0, nbformat.v4.new_code_cell(INSTALL))
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"  # not a random one: the same page gives the same notebook
        if cell.cell_type == "markdown":
            text = DIRECTIVE.sub(lambda found: _shown(page, *found.groups()), cell.source)
            cell.source = re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:)[^)]+\)", r"\1", text)  # pages are not beside it
        else:
            folded = {"hide-cell", "hide-input"} & set(cell.metadata.get("tags", ()))
            cell.metadata = {"jupyter": {"source_hidden": True}} if folded else {}
    return made


def _shown(page: Path, directive: str, argument: str, options: str) -> str:
    """What a notebook shows of a directive: an included text; nothing of HTML for the site."""
    if directive == "raw":
        return ""
    if directive != "include":
        raise ValueError(f"{page.name}: a notebook cannot show the directive {{{directive}}}")
    text = (page.parent / argument).read_text(encoding="utf-8")
    marks = {name: mark.encode().decode("unicode_escape") for name, mark in re.findall(r':([\w-]+): "(.*)"', options)}
    return text.partition(marks["start-after"])[2].partition(marks["end-before"])[0].strip()


def add_link(app: Any, name: str, content: list[str]) -> None:
    """Add the link to a page's notebook below its title."""
    page = Path(f"{name}.md")
    if page.parent.name == TUTORIAL.name and "\nfile_format: mystnb\n" in content[0]:
        link = f'<a href="../notebooks/{page.stem}.ipynb" download>Download this page as a notebook</a>'
        content[0] = re.sub(r"(?m)^(# .*)$", rf"\1\n\n{link}", content[0], count=1)


def write_notebooks(app: Any, exception: Exception | None) -> None:
    """Write the notebooks into the site."""
    if app.builder.format == "html" and exception is None:
        directory = Path(app.outdir) / "notebooks"
        directory.mkdir(parents=True, exist_ok=True)
        for page in sorted(TUTORIAL.glob("[0-9]*.md")):
            nbformat.write(notebook(page), directory / f"{page.stem}.ipynb")


def setup(app: Any) -> dict[str, bool]:
    """Connect the functions above to reading a page, and to the end of the build."""
    app.connect("source-read", add_link)
    app.connect("build-finished", write_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
