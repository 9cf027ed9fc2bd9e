"""An exported directory comes back bit-identical; a directory from a stranger is refused in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sequentia.errors import UserError
from sequentia.export import export_gpt2
from sequentia.export.importing import import_gpt2
from sequentia.models import LanguageModel, Transformer
from sequentia.runs.loading import build_model
from sequentia.text import printable
from tests.conftest import CommandResult
from tests.export.models import CHARACTERS, perturbed

Command = Callable[..., CommandResult]


def small(**options: Any) -> LanguageModel:
    """The same model each time."""
    torch.manual_seed(0)
    return perturbed(Transformer(CHARACTERS, 7, **{"n_layer": 2, "n_head": 2, "n_embd": 8, "dropout": 0.25} | options))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    export_gpt2(small(), tmp_path / "gpt2")
    return tmp_path / "gpt2"


def imported(directory: Path) -> LanguageModel:
    return build_model(import_gpt2(directory), directory)


def edit(path: Path, *keys: Any, value: Any) -> None:
    """Change one value of a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    part = content
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("tied", [True, False])
def test_export_and_import_change_no_bit(tmp_path: Path, tied: bool) -> None:
    model = small(tied=tied)
    export_gpt2(model, tmp_path / "gpt2")
    again = imported(tmp_path / "gpt2")
    assert dict(again.hparams) == dict(model.hparams)
    for (name, before), after in zip(model.state_dict().items(), again.state_dict().values(), strict=True):
        assert torch.equal(before, after), name


@torch.no_grad()
def test_tokens_in_another_order_keep_their_meaning(directory: Path) -> None:
    """Also a WordLevel tokenizer, weights without prefix and the masks of old files."""
    model, ids = imported(directory), torch.tensor([3, 0, 8, 1, 7, 2, 6, 4, 5])  # new id -> old id
    weights = {name.removeprefix("transformer."): w for name, w in load_file(directory / "model.safetensors").items()}
    weights["wte.weight"] = weights["wte.weight"][ids]
    weights["h.0.attn.bias"] = torch.ones(1, 1, 7, 7)
    save_file(weights, directory / "model.safetensors")
    tokens = ["<boundary>", *CHARACTERS]
    vocabulary = {tokens[old]: new for new, old in enumerate(ids.tolist())}
    edit(directory / "tokenizer.json", "model", value={"type": "WordLevel", "vocab": vocabulary, "unk_token": "?"})
    for name in ("bos_token_id", "eos_token_id"):
        edit(directory / "config.json", name, value=1)
    again = imported(directory)
    assert again.vocabulary == model.vocabulary
    context = torch.randint(0, 9, (3, 7))
    assert torch.equal(again(context), model(context))


def test_half_precision_is_kept_exactly(directory: Path) -> None:
    path = directory / "model.safetensors"
    half = {name: weight.half() for name, weight in load_file(path).items()}
    save_file(half, path)
    again = imported(directory).state_dict()
    assert torch.equal(again["token_embedding.weight"], half["transformer.wte.weight"].float())


def test_a_model_made_by_transformers_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers = pytest.importorskip("transformers")
    export_gpt2(small(), tmp_path / "gpt2")  # for its tokenizer
    options = {"vocab_size": 9, "n_positions": 5, "n_embd": 6, "n_layer": 1, "n_head": 3, "attn_pdrop": 0.0}
    config = transformers.GPT2Config(**options, bos_token_id=0, eos_token_id=0)
    theirs = transformers.GPT2LMHeadModel(config).eval()
    theirs.save_pretrained(tmp_path / "gpt2")
    ours = imported(tmp_path / "gpt2")
    context = torch.randint(0, 9, (2, 5))
    with torch.no_grad():
        torch.testing.assert_close(ours(context), theirs(context).logits, atol=1e-5, rtol=1e-5)


def test_dropout_that_is_not_imported_is_reported(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    edit(directory / "config.json", "attn_pdrop", value=0.1)
    imported(directory)
    (record,) = caplog.records
    assert "attn_pdrop are not imported" in record.getMessage()


CONFIGS = {
    "model_type": "llama",
    "activation_function": "relu",
    "layer_norm_epsilon": 1e-6,
    "scale_attn_by_inverse_layer_idx": True,
    "add_cross_attention": True,
    "quantization_config": {"bits": 4},
    "n_layer": 10**9,
    "n_embd": 2**40,
    "n_positions": "7",
    "n_head": 3,
    "n_inner": 9,
    "vocab_size": 10,
    "tie_word_embeddings": "yes",
    "resid_pdrop": 1,
    "eos_token_id": 5,
    "bos_token_id": None,
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_is_not_a_transformers_is_refused(directory: Path, name: str) -> None:
    edit(directory / "config.json", name, value=CONFIGS[name])
    with pytest.raises(UserError, match=f"cannot import .*{name if name not in ('n_layer',) else 'too small'}"):
        import_gpt2(directory)


TOKENIZERS: list[tuple[tuple[str, ...], Any, str]] = [
    (("model",), 5, "no vocabulary"),
    (("model", "vocab"), [["a", 0]], "no vocabulary"),
    (("model", "merges"), ["a b"], "not single characters"),
    (("model", "type"), "Unigram", "not single characters"),
    (("model", "byte_fallback"), True, "not a plain table"),
    (("normalizer",), {"type": "Lowercase"}, "normalizes texts"),
    (("model", "vocab", "a"), 99, "are not 0 to 8"),
    (("model", "vocab", "a"), "4", "are not 0 to 8"),
    (("model", "vocab", "ab"), 9, "one token that is not a character"),
    (("added_tokens",), [{"id": 9, "content": "<pad>"}], "adds tokens"),
    (("added_tokens",), 7, "not a list"),
]


@pytest.mark.parametrize(("keys", "value", "message"), TOKENIZERS)
def test_a_tokenizer_of_another_kind_is_refused(
    directory: Path, keys: tuple[str, ...], value: Any, message: str
) -> None:
    edit(directory / "tokenizer.json", *keys, value=value)
    with pytest.raises(UserError, match=message):
        import_gpt2(directory)


def test_half_a_surrogate_pair_is_not_a_character(directory: Path) -> None:
    path = directory / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8").replace("😀", "\\ud83d"), encoding="utf-8")
    with pytest.raises(UserError, match="half a surrogate pair"):
        import_gpt2(directory)


Weights = dict[str, torch.Tensor]
WEIGHTS: dict[str, tuple[Callable[[Weights], Any], str]] = {
    "missing": (lambda w: w.pop("transformer.ln_f.bias"), "lacks weights"),
    "more": (lambda w: w.update({"transformer.x": torch.zeros(1)}), "has others, such as 'x'"),
    "shape": (lambda w: w.update({"transformer.wpe.weight": torch.zeros(8, 8)}), r"is \[8, 8\], not \[7, 8\]"),
    "type": (lambda w: w.update({"transformer.ln_f.bias": torch.zeros(8).double()}), "got torch.float64"),
    "NaN": (lambda w: w["transformer.ln_f.bias"].fill_(torch.nan), "infinite or NaN"),
    "head": (lambda w: w.update({"lm_head.weight": torch.zeros(9, 8)}), "differs from wte.weight"),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_that_do_not_match_the_config_are_refused(directory: Path, kind: str) -> None:
    change, message = WEIGHTS[kind]
    weights = load_file(directory / "model.safetensors")
    change(weights)
    save_file(weights, directory / "model.safetensors")
    with pytest.raises(UserError, match=message):
        import_gpt2(directory)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff" * 10_000, b"\xff\xff\xff\xff\x00\x00\x00\x00" + b"{" * 9_999])
def test_a_damaged_file_is_refused(directory: Path, content: bytes) -> None:
    (directory / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"model\.safetensors is (damaged|too small)"):
        import_gpt2(directory)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, "1" * 10_000, "[]"])
def test_a_file_that_is_no_json_mapping_is_refused(directory: Path, name: str, content: str) -> None:
    (directory / name).write_text(content)
    with pytest.raises(UserError, match="cannot import"):
        import_gpt2(directory)


class TestCommand:
    def test_it_writes_a_run_that_every_command_takes(
        self, command: Command, directory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.chdir(tmp_path)
        result = command("import", directory)
        assert (result.code, result.out) == (0, "checkpoints/imported/version_0/best.ckpt\n")
        assert result.err.startswith(f"imported {directory}: a Transformer of 2 layers")
        lines = command("sample", "--num_samples", "5", "--seed", "1").out.splitlines()
        assert lines == [printable(line) for line in small().sample(5, seed=1)]
        assert command("export", "--format", "gpt2", "again").code == 0
        for name in ("model.safetensors", "config.json", "tokenizer.json"):
            assert (tmp_path / "again" / name).read_bytes() == (directory / name).read_bytes()

    def test_it_overwrites_nothing(self, command: Command, directory: Path, tmp_path: Path) -> None:
        out = tmp_path / "a.ckpt"
        assert command("import", directory, out).code == 0
        before = out.read_bytes()
        result = command("import", directory, out)
        assert (result.code, result.out) == (2, "")
        assert result.err == f"sequentia: {out} exists already: give another name\n"
        assert out.read_bytes() == before

    @pytest.mark.parametrize("missing", ["", "config.json", "tokenizer.json", "model.safetensors"])
    def test_a_directory_without_a_model_leaves_no_run(
        self, command: Command, directory: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        if missing:
            (directory / missing).unlink()
        result = command("import", directory if missing else "nowhere")
        assert (result.code, result.out) == (2, "")
        assert f"no {missing or 'directory nowhere'}" in result.err
        assert result.err.count("\n") == 1
        assert not (tmp_path / "checkpoints").exists()
