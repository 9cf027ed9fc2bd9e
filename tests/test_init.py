"""The package offers its public names without importing anything slow before they are used."""

import pydoc
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import sequentia
from benchmarks.commands import architectures
from sequentia.models import ARCHITECTURES
from tests.models import test_laws

PUBLIC = vars(sequentia)["__all__"]  # the stub has none


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_can_be_imported(name: str) -> None:
    namespace: dict[str, object] = {}
    exec(f"from sequentia import {name}", namespace)
    assert namespace[name] is getattr(sequentia, name)


def test_dir_lists_the_public_names_with_every_shipped_architecture_and_nothing_else() -> None:
    assert [name for name in dir(sequentia) if not name.startswith("__")] == PUBLIC
    assert {name for name in ARCHITECTURES if "." not in name} <= set(PUBLIC)


def test_help_shows_functions_and_architectures() -> None:
    text = pydoc.plain(pydoc.render_doc(sequentia))
    for line in ("    fit(", "    load(", "    class Transformer(", "    class CharDataModule("):
        assert f"\n{line}" in text


def test_an_unknown_name_raises_attribute_error() -> None:
    name = "nonsense"
    with pytest.raises(AttributeError, match="module 'sequentia' has no attribute 'nonsense'"):
        getattr(sequentia, name)


def test_importing_the_package_and_listing_its_names_imports_no_torch_even_in_ipython() -> None:
    start = "from IPython.core.interactiveshell import InteractiveShell; InteractiveShell.instance(); "
    program = f"{start}import sys, sequentia; dir(sequentia); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_architecture_is_in_the_registry_the_laws_and_the_benchmarks_when_it_is_defined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(
        "from abc import abstractmethod\n"
        "from sequentia import Bigram\n"
        "class Own(Bigram): ...\n"
        "class Abstract(Bigram):\n"
        "    @abstractmethod\n"
        "    def unknown(self): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    try:
        own = import_module("own")
        assert sequentia.ARCHITECTURES["own.Own"] is own.Own
        for names in (sequentia.ARCHITECTURES, test_laws.ARCHITECTURES, architectures().values()):
            assert [name for name in names if "own" in name] == ["own.Own"]
    finally:
        ARCHITECTURES.pop("own.Own", None)
