"""A directory of Hugging Face transformers with a GPT-2 of characters -> Transformer. The directory is not trusted."""

import json
import logging
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.export.gpt2 import CONFIG, TOKENIZER, WEIGHTS, weight_names
from sequentia.export.output import optional_module
from sequentia.export.tokenizer import read_vocabulary
from sequentia.models import Transformer
from sequentia.models.parts.saving import mark
from sequentia.runs.loading import build_model
from sequentia.text import brief

log = logging.getLogger("sequentia")

_JSON_LIMIT = 1 << 26  # bytes; a tokenizer of all characters of Unicode has 30 million

_FIXED: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "model_type": (None, ("gpt2",)),
    "activation_function": ("gelu_new", ("gelu_new", "gelu_pytorch_tanh")),  # two names of one function
    "layer_norm_epsilon": (1e-5, (1e-5,)),
    "scale_attn_weights": (True, (True,)),
    "scale_attn_by_inverse_layer_idx": (False, (False,)),
    "add_cross_attention": (False, (False,)),
    "quantization_config": (None, (None,)),
}
"""Options of GPT2Config for which a Transformer has one value: its default, and what is accepted."""

_SIZES = {"n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257}
"""Sizes in GPT2Config, with their defaults."""


def import_gpt2(directory: Path) -> dict[str, Any]:
    """The content of a checkpoint with the model in a directory, bit-identical up to the order of characters.

    Nothing is read but config.json, tokenizer.json and model.safetensors. The tokens must be characters, and one more
    that starts and ends a text.

    Raises:
        UserError: The directory has no such model, or its files are invalid.
    """
    safetensors = optional_module("safetensors.torch")
    if not directory.is_dir():
        raise UserError(f"no directory {directory}: give what `sequentia export --format gpt2` wrote")
    for name in (CONFIG, TOKENIZER, WEIGHTS):
        if not (directory / name).is_file():
            raise UserError(f"no {name} in {directory}: give what `sequentia export --format gpt2` wrote")
    try:
        config = _read_json(directory / CONFIG)
        if not isinstance(config, dict):
            raise UserError(f"{CONFIG} is not a mapping")
        options = _options(config)
        order = _vocabulary(directory / TOKENIZER, config, options)
        weights = _read_weights(safetensors, directory / WEIGHTS, options, len(order))
    except UserError as error:
        raise UserError(
            f"cannot import {directory}: {error}; only GPT-2 models of characters can be imported"
        ) from None
    for name in ("token_embedding.weight", "head.weight"):
        weights[name] = weights[name][order]
    checkpoint: dict[str, Any] = {
        "state_dict": weights,
        "hyper_parameters": options,
        "global_step": 0,
        "epoch": 0,
        "pytorch-lightning_version": version("lightning"),
    }
    mark(checkpoint, Transformer)
    build_model(checkpoint, directory / WEIGHTS)  # refuses what no checkpoint may have
    return checkpoint


def _read_json(path: Path) -> Any:
    if path.stat().st_size > _JSON_LIMIT:
        raise UserError(f"{path.name} has more than {_JSON_LIMIT:,} bytes")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path.name} is not JSON") from error


def _options(config: dict[str, Any]) -> dict[str, Any]:
    """The options of a Transformer, but for the vocabulary, from the contents of config.json."""
    for name, (default, accepted) in _FIXED.items():
        if config.get(name, default) not in accepted:
            raise UserError(f"{CONFIG}: {name} must be {accepted[0]}, got {brief(config.get(name, default))}")
    sizes = {name: config.get(name, default) for name, default in _SIZES.items()}
    for name, size in sizes.items():
        if type(size) is not int or not 1 <= size < 2**31:
            raise UserError(f"{CONFIG}: {name} must be a positive number, got {brief(size)}")
    if config.get("n_inner") not in (None, 4 * sizes["n_embd"]):
        raise UserError(f"{CONFIG}: n_inner must be 4 times n_embd, got {brief(config['n_inner'])}")
    if sizes["n_embd"] % sizes["n_head"]:
        raise UserError(f"{CONFIG}: n_embd must be a multiple of n_head")
    tied, dropout = config.get("tie_word_embeddings", True), config.get("resid_pdrop", 0.1)
    if type(tied) is not bool:
        raise UserError(f"{CONFIG}: tie_word_embeddings must be true or false, got {brief(tied)}")
    if type(dropout) not in (int, float) or not 0 <= dropout < 1:
        raise UserError(f"{CONFIG}: resid_pdrop must be at least 0 and below 1, got {brief(dropout)}")
    if (config.get("embd_pdrop", 0.1), config.get("attn_pdrop", 0.1)) != (dropout, 0):
        log.warning(
            f"embd_pdrop and attn_pdrop are not imported: in further training the embeddings have the dropout of "
            f"resid_pdrop, {dropout:g}, and attention weights have none"
        )
    return {
        "context_length": sizes["n_positions"],
        **{name: sizes[name] for name in ("n_layer", "n_head", "n_embd")},
        "dropout": float(dropout),
        "tied": tied,
    }


def _vocabulary(path: Path, config: dict[str, Any], options: dict[str, Any]) -> Tensor:
    """Add the vocabulary to the options; returns the ids of its tokens in the directory, boundary first, `(V,)`."""
    ids, boundary = read_vocabulary(_read_json(path))
    if config.get("vocab_size", _SIZES["vocab_size"]) != len(ids) + 1:
        raise UserError(f"{TOKENIZER} has {len(ids) + 1} tokens, not vocab_size")
    for name in ("bos_token_id", "eos_token_id"):
        if config.get(name) != boundary:
            raise UserError(f"{CONFIG}: {name} must be {boundary}, the one token that is not a character")
    characters = sorted(ids)
    options["vocabulary"] = "".join(characters)
    return torch.tensor([boundary, *(ids[character] for character in characters)])


def _read_weights(safetensors: Any, path: Path, options: dict[str, Any], size: int) -> dict[str, Tensor]:
    """The weights under our names, after names, shapes and types have been compared with the options."""
    C, T = options["n_embd"], options["context_length"]
    if 12 * C * C * options["n_layer"] + (size + T) * C > path.stat().st_size:  # at a byte per number
        raise UserError(f"{WEIGHTS} is too small for the sizes in {CONFIG}")
    try:
        theirs = safetensors.load_file(path)
    except Exception as error:  # the library raises its own exceptions, and others
        raise UserError(f"{WEIGHTS} is damaged, or not in the format of safetensors") from error
    if len(theirs) < 12 * options["n_layer"]:  # before anything is made for each layer
        raise UserError(f"{WEIGHTS} has fewer than {options['n_layer']:,} layers")
    theirs = {name.removeprefix("transformer."): weight for name, weight in theirs.items()}
    masks = {f"h.{i}.attn.{name}" for i in range(options["n_layer"]) for name in ("bias", "masked_bias")}
    theirs = {name: weight for name, weight in theirs.items() if name not in masks}  # constants in old files
    names = weight_names(options["n_layer"])
    head = theirs.pop("lm_head.weight", theirs.get("wte.weight") if options["tied"] else None)
    if theirs.keys() != names.keys() or head is None:
        odd = sorted(theirs.keys() ^ names.keys()) or ["lm_head.weight"]
        raise UserError(f"{WEIGHTS} lacks weights or has others, such as {brief(odd[0])}")
    if options["tied"] and not torch.equal(head, theirs["wte.weight"]):
        raise UserError(f"{WEIGHTS}: lm_head.weight differs from wte.weight, but tie_word_embeddings is true")
    found = {ours: theirs[name].T if transposed else theirs[name] for name, (ours, transposed) in names.items()}
    found["head.weight"] = head
    with torch.device("meta"):
        expected = Transformer(**options).state_dict()
    for name, weight in found.items():
        if weight.dtype not in (torch.float32, torch.float16, torch.bfloat16):
            raise UserError(f"{WEIGHTS}: weights must be float32, float16 or bfloat16, got {weight.dtype}")
        if weight.shape != expected[name].shape:
            raise UserError(f"{WEIGHTS}: the shape of {name} is {list(weight.shape)}, not {list(expected[name].shape)}")
        if not weight.isfinite().all():
            raise UserError(f"{WEIGHTS}: {name} has values that are infinite or NaN")
    return {name: weight.float().contiguous() for name, weight in found.items()}
