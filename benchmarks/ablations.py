"""What each choice in configs/transformer.yaml is worth: validation NLL of split B without it."""

import statistics

from benchmarks.quality import side_by_side, spread
from benchmarks.report import Table

ADAMW = (
    "--optimizer=torch.optim.AdamW",
    "--optimizer.lr=4e-3",
    "--optimizer.weight_decay=0.1",
    "--optimizer.betas=[0.9,0.99]",
    "--optimizer.fused=true",
)
CASES = {
    "as shipped": (),
    "AdamW at 4e-3 in place of Muon": ADAMW,
    "no dropout": ("--model.dropout=0",),
    "no weight decay": ("--optimizer.weight_decay=0",),
    "an output head of its own": ("--model.tied=false",),
    "cosine decay of the rate": ("--lr_scheduler.decay=cosine",),
    "half as many steps": ("--trainer.max_steps=1400",),
}
"""What is different, and the options that make it so."""
SEEDS = 2


def run(quick: bool) -> str:
    """Train with each difference, as many runs at a time as there are cores; returns the table."""
    table = Table("configs/transformer.yaml", "seeds", "validation NLL", "lowest", "highest", "seconds on one core")
    short = ["--trainer.max_steps=20"] if quick else []
    for what, options in CASES.items():
        done = side_by_side([("transformer", "B", seed) for seed in range(SEEDS)], *options, *short)
        val = [trained.val for trained in done]
        seconds = statistics.median(trained.seconds for trained in done)
        table.add(what, SEEDS, spread(val), f"{min(val):.4f}", f"{max(val):.4f}", f"{seconds:.0f}")
    return f"## Ablations\n\n{table}\n"
