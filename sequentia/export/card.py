"""The model card: README.md of an exported directory, in the form of the Hugging Face Hub."""

import logging
import math
from collections.abc import Iterator
from pathlib import Path

from sequentia.errors import UserError
from sequentia.export.tokenizer import UNKNOWN, boundary_name
from sequentia.models import LanguageModel
from sequentia.runs.checkpoint import read_checkpoint
from sequentia.runs.directory import BEST, TEST, read_config
from sequentia.runs.history import read_history, read_test_result
from sequentia.text import printable, shorten

_SAMPLES = 10

log = logging.getLogger("sequentia")

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

`loss` is the NLL: the mean negative log-likelihood in nats per predicted character, the end of the line included. Lower
is better. `baseline_*` are the NLLs of simpler models on the same lines.

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
        parameters=model.num_parameters,
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
    for name, value in (_validation(checkpoint) | _test(checkpoint)).items():
        split, _, metric = name.partition("/")
        shown = f"{value:,.0f}" if metric in ("lines", "samples_drawn") else f"{value:.4f}"
        yield f"| {split} | {printable(metric)[:80].replace('|', '/')} | {shown} |"


def _validation(checkpoint: Path) -> dict[str, float]:
    """The metrics of the validation lines that the run logged when it wrote this checkpoint."""
    history = read_history(checkpoint.parent)
    step = int(read_checkpoint(checkpoint)["global_step"]) - 1  # metrics.csv counts from 0
    return {
        name: values[step]
        for name, values in history.items()
        if name.startswith("val/") and step in values and math.isfinite(values[step])
    }


def _test(checkpoint: Path) -> dict[str, float]:
    """The metrics of the test lines, if the run has a result of this checkpoint."""
    if checkpoint.name != BEST:
        return {}
    result = read_test_result(checkpoint.parent)
    if result is None:
        log.warning(
            f"{checkpoint.parent / TEST} is damaged or of an earlier checkpoint: the model card has no metrics of the "
            "test lines; run `sequentia test` again"
        )
    return result or {}
