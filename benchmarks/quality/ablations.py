"""The contribution of each choice in configs/transformer.yaml: validation NLL on split B without it."""

import statistics

from benchmarks.quality.quality import fit_in_parallel, mean_and_deviation
from benchmarks.report import Table

ADAMW = (
    "--optimizer=torch.optim.AdamW",
    "--optimizer.lr=4e-3",
    "--optimizer.weight_decay=0.1",
    "--optimizer.betas=[0.9,0.99]",
    "--optimizer.fused=true",
)
VARIANTS = {
    "as shipped": (),
    "AdamW with lr 4e-3 instead of Muon": ADAMW,
    "no dropout": ("--model.dropout=0",),
    "no weight decay": ("--optimizer.weight_decay=0",),
    "untied output head": ("--model.tied=false",),
    "cosine learning-rate decay": ("--lr_scheduler.decay=cosine",),
    "half the steps": ("--trainer.max_steps=1400",),
}
"""Variant -> the options that produce it."""
SEEDS = 2


def run(quick: bool) -> str:
    """Train every variant, as many runs in parallel as there are cores; returns the table."""
    table = Table("configs/transformer.yaml", "seeds", "validation NLL", "lowest", "highest", "seconds on one core")
    short = ["--trainer.max_steps=20"] if quick else []
    for variant, options in VARIANTS.items():
        results = fit_in_parallel([("transformer", "B", seed) for seed in range(SEEDS)], *options, *short)
        val = [result.val for result in results]
        seconds = statistics.median(result.seconds for result in results)
        table.add(variant, SEEDS, mean_and_deviation(val), f"{min(val):.4f}", f"{max(val):.4f}", f"{seconds:.0f}")
    return f"## Ablations\n\n{table}\n"
