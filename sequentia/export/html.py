"""Transformer -> one web page that generates lines in the browser, without a network: page.html with the weights."""

import base64
import html
import json
import re
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.export.output import creating_file
from sequentia.models import LanguageModel, Transformer

_LARGEST = 20_000_000  # parameters: a page of 53 MB, which a phone still opens


def export_html(model: LanguageModel, out: Path) -> None:
    """Write a page with the weights in half precision, in base64: 2.7 bytes per parameter.

    Args:
        model: A Transformer.
        out: The file, whose stem is the page's title; it must not exist yet.

    Raises:
        UserError: The model is not a Transformer or is too large, or `out` exists or cannot be written.
    """
    if not isinstance(model, Transformer):
        raise UserError(
            f"only a Transformer can be exported as html, and this model is a {type(model).__name__}: "
            "give the --ckpt_path of a Transformer, or train one"
        )
    weights = torch.cat([weight.flatten() for weight in _weights(model)])
    if len(weights) > _LARGEST:
        raise UserError(f"a page can have at most {_LARGEST:,} parameters, and this model has {len(weights):,}")
    half = weights.half()
    if not half.isfinite().all():
        raise UserError("a weight exceeds 65504, the largest number in half precision: use --format onnx")
    content = {
        "characters": model.vocabulary.characters,
        "context_length": model.context_length,
        **{name: model.hparams[name] for name in ("n_layer", "n_head", "n_embd", "tied")},
        "epsilon": model.norm.eps,
        "weights": base64.b64encode(half.numpy().astype("<f2").tobytes()).decode("ascii"),
    }
    # Inside a script element, `<` could start `</script>`.
    values = {"title": html.escape(out.stem), "model": json.dumps(content).replace("<", "\\u003c")}
    template = files("sequentia.export").joinpath("page.html").read_text(encoding="utf-8")
    page = re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], template)
    with creating_file(out) as file:
        file.write_text(page, encoding="utf-8")


def _weights(model: Transformer) -> list[Tensor]:
    """The weights in the order in which the page reads them; matrices have a row per output."""
    weights = model.state_dict()
    names = ["token_embedding.weight", "position_embedding.weight"]
    for i in range(len(model.blocks)):
        for layer in ("norm1", "attention.qkv", "attention.proj", "norm2", "expand", "proj"):
            names += [f"blocks.{i}.{layer}.weight", f"blocks.{i}.{layer}.bias"]
    names += ["norm.weight", "norm.bias"]
    if not model.hparams["tied"]:
        names.append("head.weight")
    return [weights[name].detach().float().cpu() for name in names]
