"""Model -> files for other software: a GPT-2 directory for Hugging Face transformers, or an ONNX file."""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sequentia import DISTRIBUTION
from sequentia.errors import UserError
from sequentia.evaluation import evaluating
from sequentia.files import replacing
from sequentia.models import LanguageModel, Transformer
from sequentia.vocabulary import BOUNDARY

BOUNDARY_NAME = "<boundary>"
"""The boundary token in an exported tokenizer. Its name has several characters, so no character has the same name."""

_OPSET = 18  # the newest ONNX opset that PyTorch's tracing exporter writes


def export_gpt2(model: LanguageModel, out: Path) -> None:
    """Write a directory that `GPT2LMHeadModel.from_pretrained` and `AutoTokenizer.from_pretrained` load.

    The tokenizer prepends the boundary token to a text, so its output can be used as a prompt.

    Args:
        model: A Transformer.
        out: The directory; it must not exist yet, or be empty.

    Raises:
        UserError: The model is not a Transformer, `out` exists or cannot be written, or safetensors is not installed.
    """
    if not isinstance(model, Transformer):
        remedy = "use --format onnx" if model.exports_onnx else "train a Transformer"
        raise UserError(
            f"only a Transformer can be exported as gpt2, and this model is a {type(model).__name__}: {remedy}"
        )
    save_file = _optional_module("safetensors.torch").save_file
    with _creating(out) as directory:
        directory.mkdir()
        save_file(_gpt2_weights(model), directory / "model.safetensors", metadata={"format": "pt"})
        tokens: dict[str, Any] = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), BOUNDARY)
        contents = {
            "config.json": _gpt2_config(model) | tokens,
            # The end can be predicted from the last position but is never read, so it needs no position of its own.
            "generation_config.json": {"do_sample": True, "max_length": model.context_length + 1} | tokens,
            "tokenizer.json": _tokenizer(model.vocabulary.characters),
            "tokenizer_config.json": {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "model_max_length": model.context_length,
                "clean_up_tokenization_spaces": False,
            }
            | dict.fromkeys(("bos_token", "eos_token", "pad_token"), BOUNDARY_NAME),
        }
        for name, content in contents.items():
            (directory / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _gpt2_weights(model: Transformer) -> dict[str, Tensor]:
    """The weights under GPT-2's names. GPT-2's `Conv1D` stores a linear layer's matrix transposed."""
    linear = {
        "attn.c_attn": "attention.qkv",
        "attn.c_proj": "attention.proj",
        "mlp.c_fc": "expand",
        "mlp.c_proj": "proj",
    }
    norms = {"ln_1": "norm1", "ln_2": "norm2"}
    ours = model.state_dict()
    theirs = {
        "wte.weight": ours["token_embedding.weight"],
        "wpe.weight": ours["position_embedding.weight"],
        "ln_f.weight": ours["norm.weight"],
        "ln_f.bias": ours["norm.bias"],
    }
    for i in range(len(model.blocks)):
        for their_name, our_name in (linear | norms).items():
            weight = ours[f"blocks.{i}.{our_name}.weight"]
            theirs[f"h.{i}.{their_name}.weight"] = weight.T if their_name in linear else weight
            theirs[f"h.{i}.{their_name}.bias"] = ours[f"blocks.{i}.{our_name}.bias"]
    theirs = {f"transformer.{name}": weight for name, weight in theirs.items()}
    if not model.hparams["tied"]:
        theirs["lm_head.weight"] = ours["head.weight"]
    return {name: weight.detach().float().cpu().contiguous() for name, weight in theirs.items()}


def _gpt2_config(model: Transformer) -> dict[str, Any]:
    """The contents of config.json, without the ids of special tokens."""
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
        "dtype": "float32",
    }


def _tokenizer(characters: str) -> dict[str, Any]:
    """The contents of tokenizer.json: one token per character; a character outside the vocabulary is an error."""
    special = {"id": BOUNDARY, "content": BOUNDARY_NAME, "special": True, "normalized": False}
    start: list[dict[str, Any]] = [{"SpecialToken": {"id": BOUNDARY_NAME, "type_id": 0}}]
    first: list[dict[str, Any]] = [{"Sequence": {"id": "A", "type_id": 0}}]
    second: list[dict[str, Any]] = [{"Sequence": {"id": "B", "type_id": 0}}]
    return {
        "version": "1.0",
        "added_tokens": [special | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)],
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": r"[\s\S]"},
            "behavior": "Isolated",
            "invert": False,
        },
        "post_processor": {
            "type": "TemplateProcessing",
            "single": start + first,
            "pair": start + first + start + second,
            "special_tokens": {BOUNDARY_NAME: {"id": BOUNDARY_NAME, "ids": [BOUNDARY], "tokens": [BOUNDARY_NAME]}},
        },
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "WordLevel",
            "vocab": {BOUNDARY_NAME: BOUNDARY} | {character: i for i, character in enumerate(characters, start=1)},
            "unk_token": BOUNDARY_NAME + "?",  # not in the vocabulary, so an unknown character is an error
        },
    }


def export_onnx(model: LanguageModel, out: Path) -> None:
    """Write an ONNX file of `forward`: `context` (batch, time) int64 -> `logits` (batch, time, V) float32.

    Its metadata has the keys `architecture`, `characters` (the vocabulary; ids start at 1), `boundary` (the id of the
    boundary token) and `context_length`.

    PyTorch's tracing exporter is used because the one built on `torch.export` unrolls recurrent layers over the length
    of the example input (as of PyTorch 2.13).

    Args:
        model: Any architecture.
        out: The file; it must not exist yet.

    Raises:
        UserError: The architecture cannot be exported, `out` exists or cannot be written, or onnx is not installed.
    """
    if not model.exports_onnx:
        raise UserError(
            f"an {type(model).__name__} cannot be exported as onnx, which has no search in tables: train a network"
        )
    onnx = _optional_module("onnx")
    if out.is_dir():
        raise UserError(f"{out} is a directory: give the name of a new file")
    with _creating(out) as file:
        with evaluating(model), warnings.catch_warnings():
            # The tracer warns wherever it might bake in the example's sizes; tests compare other sizes too.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model,
                (torch.zeros(2, 3, dtype=torch.long, device=model.device),),
                str(file),
                dynamo=False,
                opset_version=_OPSET,
                input_names=["context"],
                output_names=["logits"],
                dynamic_axes={name: {0: "batch", 1: "time"} for name in ("context", "logits")},
            )
        proto = onnx.load(file)
        metadata = {
            "architecture": type(model).__name__,
            "characters": model.vocabulary.characters,
            "boundary": str(BOUNDARY),
            "context_length": str(model.context_length),
        }
        onnx.helper.set_model_props(proto, metadata)
        onnx.save(proto, file)


FORMATS = {"gpt2": export_gpt2, "onnx": export_onnx}
"""Value of `--format` -> the function that writes it."""


@contextmanager
def _creating(out: Path) -> Iterator[Path]:
    """A temporary path that is moved to `out` when the block succeeds; `out` must not exist yet, or be empty.

    Raises:
        UserError: `out` is a file or a directory with files in it, its parent directory does not exist, or it cannot
            be written.
    """
    if out.is_symlink() or out.exists():
        if not out.is_dir():
            raise UserError(f"{out} exists already: give another name")
        if any(out.iterdir()):
            raise UserError(f"the directory {out} is not empty: give another name")
    if not out.parent.is_dir():
        raise UserError(f"no directory {out.parent} to write {out.name} to: create it, or give another name")
    with replacing(out) as temporary:
        yield temporary


def _optional_module(name: str) -> Any:
    """Import a module of the optional dependencies.

    Raises:
        UserError: It is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        raise UserError(f"this format needs the package {package}: pip install '{DISTRIBUTION}[export]'") from error
