"""The package offers its public names without importing anything slow before they are used."""

import subprocess
import sys

import pytest

import sequentia
from sequentia.loading import load_model
from sequentia.models import ARCHITECTURES, LanguageModel
from sequentia.sampling import generate
from sequentia.scoring import score


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
    assert sequentia.load_model is load_model
    assert sequentia.score is score


def test_an_unknown_name_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'sequentia' has no attribute 'nonsense'"):
        sequentia.nonsense  # noqa: B018


def test_importing_the_package_and_listing_its_names_imports_no_torch() -> None:
    program = "import sys, sequentia; dir(sequentia); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
