"""Transformer -> a directory that Hugging Face transformers loads as GPT-2."""

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from sequentia.errors import UserError
from sequentia.export.card import model_card
from sequentia.export.output import creating, optional_module
from sequentia.export.tokenizer import tokenizer_config, tokenizer_json
from sequentia.models import LanguageModel, Transformer
from sequentia.vocabulary import BOUNDARY

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"


def export_gpt2(model: LanguageModel, out: Path, checkpoint: Path | None = None) -> None:
    """Write a directory that `GPT2LMHeadModel.from_pretrained` and `AutoTokenizer.from_pretrained` load.

    The tokenizer prepends the boundary token to a text, so its output can be used as a prompt.

    Args:
        model: A Transformer.
        out: The directory; it must not exist yet, or be empty.
        checkpoint: Where the model was loaded from: the model card takes metrics and data from its run.

    Raises:
        UserError: The model is not a Transformer, `out` exists or cannot be written, or safetensors is not installed.
    """
    if not isinstance(model, Transformer):
        remedy = "use --format onnx" if model.exports_onnx else "train a Transformer"
        raise UserError(
            f"only a Transformer can be exported as gpt2, and this model is a {type(model).__name__}: {remedy}"
        )
    save = optional_module("safetensors.torch").save
    characters = model.vocabulary.characters
    contents = {
        CONFIG: _config(model),
        # The end can be predicted from the last position but is never read, so it needs no position of its own.
        "generation_config.json": {"do_sample": True, "max_length": model.context_length + 1}
        | dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), BOUNDARY),
        TOKENIZER: tokenizer_json(characters),
        "tokenizer_config.json": tokenizer_config(characters, model.context_length),
    }
    card = model_card(model, out.name, checkpoint)
    with creating(out) as directory:
        directory.mkdir()
        # As bytes: safetensors itself creates files that only their owner can read.
        (directory / WEIGHTS).write_bytes(save(_weights(model), metadata={"format": "pt"}))
        for name, content in contents.items():
            (directory / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (directory / "README.md").write_text(card, encoding="utf-8")


def weight_names(n_layer: int) -> dict[str, tuple[str, bool]]:
    """GPT-2's name of each weight but the head's -> ours, and whether GPT-2 stores the matrix transposed.

    Its `Conv1D` does so with the matrix of a linear layer.
    """
    names = {
        "wte.weight": ("token_embedding.weight", False),
        "wpe.weight": ("position_embedding.weight", False),
        "ln_f.weight": ("norm.weight", False),
        "ln_f.bias": ("norm.bias", False),
    }
    layers = {
        "ln_1": "norm1",
        "ln_2": "norm2",
        "attn.c_attn": "attention.qkv",
        "attn.c_proj": "attention.proj",
        "mlp.c_fc": "expand",
        "mlp.c_proj": "proj",
    }
    for i in range(n_layer):
        for theirs, ours in layers.items():
            names[f"h.{i}.{theirs}.weight"] = (f"blocks.{i}.{ours}.weight", not theirs.startswith("ln"))
            names[f"h.{i}.{theirs}.bias"] = (f"blocks.{i}.{ours}.bias", False)
    return names


def _weights(model: Transformer) -> dict[str, Tensor]:
    """The weights under GPT-2's names."""
    ours = model.state_dict()
    theirs = {
        f"transformer.{name}": ours[our_name].T if transposed else ours[our_name]
        for name, (our_name, transposed) in weight_names(len(model.blocks)).items()
    }
    if not model.hparams["tied"]:
        theirs["lm_head.weight"] = ours["head.weight"]
    return {name: weight.detach().float().cpu().contiguous() for name, weight in theirs.items()}


def _config(model: Transformer) -> dict[str, Any]:
    """The contents of config.json.

    It has no `pad_token_id`, which is in generation_config.json: transformers would take the boundary token at the
    start of every text for padding, and warn.
    """
    options = model.hparams
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": len(model.vocabulary),
        "n_positions": model.context_length,
        "n_embd": options["n_embd"],
        "n_layer": options["n_layer"],
        "n_head": options["n_head"],
        "activation_function": "gelu_new",
        "layer_norm_epsilon": model.norm.eps,
        "embd_pdrop": options["dropout"],
        "attn_pdrop": 0.0,
        "resid_pdrop": options["dropout"],
        "tie_word_embeddings": options["tied"],
        "bos_token_id": BOUNDARY,
        "eos_token_id": BOUNDARY,
        "dtype": "float32",
    }
