"""A loss that is no number stops the run with advice, and no such weight reaches a checkpoint."""

import pytest
import torch

from sequentia.checkpoint import read_checkpoint
from tests.training.runs import ForkServer, Straight, arguments, the_run


@pytest.mark.parametrize("lr", ["1e30", "1e38"])
@pytest.mark.parametrize("every", ["1", "3"])
def test_a_run_that_diverges_stops_with_the_last_good_weights(
    fit: ForkServer, straight: Straight, lr: str, every: str
) -> None:
    cwd = straight.place(f"diverged {lr} {every}")
    options = ["--optimizer.lr", lr, "--lr_scheduler.warmup", "0", "--checkpoint.every_n_train_steps", every]
    assert fit(cwd, [*arguments("every 5 steps"), *options]) == 2
    log = (cwd / "log").read_text()
    last = log.splitlines()[-1]
    assert "Traceback" not in log
    for part in (" at step ", "learning rate ", "lower the optimizer's lr", "gradient_clip_val"):
        assert part in last
    assert "last.ckpt holds the last good weights" in last
    for path in the_run(cwd).glob("*.ckpt"):
        weights = read_checkpoint(path)["state_dict"]
        assert all(weight.isfinite().all() for weight in weights.values()), path


@pytest.mark.filterwarnings("default")  # a whole run: Lightning warns of its own code
def test_a_nan_from_outside_stops_the_step_that_meets_it(straight: Straight, monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning.pytorch import Trainer

    from sequentia.data import CharDataModule
    from sequentia.errors import UserError
    from sequentia.models import Transformer
    from sequentia.training.checkpointing import RunCheckpoint
    from sequentia.training.divergence import StopWhenDiverged

    cwd = straight.place("nan")
    data = CharDataModule(str(cwd / "lines.txt"), batch_size=16)
    model = Transformer(data.vocabulary.characters, data.context_length, n_layer=1, n_head=1, n_embd=8)
    loss = model.nll_sum
    calls = 0

    def poisoned(batch: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return loss(batch) * (float("nan") if calls == 6 else 1.0)  # type: ignore[arg-type]

    monkeypatch.setattr(model, "nll_sum", poisoned)
    checkpoint = RunCheckpoint(every_n_train_steps=1)
    checkpoint.dirpath = str(cwd / "run")
    trainer = Trainer(
        accelerator="cpu",
        max_steps=20,
        max_epochs=-1,
        logger=False,
        callbacks=[StopWhenDiverged(checkpoint), checkpoint],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )
    with pytest.raises(UserError, match="the training loss became nan at step 6"):
        trainer.fit(model, data)
    saved = read_checkpoint(cwd / "run" / "last.ckpt")
    assert saved["global_step"] == 5
    assert all(weight.isfinite().all() for weight in saved["state_dict"].values())
