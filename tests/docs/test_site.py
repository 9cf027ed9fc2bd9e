"""The site and the citation agree with the package."""

import re
import tomllib

import yaml

from tests.docs.pages import DOCS

ROOT = DOCS.parent


def test_every_shipped_config_is_on_its_page() -> None:
    shown = re.findall(
        r"(?m)^## (\w+)\n\n```\{literalinclude\} \.\./configs/(\w+)\.yaml$", (DOCS / "configs.md").read_text()
    )
    configs = {path.stem for path in (DOCS.parent / "configs").glob("*.yaml")}
    assert [(name, name) for name, _ in shown] == shown
    assert {name for name, _ in shown} == configs


def test_the_tests_that_hold_each_promise_exist() -> None:
    named = re.findall(r"`(tests/\S+\.py)`", (DOCS / "reliability.md").read_text(encoding="utf-8"))
    assert named
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_the_citation_has_the_version_and_the_license() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
