"""Transformer -> a directory that Hugging Face transformers loads as GPT-2."""

import json
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from sequentia.errors import UserError
from sequentia.export.card import model_card
from sequentia.export.output import creating, optional_module
from sequentia.export.tokenizer import tokenizer_config, tokenizer_json
from sequentia.models import LanguageModel, Transformer
from sequentia.vocabulary import BOUNDARY

_BLOCK = {
    "norm1": "ln_1",
    "attention.qkv": "attn.c_attn",
    "attention.proj": "attn.c_proj",
    "norm2": "ln_2",
    "expand": "mlp.c_fc",
    "proj": "mlp.c_proj",
}
"""Layers of a block -> GPT-2's names."""


def export_gpt2(model: LanguageModel, out: Path) -> None:
    """Write a directory that `GPT2LMHeadModel.from_pretrained` and `AutoTokenizer.from_pretrained` load.

    The tokenizer prepends the boundary token to a text, so its output can be used as a prompt. If lines have labels, a
    text has to start with the token of its label, and `generate` never draws the tokens of labels: their logits, which
    GPT-2 has, say nothing.

    Args:
        model: A Transformer.
        out: The directory; it must not exist yet.

    Raises:
        UserError: The model is not a Transformer, `out` exists or cannot be written, or safetensors is not installed.
    """
    if not isinstance(model, Transformer):
        raise UserError(f"gpt2 needs a Transformer, got a model of class {type(model).__name__}: choose another format")
    save = optional_module("safetensors.torch").save
    vocabulary = model.vocabulary
    contents = {
        "config.json": _config(model),
        # The end can be predicted from the last position but is never read, so it needs no position of its own.
        "generation_config.json": {"do_sample": True, "max_length": model.context_length + 1}
        | dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), BOUNDARY)
        | ({"suppress_tokens": list(range(len(vocabulary), vocabulary.num_tokens))} if vocabulary.labels else {}),
        "tokenizer.json": tokenizer_json(vocabulary),
        "tokenizer_config.json": tokenizer_config(model.context_length),
    }
    weights, card = _weights(model), model_card(model, out.name)
    with creating(out) as directory:
        directory.mkdir()
        # As bytes: safetensors itself creates files that only their owner can read.
        (directory / "model.safetensors").write_bytes(save(weights, metadata={"format": "pt"}))
        for name, content in contents.items():
            (directory / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        (directory / "README.md").write_text(card, encoding="utf-8")


def push(directory: Path, repo: str) -> str:
    """Upload a directory to a repository of the Hugging Face Hub, which is created if it does not exist.

    Args:
        directory: What `export_gpt2` wrote.
        repo: `USER/NAME`.

    Returns:
        The address of the repository.

    Raises:
        UserError: huggingface_hub is not installed, or the Hub refuses.
    """
    hub = optional_module("huggingface_hub")
    try:
        api = hub.HfApi()
        address = api.create_repo(repo, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=directory)
    except Exception as error:  # no network, no token, no permission, an invalid name: errors of several libraries
        raise UserError(f"cannot push {directory} to {repo}: {error}; `hf auth login` logs you in") from error
    return str(address)


def _weights(model: Transformer) -> dict[str, Tensor]:
    """The weights under GPT-2's names, without a tied head; its class Conv1D stores the matrices transposed."""
    names = {"token_embedding": "wte", "position_embedding": "wpe"}
    for i in range(len(model.blocks)):
        names |= {f"blocks.{i}.{ours}": f"h.{i}.{theirs}" for ours, theirs in _BLOCK.items()}
    names["norm"] = "ln_f"
    weights = {
        f"transformer.{theirs}.{name}": weight
        for ours, theirs in names.items()
        for name, weight in model.get_submodule(ours).named_parameters()
    }
    if not model.hparams["tied"]:
        weights["lm_head.weight"] = F.pad(model.head.weight, (0, 0, 0, len(model.vocabulary.labels)))
    return {
        name: (weight.T if ".c_" in name and weight.ndim == 2 else weight).detach().float().cpu().contiguous()
        for name, weight in weights.items()
    }


def _config(model: Transformer) -> dict[str, Any]:
    """The contents of config.json.

    It has no `pad_token_id`, which is in generation_config.json: transformers would take the boundary token at the
    start of every text for padding, and warn.
    """
    options = model.hparams
    return {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "vocab_size": model.vocabulary.num_tokens,
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
