"""Lines with labels from a file to a classifier: training, resuming and fine-tuning, as a user would."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

import sequentia
from sequentia import UserError

SMALL: dict[str, Any] = {"accelerator": "cpu", "data__val_fraction": 0, "data__test_fraction": 0}
PAIRS = [("up", text) for text in ("aab", "ab", "aaab", "abb")] + [("down", text) for text in ("ba", "bba", "baa")]


@pytest.fixture(autouse=True)
def _cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_pairs_of_label_and_line_make_a_model_that_knows_them_apart() -> None:
    model = sequentia.fit([*PAIRS, ("", "b"), ("down", 'b,"a')], config="ngram", **SMALL)
    assert model.vocabulary.plain == {"characters": '",ab', "labels": {"": 1, "down": 4, "up": 4}}
    up, down = model.classify(["aab", "bba"])
    assert next(iter(up)) == "up"
    assert next(iter(down)) == "down"
    assert all(text.startswith("a") for text in model.sample(20, label="up", seed=1, top_k=1))
    with pytest.raises(UserError, match="a line, or a pair of a label and a line, got"):
        sequentia.fit(cast(Any, [("up", "ab", "c")]), **SMALL)


def test_a_mixture_learns_labels_and_a_run_resumes_with_them_alone(
    write: Callable[..., str], command: Callable[..., Any]
) -> None:
    table = "kind,text,side\n" + "".join(f"{kind},{text},{len(text) % 2}\n" for kind, text in PAIRS * 4)
    path = write(table.encode(), "t.csv")
    members = [{"architecture": "MLP", "n_hidden": 8}, {"architecture": "NGram"}]
    columns = {"data__column": "text", "data__label": "kind"}
    options = SMALL | columns | {"model": "Mixture", "model__members": members, "max_steps": 2, "extra_metrics": False}
    model = sequentia.fit(path, **options)
    assert model.vocabulary.labels == ("down", "up")
    resumed = sequentia.fit(ckpt_path="checkpoints/mixture", max_steps=4)
    assert resumed.vocabulary == model.vocabulary
    ended = command("fit", "--ckpt_path", "checkpoints/mixture", "--data.label", "side", "--trainer.max_steps", 6)
    assert ended.code == 2
    assert "only the data has the labels '0, 1', only the model has the labels 'down, up'" in ended.err


def test_fine_tuning_adds_labels_and_drops_them() -> None:
    options = SMALL | {"max_steps": 2, "extra_metrics": False}
    sequentia.fit([text for _, text in PAIRS], config="gru", default_root_dir="plain", **options)
    labelled = sequentia.fit(PAIRS, init_from="plain", default_root_dir="labelled", **options)
    assert labelled.vocabulary.labels == ("down", "up")
    again = sequentia.fit([text for _, text in PAIRS], init_from="labelled", default_root_dir="again", **options)
    assert again.vocabulary.labels == ()
    assert again.sample(3, seed=1)
