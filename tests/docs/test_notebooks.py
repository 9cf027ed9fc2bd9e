"""The notebooks to download are the pages of the tutorial."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.docs.pages import DOCS, code_cells

nbformat = pytest.importorskip("nbformat", reason="pip install '.[docs]'")
pytest.importorskip("myst_nb", reason="pip install '.[docs]'")
from docs.notebooks import INSTALL, add_link, notebook, write_notebooks  # noqa: E402

PAGES = sorted((DOCS / "tutorial").glob("[0-9]*.md"))
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@each_page
def test_a_notebook_has_the_code_of_its_page(page: Path) -> None:
    first, *code = [cell.source for cell in notebook(page).cells if cell.cell_type == "code"]
    assert first == INSTALL
    without_magics = [re.sub(r"(?m)^%.*\n?", "", cell).strip() for cell in code]
    assert without_magics == [cell.strip() for cell in code_cells(page)]


@each_page
def test_a_notebook_is_valid_and_has_neither_directives_nor_links_to_files(page: Path) -> None:
    made = notebook(page)
    nbformat.validate(made)
    text = "\n".join(cell.source for cell in made.cells if cell.cell_type == "markdown")
    assert text.startswith("# ")
    assert re.findall(r"```\{|\{\w+\}`|^:::|\]\((?!https://).*?\)", text, re.MULTILINE) == []


def test_a_directive_that_a_notebook_cannot_show_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("---\nfile_format: mystnb\n---\n\n# Title\n\n```{figure} a.png\n:alt: a\n```\n", encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape("page.md: a notebook cannot show the directive {figure}")):
        notebook(page)


def test_the_link_of_each_page_leads_to_its_notebook(tmp_path: Path) -> None:
    write_notebooks(SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path / "site"), None)
    links = {"../notebooks/" + path.name for path in (tmp_path / "site/notebooks").iterdir()}
    found = set()
    for page in PAGES:
        content = [page.read_text(encoding="utf-8")]
        add_link(None, f"tutorial/{page.stem}", content)
        found |= set(re.findall(r'(?m)^# .*\n\n<a href="(.*?)" download>', content[0]))
    assert found == links
    assert len(links) == len(PAGES)


@pytest.mark.slow
@each_page
def test_a_notebook_runs(page: Path, tmp_path: Path) -> None:
    from nbclient import NotebookClient

    NotebookClient(notebook(page), timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
