"""Sampling speed: sequentia, recomputing the full prefix, and Hugging Face `generate` with its KV cache."""

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

from benchmarks.commands import fit_here
from benchmarks.report import Table
from sequentia.inference.sampling import generate
from sequentia.models import LanguageModel, Transformer
from sequentia.runs.checkpoint import load


def train_transformer(root: str, quick: bool) -> Path:
    """Train the shipped transformer briefly; returns the run directory."""
    # Enough for names of realistic length, on which the cost of sampling depends.
    return fit_here(Path(root), "transformer", 60 if quick else 300)


@torch.inference_mode()
def sample_full_prefix(model: LanguageModel, num_samples: int, batch_size: int) -> int:
    """Sample as tutorials do, running the full prefix through the model for every character.

    Returns:
        The number of samples, as all samplers below do.
    """
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
def sample_hugging_face(model: Any, num_samples: int, batch_size: int) -> int:
    """Sample with Hugging Face `generate` and its KV cache."""
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


def sample_sequentia(model: LanguageModel, num_samples: int, batch_size: int) -> int:
    """Sample with `sequentia.inference.sampling.generate`."""
    return sum(1 for _ in generate(model, num_samples, batch_size=batch_size))


def samples_per_second(sample: Callable[[], int]) -> float:
    """Samples per second of wall time."""
    start = time.perf_counter()
    return sample() / (time.perf_counter() - start)


def run(quick: bool) -> str:
    """Measure; returns the tables."""
    rounds, number, batch_sizes = (1, 2_000, (1000,)) if quick else (5, 10_000, (1000, 5000, 10_000))
    with tempfile.TemporaryDirectory() as root:
        run_dir = train_transformer(root, quick)
        model = load(run_dir / "best.ckpt")
        assert isinstance(model, Transformer)
        gpt2 = hugging_face(model)
        table = Table("sampler", "batch", "names per second", "speedup of sequentia")
        for batch_size in batch_sizes:
            samplers: dict[str, Callable[[], int]] = {
                "sequentia": partial(sample_sequentia, model, number, batch_size),
                "full prefix for each character": partial(sample_full_prefix, model, number, batch_size),
                "Hugging Face generate, KV cache": partial(sample_hugging_face, gpt2, number, batch_size),
            }
            rates: dict[str, list[float]] = {name: [] for name in samplers}
            for _ in range(rounds):
                for name, sampler in samplers.items():
                    rates[name].append(samples_per_second(sampler))
            median = {name: statistics.median(each) for name, each in rates.items()}
            for name in samplers:
                row = (f"{name}, {number:,} names", f"{batch_size:,}", f"{median[name]:,.0f}")
                table.add(*row, median["sequentia"] / median[name])
        memory = Table("`sequentia sample --num_samples`", "peak memory, MiB")
        for num_samples in (10_000, 20_000 if quick else 100_000):
            memory.add(f"{num_samples:,}", f"{peak_memory(run_dir, num_samples):.0f}")
    return f"## Sampling\n\n{table}\n\n{memory}\n"


def peak_memory(run_dir: Path, num_samples: int) -> float:
    """Peak resident memory of `sequentia sample`, in MiB."""
    program = (
        "import sys; from benchmarks.speed.memory import peak; from sequentia.cli import main; "
        "code = main(sys.argv[1:]); print(peak(), file=sys.stderr); sys.exit(code)"
    )
    arguments = ["sample", f"--ckpt_path={run_dir}", f"--num_samples={num_samples}"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == num_samples
    return int(done.stderr.split()[-1]) / 2**20
