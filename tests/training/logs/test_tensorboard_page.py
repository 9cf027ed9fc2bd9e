"""TensorBoard opens on the loss and the samples, and its other tabs show what a run is and what it reached."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.wait import WebDriverWait

from sequentia.cli import main
from tests.conftest import DRAWING, NAMES

TEXT = """
const texts = [];
const visit = (node) => {
  if (node.nodeType === Node.TEXT_NODE) texts.push(node.textContent);
  if (['STYLE', 'SCRIPT', 'TEMPLATE', 'DOM-MODULE'].includes(node.nodeName)) return;
  if (node.shadowRoot) node.shadowRoot.childNodes.forEach(visit);
  if (node.nodeName === 'IFRAME') visit(node.contentDocument.body);
  node.childNodes.forEach(visit);
};
visit(document.body);
return texts.map((text) => text.trim()).filter((text) => text).join('\\n');
"""
"""The text of a page, with that of its web components, which a browser leaves out of `innerText`."""

IMAGES = """
const found = [];
const visit = (node) => {
  if (node.nodeName === 'IMG' && node.naturalWidth > 0) found.push([node.naturalWidth, node.naturalHeight]);
  if (node.shadowRoot) node.shadowRoot.childNodes.forEach(visit);
  node.childNodes.forEach(visit);
};
visit(document.body);
return found;
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a finished run of a Transformer and one of a counted bigram, which is tested."""
    home = tmp_path_factory.mktemp("home")
    (home / "names.txt").write_text("".join(f"{name}\n" for name in NAMES))
    (home / "val.txt").write_text("mila\nlia\n")
    common = [f"--data.path={home}/names.txt", f"--data.val_path={home}/val.txt", f"--data.test_path={home}/val.txt"]
    common += ["--trainer.accelerator=cpu", "--trainer.max_steps=4"]
    with pytest.MonkeyPatch.context() as patch:
        for callback, hook in DRAWING.items():
            patch.setattr(callback, "on_fit_end", hook)
        for name, model in (("large", "Transformer"), ("small", "BigramCounts")):
            assert main(["fit", "--model", model, *common, f"--trainer.default_root_dir={home}/runs/{name}"]) == 0
    assert main(["test", f"--ckpt_path={home}/runs/small/version_0"]) == 0
    return home / "runs"


@pytest.fixture(scope="module")
def address(runs: Path) -> Iterator[str]:
    """Address of a TensorBoard that shows the runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(runs), "--host=127.0.0.1", f"--port={port}"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}/"
        for _ in range(600):
            try:
                if b"small" in urlopen(f"{address}data/runs", timeout=10).read():
                    break
            except URLError:
                assert server.poll() is None
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def shown(browser: Chrome, address: str) -> Callable[..., str]:
    """The text of a tab, as soon as it has these texts."""

    def shown(tab: str, *texts: str) -> str:
        browser.set_window_size(1500, 1200)
        browser.get("about:blank")
        browser.get(f"{address}#{tab}")
        found = ""

        def complete(_: Chrome) -> bool:
            nonlocal found
            found = browser.execute_script(TEXT)
            return all(text in found for text in texts)

        try:
            WebDriverWait(browser, 20).until(complete)
        except Exception as error:
            raise AssertionError(f"{[text for text in texts if text not in found]} not in {found}") from error
        return found

    return shown


@pytest.mark.parametrize("tab", ["timeseries", "scalars"])
def test_the_loss_is_shown_first_the_samples_second_and_the_epoch_in_the_last_group(
    shown: Callable[..., str], tab: str
) -> None:
    groups = ("loss", "samples", "summary", "train", "val", "vitals")
    lines = shown(tab, *groups, "large/version_0/val").splitlines()
    first = [lines.index(group) for group in groups]
    assert first == sorted(first)
    assert "vitals/epoch" not in lines[: first[-1]]
    assert "epoch" not in lines


def test_hparams_has_a_row_for_each_run_with_its_options_and_results(shown: Callable[..., str], runs: Path) -> None:
    lines = shown("hparams", "large/version_0", "small/version_0", "Transformer", "BigramCounts").splitlines()
    table = lines[lines.index("Trial ID") :]
    names = [name for name in table if name.startswith(("model", "trainer.", "seed", "data.", "summary/"))]
    assert names[:5] == ["data.path", "model", "model.n_layer", "seed_everything", "trainer.max_steps"]
    assert names[5:9] == [f"summary/{name}" for name in ("val_loss", "test_loss", "samples_novel", "samples_unique")]
    large, small = (table.index(f"{name}/version_0") for name in ("large", "small"))
    assert large < table.index("Transformer") < small < table.index("BigramCounts")


def test_text_has_options_data_and_samples(shown: Callable[..., str]) -> None:
    shown("text", "about", "samples", "class_path: sequentia.Transformer", "train 10, val 2, test 2", "split")


def test_images_are_of_a_size_that_can_be_read(shown: Callable[..., str], browser: Chrome) -> None:
    found = shown("images", "view/attention_1", "view/calibration", "view/next_character", "view/nll_by_position")
    assert "large/version_0" in found
    sizes = WebDriverWait(browser, 20).until(lambda _: browser.execute_script(IMAGES))
    assert all(300 <= width <= 900 and 300 <= height <= 900 for width, height in sizes)


def test_the_projector_has_the_characters_as_labels(shown: Callable[..., str], runs: Path, browser: Chrome) -> None:
    shown("projector", "characters:00003")
    labels = (runs / "large/version_0/00003/characters/metadata.tsv").read_text().split()
    assert labels == ["boundary", *sorted({*"".join(NAMES), *"milalia"})]
    shown("projector", f"Points:\n{len(labels)}\n", "Dimension:\n64", "label")


def test_the_charts_of_custom_scalars_are_grouped(shown: Callable[..., str]) -> None:
    shown("custom_scalars", "training and validation", "new and distinct", "learning rates", "gradient norm", "speed")
