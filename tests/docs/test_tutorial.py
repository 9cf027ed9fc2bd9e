"""On names.txt, the tutorial's pages show the numbers that it gives. The build of the site runs all of them."""

import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch

from benchmarks.commands import architectures
from benchmarks.quality.curves import FILE, STEPS, source
from sequentia.models import Bigram
from tests.docs.pages import DOCS, run_page

TUTORIAL = DOCS / "tutorial"
SEED = 2147483647
NUMBERS = re.findall(r"(?m)^\| \[\d\]\((\S+\.md)\) \| (.+?) \| `(.+?)` \|$", (TUTORIAL / "names-txt.md").read_text())
"""Rows of the table of numbers: page, description, and the text that the page prints."""


@pytest.fixture(autouse=True)
def _no_windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Figures are drawn to memory, and pages that train write to a directory of their own."""
    mpl.use("Agg")
    monkeypatch.chdir(tmp_path)
    yield
    plt.close("all")


@pytest.mark.parametrize("page", sorted({page for page, _, _ in NUMBERS}))
def test_the_page_shows_the_numbers_of_names_txt(page: str, names_txt: str, tmp_path: Path) -> None:
    """A file called `names` wins over the packaged dataset."""
    (tmp_path / "names").symlink_to(names_txt)
    _, output = run_page(TUTORIAL / page)
    for other, what, text in NUMBERS:
        if other == page and text not in output:
            pytest.fail(f"{what}: {text} is not in the output:\n{output}")


class TestClaims:
    """The text of a page agrees with the results of its cells, on any data."""

    def test_normalized_rows_sum_to_one_and_the_wrong_ones_do_not(self) -> None:
        variables, _ = run_page(TUTORIAL / "04-normalizing.md")
        ones = torch.ones(27)
        torch.testing.assert_close(variables["P"].sum(1), ones)
        torch.testing.assert_close(variables["wrong"].sum(0), ones)
        assert (variables["wrong"].sum(1) - 1).abs().max() > 1

    def test_descent_on_the_counts_ends_at_the_counted_table(self) -> None:
        """Which names come from the trained table after 200 and 1,000 steps, and how close it is to the counted one."""
        variables, _ = run_page(TUTORIAL / "03-sampling.md")
        counts = variables["N"].double()
        frequencies, target = counts / counts.sum(), counts / counts.sum(1, keepdim=True)
        W = torch.randn(27, 27, generator=torch.Generator().manual_seed(SEED)).double()
        distances, second_names = [], []
        model = Bigram(variables["data"].vocabulary.characters, 16)
        for step in range(1, 10_001):
            W -= 50 * (frequencies.sum(1, keepdim=True) * W.softmax(1) - frequencies)
            if step in {200, 1_000, 10_000}:
                distances.append(float((frequencies.sum(1) * (W.softmax(1) - target).abs().sum(1)).sum()))
                model.load_state_dict({"logits.weight": W.float()}, strict=False)
                second_names.append(model.sample(10, seed=SEED, batch_size=1)[1])
        assert second_names == ["momasurailezityha", "momasurailezitynn", "momasurailezitynn"]
        assert distances[0] > distances[1] > distances[2]
        assert distances[2] < 0.01

    @pytest.mark.slow
    def test_after_100_steps_order_and_attention_are_ahead_and_memory_is_not(self) -> None:
        """What chapters 8 to 11 say about the models that they train."""
        nlls: dict[str, float] = {}
        for page in ("08-context.md", "09-memory.md", "10-attention.md", "11-counting-again.md"):
            variables, _ = run_page(TUTORIAL / page)
            nlls |= {config: nll for config, (_, nll) in variables["short"].items()}
        ngram = runpy.run_path(str(FILE))["CURVES"]["ngram"][0]
        networks = ["cnn", "transformer", "mlp", "gru", "bow", "rnn", "lstm"]
        assert sorted(nlls, key=lambda config: nlls[config]) == ["mixture", *networks]
        assert nlls["mixture"] < ngram < nlls["cnn"]


class TestCurves:
    """What the pages say about the full trainings is true of the file of the benchmark."""

    CURVES: dict[str, list[float]] = runpy.run_path(str(FILE))["CURVES"]

    def at(self, step: int) -> dict[str, float]:
        """The networks' NLLs after a step."""
        return {config: nlls[STEPS.index(step)] for config, nlls in self.CURVES.items() if len(nlls) > 1}

    def test_the_file_is_as_the_benchmark_writes_it_and_has_every_config(self) -> None:
        assert FILE.read_text() == source(self.CURVES)
        assert self.CURVES.keys() == architectures().keys()

    def test_each_kind_of_context_helps_in_the_end(self) -> None:
        ranking = ["mixture", "transformer", "cnn", "mlp", "lstm", "gru", "ngram", "rnn", "bow"]
        last = {config: nlls[-1] for config, nlls in self.CURVES.items()}
        assert sorted(last, key=lambda config: last[config])[:-2] == ranking
        assert last["lstm"] - last["mlp"] < 0.01  # slightly ahead

    def test_the_transformer_is_behind_the_cnn_for_most_of_the_training(self) -> None:
        behind = [step for step in STEPS if self.at(step)["transformer"] > self.at(step)["cnn"]]
        assert (behind[0], behind[-1]) == (150, 1_600)

    def test_the_transformer_crosses_the_line_of_the_ngrams_and_the_mixture_is_below_both(self) -> None:
        ngram = self.CURVES["ngram"][0]
        assert self.at(800)["transformer"] > ngram > self.at(1_200)["transformer"]
        for step in STEPS:
            assert self.at(step)["mixture"] < min(ngram, self.at(step)["transformer"])
        assert min(nll for config, nll in self.at(100).items() if config != "mixture") > ngram


@pytest.mark.parametrize("page", sorted(TUTORIAL.glob("[0-9]*.md")), ids=lambda page: page.stem)
class TestPages:
    """Each chapter has what all of them promise."""

    def test_a_chapter_ends_with_exercises_whose_answers_are_folded(self, page: Path) -> None:
        if page.stem == "14-what-next":
            pytest.skip("the closing page")
        exercises = page.read_text(encoding="utf-8").partition("\n## Exercises\n")[2].partition("\n## ")[0]
        numbers = re.findall(r"(?m)^\*\*(\d)\.\*\* ", exercises)
        assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
        assert len(numbers) in {2, 3}
        folded = r"(?m)^```\{code-cell\}\n:tags: \[hide-cell\]\n:mystnb: \{code_prompt_show: Answer,"
        assert len(re.findall(folded, exercises)) == len(numbers) == exercises.count("{code-cell}")

    def test_a_picture_has_an_alternative_text(self, page: Path) -> None:
        cells = re.findall(r"(?ms)^```\{code-cell\}\n(.*?)^```$", page.read_text(encoding="utf-8"))
        pictures = [cell for cell in cells if re.search(r"(?m)^(draw\w*|chart|diagram)\(|^figure, axes = ", cell)]
        assert [cell for cell in pictures if "image: {alt: " not in cell] == []
