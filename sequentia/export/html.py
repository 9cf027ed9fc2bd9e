"""Model -> one web page that generates lines in the browser, without a network: `page` with the weights."""

import base64
import gzip
import html
import json
import logging
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sequentia.errors import UserError
from sequentia.export.output import creating
from sequentia.inference.options import max_sample_length
from sequentia.models import LanguageModel, Mixture, NGram
from sequentia.models.parts.ngram_levels import distinct
from sequentia.runs.checkpoint import training_data
from sequentia.vocabulary import smallest_unsigned

_BITS, _PROBES = 9.6, 7  # of the Bloom filter, per training line: 1% of the other lines pass for training lines

log = logging.getLogger(__name__)

_PAGE = files("sequentia.export").joinpath("page")


def export_html(model: LanguageModel, out: Path) -> None:
    """Write a page with the weights in half precision, compressed and in base64: about 2.5 bytes per parameter.

    If the training data can be read, the page also has a Bloom filter of the training lines, and with it the box "only
    new ones"; otherwise a warning says why it has not.

    Args:
        model: A model of any of the package's architectures.
        out: The file, whose stem is the page's title; it must not exist yet.

    Raises:
        UserError: The architecture is not one of the package's, a weight is too large for half precision, or `out`
            exists or cannot be written.
    """
    scripts = _scripts(model)
    arrays = _arrays(model)
    try:
        data = training_data(model, "the page", "correct its path there", may_differ=True)
        arrays["filter"] = bloom_filter(data.membership.distinct["train"])
    except UserError as error:
        log.warning(f"no box 'only new ones': {error}")
    numbers = b"".join(array.tobytes() for array in arrays.values())
    content = {
        "characters": model.vocabulary.characters,
        "max_length": max_sample_length(model),
        "model": _description(model),
        "probes": _PROBES,
        "tensors": [[name, array.dtype.str[1:], array.shape] for name, array in arrays.items()],
        "bytes": base64.b64encode(gzip.compress(numbers, mtime=0)).decode("ascii"),
    }
    parts = {
        "title": html.escape(out.stem),
        "style": _read("page.css"),
        "model": json.dumps(content).replace("<", "\\u003c"),  # `<` could start `</script>`
        "script": "\n".join(map(_read, ("numbers.js", *scripts, "drawing.js", "app.js"))),
    }
    page = re.sub(r"{{(\w+)}}", lambda match: parts[match[1]], _read("page.html"))
    with creating(out) as file:
        file.write_text(page, encoding="utf-8")


def _read(name: str) -> str:
    return _PAGE.joinpath(name).read_text(encoding="utf-8")


def _members(model: LanguageModel) -> list[LanguageModel]:
    return model.all_members() if isinstance(model, Mixture) else []


def _scripts(model: LanguageModel) -> list[str]:
    """The scripts of a model's architecture, each after those that it needs: named after the modules of its classes.

    Raises:
        UserError: There is none for the class itself.
    """
    scripts = [script for member in _members(model) for script in _scripts(member)]
    modules = [cls.__module__ for cls in reversed(type(model).__mro__)]
    found = {module: f"models/{module.rpartition('.')[2]}.js" for module in modules if module.startswith("sequentia.")}
    found = {module: script for module, script in found.items() if _PAGE.joinpath(script).is_file()}
    if modules[-1] not in found:
        raise UserError(
            f"html needs an architecture of sequentia's own, got a model of class {type(model).__name__}: export it as "
            "onnx"
        )
    return list(dict.fromkeys([*scripts, *found.values()]))


def _description(model: LanguageModel) -> dict[str, Any]:
    """The name and the options of an architecture, and those of its members."""
    options = {name: value for name, value in model.hparams.items() if isinstance(value, int | float)}
    members = [_description(member) for member in _members(model)]
    return {"architecture": type(model).__name__, "options": options | {"members": members}}


def _arrays(model: LanguageModel, prefix: str = "") -> dict[str, NDArray[Any]]:
    """The weights by their names in the checkpoint: half precision, or the smallest unsigned integers that hold them.

    Of n-grams, only as many tokens as the model reads, and by column, which compresses better.

    Raises:
        UserError: A weight is too large for half precision.
    """
    if isinstance(model, Mixture):
        arrays = {f"{prefix}log_weights": _array(model.log_weights)}
        for i, member in enumerate(model.all_members()):
            arrays |= _arrays(member, f"{prefix}members.{i}.")
        return arrays
    weights = model.state_dict()
    if isinstance(model, NGram):
        read = model.ngrams[:, : model.tables.reads]
        ngrams, counts = distinct(torch.cat((read, model.ngrams[:, -1:]), 1), model.counts, len(model.vocabulary))
        weights = {"ngrams": ngrams.T, "counts": counts}
    tied = set(weights) - {name for name, _ in (*model.named_parameters(), *model.named_buffers())}
    return {prefix + name: _array(weight) for name, weight in weights.items() if name not in tied}


def _array(tensor: Tensor) -> NDArray[Any]:
    tensor = tensor.cpu()
    if tensor.is_floating_point():
        if not tensor.half().isfinite().all():
            raise UserError("a weight exceeds 65504, the largest number in half precision: export the model as onnx")
        return tensor.half().numpy().astype("<f2")
    largest = int(tensor.max()) if tensor.numel() else 0
    return tensor.numpy().astype(smallest_unsigned(largest).newbyteorder("<"))


def bloom_filter(hashes: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """A set of which every element is a member, and about 1% of everything else.

    Sources: Bloom, "Space/time trade-offs in hash coding with allowable errors", 1970; the probes of an element are one
    half of its hash plus multiples of the other: Kirsch & Mitzenmacher, "Less hashing, same performance", 2006.

    Args:
        hashes: 64-bit hashes of the elements, `(N,)`.

    Returns:
        Bits, eight to a byte, the lowest first.
    """
    bits = np.zeros(8 * int(1 + _BITS * len(hashes) / 8), np.uint8)
    first, second = hashes & np.uint64(0xFFFFFFFF), hashes >> np.uint64(32)
    for i in range(_PROBES):
        bits[(first + np.uint64(i) * second) % np.uint64(len(bits))] = 1
    return np.packbits(bits, bitorder="little")
