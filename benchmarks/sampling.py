"""Sampling: sequentia against re-running the whole prefix, and against Hugging Face `generate` with its cache."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.report import Table
from sequentia.checkpoint import load_model
from sequentia.cli import main
from sequentia.models import LanguageModel, Transformer
from sequentia.sampling import generate

CONFIGS = Path(__file__).parents[1] / "configs"


def trained(root: str, quick: bool) -> Path:
    """A run of the transformer."""
    steps = 60 if quick else 300  # enough for names of natural length: what sampling costs depends on that
    code = main(
        [
            "fit",
            f"--config={CONFIGS}/transformer.yaml",
            f"--trainer.max_steps={steps}",
            f"--trainer.val_check_interval={steps}",
            f"--trainer.default_root_dir={root}",
            "--trainer.accelerator=cpu",
        ]
    )
    assert code == 0
    return Path(root) / "version_0"


@torch.inference_mode()
def prefix(model: LanguageModel, num_samples: int, batch_size: int) -> int:
    """Names drawn as textbooks do: the whole prefix again at each character; returns how many."""
    for start in range(0, num_samples, batch_size):
        rows = min(batch_size, num_samples - start)
        context = torch.zeros(rows, 1, dtype=torch.long)
        ended = torch.zeros(rows, dtype=torch.bool)
        while not ended.all() and context.shape[1] < model.context_length:
            probs = model(context)[:, -1].softmax(1)
            token = torch.multinomial(probs, 1)
            ended |= token[:, 0] == 0
            context = torch.cat((context, token), 1)
    return num_samples


def hugging_face(model: Transformer) -> Any:
    """The same weights as a `GPT2LMHeadModel`."""
    from transformers import GPT2LMHeadModel

    from sequentia.export import export_gpt2

    with tempfile.TemporaryDirectory() as root:
        export_gpt2(model, Path(root) / "gpt2")
        return GPT2LMHeadModel.from_pretrained(Path(root) / "gpt2").eval()


@torch.inference_mode()
def cached(model: Any, num_samples: int, batch_size: int) -> int:
    """Names drawn by Hugging Face `generate` with its cache; returns how many."""
    for start in range(0, num_samples, batch_size):
        rows = min(batch_size, num_samples - start)
        model.generate(
            torch.zeros(rows, 1, dtype=torch.long),
            attention_mask=torch.ones(rows, 1, dtype=torch.long),
            do_sample=True,
            top_k=0,
            max_length=model.config.n_positions,
            eos_token_id=0,
            pad_token_id=0,
            use_cache=True,
        )
    return num_samples


def ours(model: LanguageModel, num_samples: int, batch_size: int) -> int:
    """Names drawn by sequentia; returns how many."""
    return sum(1 for _ in generate(model, num_samples, batch_size=batch_size))


def rate(draw: Callable[[], int]) -> float:
    """Names per second."""
    start = time.perf_counter()
    return draw() / (time.perf_counter() - start)


def run(quick: bool) -> str:
    """Measure; returns the tables."""
    rounds, number, batch_sizes = (1, 2_000, (1000,)) if quick else (5, 10_000, (1000, 5000, 10_000))
    with tempfile.TemporaryDirectory() as root:
        where = trained(root, quick)
        model = load_model(where / "best.ckpt")
        assert isinstance(model, Transformer)
        gpt2 = hugging_face(model)
        table = Table("sampling", "batch", "names / s", "sequentia is faster by", "aim")
        for batch_size in batch_sizes:
            draws: dict[str, Callable[[], int]] = {
                "sequentia": partial(ours, model, number, batch_size),
                "whole prefix at each character": partial(prefix, model, number, batch_size),
                "Hugging Face generate, cache": partial(cached, gpt2, number, batch_size),
            }
            rates: dict[str, list[float]] = {name: [] for name in draws}
            for _ in range(rounds):
                for name, draw in draws.items():
                    rates[name].append(rate(draw))
            median = {name: statistics.median(each) for name, each in rates.items()}
            for name, aim in zip(draws, ("", ">= 10", ">= 4"), strict=True):
                row = (f"{name}, {number:,} names", f"{batch_size:,}", f"{median[name]:,.0f}")
                table.add(*row, median["sequentia"] / median[name], aim)
        memory = Table("`sequentia sample --num_samples`", "peak memory, MiB")
        for count in (10_000, 20_000 if quick else 100_000):
            memory.add(f"{count:,}", f"{peak_memory(where, count):.0f}")
    return f"## Sampling\n\n{table}\n\n{memory}\n"


def peak_memory(where: Path, count: int) -> float:
    """Peak resident memory of the command that draws `count` names, in MiB."""
    program = (
        "import sys; from benchmarks.memory import peak; from sequentia.cli import main; code = main(sys.argv[1:]);"
        "print(peak(), file=sys.stderr); sys.exit(code)"
    )
    arguments = ["sample", f"--ckpt_path={where}", f"--num_samples={count}"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == count
    return int(done.stderr.split()[-1]) / 2**20
