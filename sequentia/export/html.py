"""Transformer -> one web page that generates lines in the browser, without a network: page.html with the weights."""

import base64
import html
import json
from importlib.resources import files
from pathlib import Path

import torch

from sequentia.errors import UserError
from sequentia.export.gpt2 import gpt2_weights
from sequentia.export.output import creating
from sequentia.models import LanguageModel, Transformer


def export_html(model: LanguageModel, out: Path) -> None:
    """Write a page with the weights in half precision, in base64: 2.7 bytes per parameter.

    Args:
        model: A Transformer.
        out: The file, whose stem is the page's title; it must not exist yet.

    Raises:
        UserError: The model is not a Transformer, a weight is too large for half precision, or `out` exists or cannot
            be written.
    """
    if not isinstance(model, Transformer):
        raise UserError(f"html needs a Transformer, got a model of class {type(model).__name__}: choose another format")
    weights = torch.cat([weight.flatten() for weight in gpt2_weights(model).values()]).half()
    if not weights.isfinite().all():
        raise UserError("a weight exceeds 65504, the largest number in half precision: export the model as onnx")
    content = {
        "characters": model.vocabulary.characters,
        "context_length": model.context_length,
        **{name: model.hparams[name] for name in ("n_layer", "n_head", "n_embd", "tied")},
        "epsilon": model.norm.eps,
        "weights": base64.b64encode(weights.numpy().astype("<f2").tobytes()).decode("ascii"),
    }
    template = files("sequentia.export").joinpath("page.html").read_text(encoding="utf-8")
    # Inside a script element, `<` could start `</script>`.
    page = template.replace("{{model}}", json.dumps(content).replace("<", "\\u003c"))
    with creating(out) as file:
        file.write_text(page.replace("{{title}}", html.escape(out.stem)), encoding="utf-8")
