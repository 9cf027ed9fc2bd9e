"""The package offers its public names without importing anything slow before they are used."""

import pydoc
import subprocess
import sys

import pytest

import sequentia
from sequentia.inference.sampling import generate
from sequentia.inference.scoring import score
from sequentia.models import ARCHITECTURES, LanguageModel
from sequentia.runs.checkpoint import load


@pytest.mark.parametrize("name", sequentia.__all__)
def test_every_public_name_can_be_imported_and_is_listed_by_dir(name: str) -> None:
    namespace: dict[str, object] = {}
    exec(f"from sequentia import {name}", namespace)
    assert namespace[name] is getattr(sequentia, name)
    assert name in dir(sequentia)


def test_a_public_name_is_the_object_of_its_module() -> None:
    assert sequentia.ARCHITECTURES is ARCHITECTURES
    assert sequentia.LanguageModel is LanguageModel
    assert sequentia.generate is generate
    assert sequentia.load is load
    assert sequentia.Transformer is ARCHITECTURES["Transformer"]
    assert sequentia.score is score


def test_every_architecture_is_a_public_name() -> None:
    assert set(ARCHITECTURES) <= set(sequentia.__all__)


def test_dir_lists_the_public_names_and_nothing_else() -> None:
    assert [name for name in dir(sequentia) if not name.startswith("__")] == sorted(sequentia.__all__)


def test_help_shows_functions_and_architectures() -> None:
    text = pydoc.plain(pydoc.render_doc(sequentia))
    for line in ("    fit(", "    load(", "    class Transformer(", "    class CharDataModule("):
        assert f"\n{line}" in text


def test_an_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'sequentia' has no attribute 'nonsense'"):
        sequentia.nonsense  # noqa: B018


def test_importing_the_package_and_listing_its_names_imports_no_torch() -> None:
    program = "import sys, sequentia; dir(sequentia); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
