"""The model card: README.md of an exported directory, in the form of the Hugging Face Hub."""

import csv
import json
import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from sequentia.checkpoint import read_checkpoint
from sequentia.errors import UserError
from sequentia.export.tokenizer import UNKNOWN, boundary_name
from sequentia.models import LanguageModel
from sequentia.runs import METRICS, read_config
from sequentia.text import printable
from sequentia.vocabulary import shorten

TEST = "test.json"
"""The file of a run with the metrics of its test lines."""

_SAMPLES = 10
_LIMIT = 1 << 26  # bytes of a file of metrics

_CARD = """\
---
library_name: transformers
pipeline_tag: text-generation
tags:
- sequentia
- character-level
---

# {title}

A character-level language model of {parameters:,} parameters with GPT-2's architecture. It generates lines like those
of its training data, one character at a time. It was trained with sequentia and exported by `sequentia export`.

## Samples

Not selected, at temperature 1:

{samples}

## Use

```python
from transformers import pipeline

generator = pipeline("text-generation", model="{title}")
for line in generator([""] * 10, batch_size=10):  # "" starts a new line; any other text is continued
    print(line[0]["generated_text"])
```

The model knows the characters below and no others. For a text with another character, the tokenizer raises the error
``Unk token `{unknown}` not found in the vocabulary``. The token `{boundary}` starts and ends every line; the
tokenizer adds it at the start.

## Data

{data}

## Metrics

NLL is the mean negative log-likelihood in nats per predicted character, the end of the line included. Lower is better.

{metrics}

## License

Not stated. Before you publish the model, add `license:` to the header of this file. Consider the license of the
training data.
"""


def model_card(model: LanguageModel, title: str, checkpoint: Path | None) -> str:
    """The text of the card.

    Args:
        model: The exported model.
        title: Name of the model.
        checkpoint: Where the model was loaded from. If it is in a run directory, the card has the name of the data and
            the metrics that the run recorded.
    """
    characters = model.vocabulary.characters
    return _CARD.format(
        title=printable(title),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        samples=_block(model.sample(_SAMPLES, seed=0)),
        unknown=UNKNOWN,
        boundary=boundary_name(characters),
        data="\n".join(_data(model, checkpoint)),
        metrics="\n".join(_metrics(model, checkpoint)),
    )


def _block(lines: list[str]) -> str:
    """Lines from data as they are: neither Markdown nor HTML, and without control characters."""
    return "\n".join(f"    {printable(line)}" for line in lines)


def _data(model: LanguageModel, checkpoint: Path | None) -> Iterator[str]:
    """Lines about the training data: its name from the run's config.yaml, the rest from the model itself."""
    name = _data_name(checkpoint)
    if name is not None:
        yield f"One example per line, from:\n\n{_block([name])}\n"
    characters = model.vocabulary.characters
    yield f"The longest line has {model.context_length - 1:,} characters. The vocabulary has {len(characters):,}:"
    yield f"\n{_block([shorten(characters, 100)])}"


def _data_name(checkpoint: Path | None) -> str | None:
    """File names of the training data, without their directories; None if unknown."""
    if checkpoint is None:
        return None
    try:
        data = read_config(checkpoint.parent).get("data")
    except UserError:  # not in a run directory, or its config.yaml is not needed to sample
        return None
    path = data.get("path") if isinstance(data, dict) else None
    paths = path if isinstance(path, list) else [path]
    return ", ".join(Path(p).name for p in paths if isinstance(p, str)) or None


def _metrics(model: LanguageModel, checkpoint: Path | None) -> Iterator[str]:
    """The lines of a table of metrics."""
    yield "| lines | metric | value |"
    yield "|---|---|---|"
    yield f"| any | NLL of guessing among {len(model.vocabulary)} tokens | {math.log(len(model.vocabulary)):.4f} |"
    if checkpoint is None:
        return
    for name, value in [*_validation(checkpoint), *_test(checkpoint.parent / TEST)]:
        split, _, metric = name.partition("/")
        yield f"| {split} | {metric} | {value:.4f} |"


def _validation(checkpoint: Path) -> Iterator[tuple[str, float]]:
    """Names and values of the validation metrics that the run logged when it wrote this checkpoint."""
    path = checkpoint.parent / METRICS
    if not path.is_file() or path.stat().st_size > _LIMIT:
        return
    step = str(read_checkpoint(checkpoint)["global_step"] - 1)  # metrics.csv counts from 0
    try:
        with path.open(encoding="utf-8", newline="") as file:
            (row,) = (row for row in csv.DictReader(file) if row.get("step") == step)
    except (OSError, ValueError, csv.Error):  # no metrics of this step: validation was switched off
        return
    names = {"val/loss": "val/NLL", "val/perplexity": "val/perplexity", "val/accuracy": "val/accuracy"}
    names |= {f"val/samples_{kind}": f"val/samples: share {kind}" for kind in ("novel", "unique")}
    for column, name in names.items():
        with suppress(ValueError):  # not logged at this step
            yield name, float(row.get(column) or "")


def _test(path: Path) -> Iterator[tuple[str, float]]:
    """Names and values of all metrics in a file of metrics."""
    if path.is_file() and path.stat().st_size <= _LIMIT:
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{path} is not JSON: run `sequentia test` again, or remove it") from error
        yield from _numbers("test", content)


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    """The numbers in nested mappings, each with the path of its keys as name."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(f"{name}/{str(key).removeprefix('test/')}", item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield printable(name)[:80].replace("|", "/"), value
