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
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from sequentia.errors import UserError
from sequentia.export.output import creating
from sequentia.inference.options import max_sample_length
from sequentia.models import LanguageModel, Mixture, NGram
from sequentia.models.parts.ngram_levels import distinct
from sequentia.runs.checkpoint import training_data
from sequentia.vocabulary import BOUNDARY, smallest_unsigned

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
    scripts = list(dict.fromkeys(map(_script, (*_members(model), model))))
    tensors = weights(model)
    try:
        data = training_data(model, "the page", "correct its path there", may_differ=True)
        tensors["filter"] = torch.from_numpy(bloom_filter(data.membership.distinct["train"]))
    except UserError as error:
        log.warning(f"no box 'only new ones': {error}")
    content = {
        "characters": model.vocabulary.characters,
        "max_length": max_sample_length(model),
        "model": description(model),
        "probes": _PROBES,
        **packed(tensors),
    }
    if labels := model.vocabulary.labels:
        content["labels"] = list(zip(("", *labels), model.vocabulary.label_counts.tolist(), strict=True))
        scripts.append("labels.js")
    parts = {
        "title": html.escape(out.stem),
        "style": read("page.css"),
        "model": json.dumps(content).replace("<", "\\u003c"),  # `<` could start `</script>`
        "script": "\n".join(map(read, ("numbers.js", *scripts, "drawing.js", "app.js"))),
    }
    page = re.sub(r"{{(\w+)}}", lambda match: parts[match[1]], read("page.html"))
    with creating(out) as file:
        file.write_text(page, encoding="utf-8")


def read(name: str) -> str:
    """The text of a file of the page."""
    return _PAGE.joinpath(name).read_text(encoding="utf-8")


def _members(model: LanguageModel) -> list[LanguageModel]:
    return model.all_members() if isinstance(model, Mixture) else []


def _script(model: LanguageModel) -> str:
    """The script of a model's architecture: named after the module of its class, or of the nearest base that has one.

    Raises:
        UserError: The architecture is not one of the package's.
    """
    modules = [cls.__module__ for cls in type(model).__mro__]
    if not modules[0].startswith("sequentia.models."):
        raise UserError(
            f"html needs an architecture of sequentia's own, got a model of class {type(model).__name__}: export it as "
            "onnx"
        )
    scripts = (f"models/{module.rpartition('.')[2]}.js" for module in modules)
    return next(script for script in scripts if _PAGE.joinpath(script).is_file())


def description(model: LanguageModel) -> dict[str, Any]:
    """The name and the options of an architecture, and those of its members."""
    options = {name: value for name, value in model.hparams.items() if isinstance(value, int | float)}
    if isinstance(model, NGram) and model.vocabulary.labels:
        options["part"] = model.tables.part
    members = [description(member) for member in _members(model)]
    return {"architecture": type(model).__name__, "options": options | {"members": members}}


def weights(model: LanguageModel) -> dict[str, Tensor]:
    """The weights by their names in the checkpoint, a tied one once; of n-grams, their graph."""
    names = {name for name, _ in (*model.named_parameters(), *model.named_buffers())}
    weights = {name: weight for name, weight in model.state_dict().items() if name in names}
    for name, module in model.named_modules():
        if isinstance(module, NGram):
            prefix = f"{name}." if name else ""
            del weights[f"{prefix}ngrams"]
            weights |= {f"{prefix}{key}": weight for key, weight in _graph(module).items()}
    return weights


def _graph(model: NGram) -> dict[str, Tensor]:
    """N-grams as a graph: each is an edge with its token, from its context to the one that the token ends.

    Contexts are in lexicographic order, last token first, and so are the edges. The contexts that a token ends have the
    order of the edges with this token that lead to a context first; so no context needs to be stored. If lines have
    labels, there is a graph for the lines without one, and then one for each label.

    Source: Bowe et al., "Succinct de Bruijn graphs", 2012.

    Returns:
        `edges`, each 4 times its token, plus 2 if it is the last of its context, plus 1 if it leads to a context first;
        `counts`; and `reads`, the number of tokens of a context. With labels: `reads` of a context whatever the label,
        and of one that begins with it; and `sizes`, the number of edges of each graph.
    """
    tables, V = model.tables, model.vocabulary.num_tokens
    reads, whatever = tables.reads, tables.whatever_label
    read = torch.cat((model.ngrams[:, :reads], model.ngrams[:, -1:]), 1)
    ngrams, counts = distinct(read, model.counts, V)
    contexts, tokens = ngrams[:, :-1], ngrams[:, -1].long()
    differs = contexts.diff(dim=0) != 0  # from the n-gram before, (N - 1, reads)
    group = F.pad(differs[:, :-1].any(1).cumsum(0), (1, 0))[: len(tokens)]  # of contexts that differ in the last column
    first = np.unique((group * V + tokens).cpu(), return_index=True)[1]
    edges = 4 * tokens
    edges[:-1] += 2 * differs.any(1)
    edges[-1:] += 2
    edges[first] += tokens[first] != BOUNDARY
    graph = {"edges": edges, "counts": counts, "reads": torch.tensor([reads])}
    if whatever is not None:
        graph["reads"] = torch.tensor([whatever.reads, max(0, tables.order - 1)])
        sizes = contexts[:, 0].bincount(minlength=V)
        graph["sizes"] = torch.cat((sizes[:1], sizes[len(model.vocabulary) :]))  # no label, and each label
    return graph


def packed(tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Tensors as `readTensors` in numbers.js reads them: names, types and shapes, and the numbers in base64.

    Raises:
        UserError: A weight is too large for half precision.
    """
    arrays = {name: _array(tensor) for name, tensor in tensors.items()}
    numbers = b"".join(array.tobytes() for array in arrays.values())
    return {
        "tensors": [[name, array.dtype.str[1:], array.shape] for name, array in arrays.items()],
        "bytes": base64.b64encode(gzip.compress(numbers, mtime=0)).decode("ascii"),
    }


def _array(tensor: Tensor) -> NDArray[Any]:
    """Numbers in half precision, or in the smallest unsigned integers that hold them.

    Raises:
        UserError: A weight is too large for half precision.
    """
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
