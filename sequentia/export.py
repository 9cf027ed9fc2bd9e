"""Model -> files that other software reads: a GPT-2 directory for Hugging Face transformers, or ONNX.

What is written appears under its name when it is whole, or not at all.
"""

import json
import secrets
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.models import LanguageModel, Transformer
from sequentia.vocabulary import BOUNDARY

BOUNDARY_NAME = "<boundary>"
"""The boundary token in a tokenizer's vocabulary: no single character, so that it is never one of the data's."""

_OPSET = 18  # of ONNX: the newest that PyTorch's tracing exporter writes


def export_gpt2(model: LanguageModel, out: Path) -> None:
    """Write a directory that `transformers.GPT2LMHeadModel` and `AutoTokenizer` load with `from_pretrained`.

    The tokenizer puts the boundary token before a text, so that its output is a prompt.

    Args:
        model: A Transformer.
        out: The directory: new, or empty.

    Raises:
        UserError: The model is no Transformer, `out` is in the way or cannot be written, or safetensors is missing.
    """
    if not isinstance(model, Transformer):
        raise UserError(f"only a Transformer is a GPT-2; this model is a {type(model).__name__}: use --format onnx")
    save_file = _extra("safetensors.torch").save_file
    with _new(out) as directory:
        directory.mkdir()
        save_file(_gpt2_weights(model), directory / "model.safetensors", metadata={"format": "pt"})
        tokens: dict[str, Any] = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), BOUNDARY)
        contents = {
            "config.json": _gpt2_config(model) | tokens,
            # The end is predicted from the last position and never read: one token more than positions.
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
    """The weights under GPT-2's names. Its `Conv1D` has a linear layer's matrix transposed."""
    layers = {
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
        for to, name in (layers | norms).items():
            weight = ours[f"blocks.{i}.{name}.weight"]
            theirs[f"h.{i}.{to}.weight"] = weight.T if to in layers else weight
            theirs[f"h.{i}.{to}.bias"] = ours[f"blocks.{i}.{name}.bias"]
    theirs = {f"transformer.{name}": weight for name, weight in theirs.items()}
    if not model.hparams["tied"]:
        theirs["lm_head.weight"] = ours["head.weight"]
    return {name: weight.detach().float().cpu().contiguous() for name, weight in theirs.items()}


def _gpt2_config(model: Transformer) -> dict[str, Any]:
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
    """A tokenizer.json with a token a character; a character outside the vocabulary is an error, as it is here."""
    special = {"id": BOUNDARY, "content": BOUNDARY_NAME, "special": True, "normalized": False}
    start: list[dict[str, Any]] = [{"SpecialToken": {"id": BOUNDARY_NAME, "type_id": 0}}]
    text: list[dict[str, Any]] = [{"Sequence": {"id": "A", "type_id": 0}}]
    other: list[dict[str, Any]] = [{"Sequence": {"id": "B", "type_id": 0}}]
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
            "single": start + text,
            "pair": start + text + start + other,
            "special_tokens": {BOUNDARY_NAME: {"id": BOUNDARY_NAME, "ids": [BOUNDARY], "tokens": [BOUNDARY_NAME]}},
        },
        "decoder": {"type": "Fuse"},
        "model": {
            "type": "WordLevel",
            "vocab": {BOUNDARY_NAME: BOUNDARY} | {character: i for i, character in enumerate(characters, start=1)},
            "unk_token": BOUNDARY_NAME + "?",  # in no vocabulary: what is unknown is refused
        },
    }


def export_onnx(model: LanguageModel, out: Path) -> None:
    """Write an ONNX file of `forward`: `context` (batch, time) int64 to `logits` (batch, time, V) float32.

    Its metadata hold `architecture`, `characters` (ids from 1 in this order), `boundary` (the boundary token's id) and
    `context_length`.

    PyTorch's tracing exporter writes it: the one built on torch.export unrolls recurrent layers over the example's
    length (PyTorch 2.13).

    Args:
        model: Any architecture.
        out: The file, which must not exist.

    Raises:
        UserError: `out` is in the way or cannot be written, or onnx is missing.
    """
    onnx = _extra("onnx")
    if out.is_dir():
        raise UserError(f"{out} is a directory: give the name of a new file")
    was_training = model.training
    with _new(out) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of what the tests hold against onnxruntime
        model.eval()
        try:
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
        finally:
            model.train(was_training)
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
"""Format -> what writes it."""


@contextmanager
def _new(out: Path) -> Iterator[Path]:
    """A path beside `out` to write to, which becomes `out` at the end.

    Raises:
        UserError: Something is at `out` already, or it cannot be written.
    """
    if out.is_symlink() or out.exists():
        if not out.is_dir():
            raise UserError(f"{out} exists already: give another name")
        if any(out.iterdir()):
            raise UserError(f"the directory {out} is not empty: give another name")
    if not out.parent.is_dir():
        raise UserError(f"no directory {out.parent} to write {out.name} in")
    beside = out.absolute().with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        yield beside
        beside.rename(out)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        if beside.is_dir():
            shutil.rmtree(beside)
        else:
            beside.unlink(missing_ok=True)


def _extra(module: str) -> Any:
    """A module of the optional packages.

    Raises:
        UserError: It is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(
            f"this format needs the package {module.partition('.')[0]}: pip install 'sequentia[export]'"
        ) from error
