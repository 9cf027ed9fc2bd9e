"""The model card: README.md of an exported directory, in the form of the Hugging Face Hub."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from sequentia.errors import UserError
from sequentia.export.tokenizer import BOUNDARY_NAME, UNKNOWN, start_name
from sequentia.inference.sampling import generate
from sequentia.models import LanguageModel
from sequentia.runs.checkpoint import origin
from sequentia.runs.directory import BEST, read_config
from sequentia.runs.history import read_test_result
from sequentia.text import printable, shorten

_SAMPLES = 10

_CARD = """\
---
{header}---

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
for line in generator([{prompt}] * 10, batch_size=10):  # {prompt} starts a new line; {other} is continued
    print(line[0]["generated_text"])
```

The model knows the characters below and no others. For a text with another character, the tokenizer raises the error
``Unk token `{unknown}` not found in the vocabulary``. {start}

## Data

{data}

{results}## License

Not stated. Before you publish the model, add `license:` and `language:` to the header of this file. Consider the
license of the training data.
"""

_RESULTS = """\
## Results

On the test lines, which were not used for training:

| metric | value |
|---|---|
{rows}

"""

_METRICS = {
    "test/loss": ("nll", "NLL in nats per character"),
    "test/bits_per_char": ("bits_per_character", "NLL in bits per character"),
    "test/perplexity": ("perplexity", "Perplexity per character"),
    "test/accuracy": ("accuracy", "Accuracy of the most probable character"),
}
"""Metrics of `sequentia test` -> their type and name on the Hub."""

_START = f"The token `{BOUNDARY_NAME}` starts and ends every line; the\ntokenizer adds it at the start."

_START_OF_LABELS = """\
The token
`{boundary}` ends every line. A text has to start with the token of its label, which the tokenizer does not add. The
tokens, and the number of training lines of each:

{tokens}

The logits of labels, which follow the first {size:,}, say nothing: leave them out of a softmax. `generate` draws no
label, because generation_config.json lists them as `suppress_tokens`.\
"""


def model_card(model: LanguageModel, title: str) -> str:
    """The text of the card; it names the data if the model was loaded from a run."""
    vocabulary, samples = model.vocabulary, list(generate(model, _SAMPLES, seed=0))
    lines, prompt, other, start = [sample.text for sample in samples], "", "any other text", _START
    if vocabulary.labels:
        names, counts = [start_name(label) for label in ("", *vocabulary.labels)], vocabulary.label_counts
        lines = [start_name(sample.label) + sample.text for sample in samples]
        prompt, other = names[int(counts.argmax())], "a text after it"
        tokens = _block([f"{name}  {count:,}" for name, count in zip(names, counts, strict=True)])
        start = _START_OF_LABELS.format(boundary=BOUNDARY_NAME, tokens=tokens, size=len(vocabulary))
    found = _test_result(model)
    rows = [f"| {name} | {found[key]:.4f} |" for key, (_, name) in _METRICS.items() if key in found]
    return _CARD.format(
        title=printable(title),
        header=yaml.safe_dump(_header(model, printable(title), found), sort_keys=False, allow_unicode=True),
        results=_RESULTS.format(rows="\n".join(rows)) if rows else "",
        parameters=model.num_parameters,
        samples=_block(lines),
        prompt=printable(json.dumps(prompt, ensure_ascii=False)),
        other=other,
        unknown=UNKNOWN,
        start=start,
        data="\n".join(_data(model)),
    )


def _header(model: LanguageModel, title: str, found: dict[str, float]) -> dict[str, Any]:
    """The metadata that the Hub reads, with the results of `sequentia test` if there are any."""
    header: dict[str, Any] = {"library_name": "transformers", "pipeline_tag": "text-generation"}
    header["tags"] = ["sequentia", "character-level", "gpt2"]
    metrics = [
        {"type": kind, "name": name, "value": round(found[key], 4)}
        for key, (kind, name) in _METRICS.items()
        if key in found
    ]
    if metrics:
        dataset = {"name": printable(_data_name(model) or "training data"), "type": "text", "split": "test"}
        result = {"task": {"type": "text-generation"}, "dataset": dataset, "metrics": metrics}
        header["model-index"] = [{"name": title, "results": [result]}]
    return header


def _test_result(model: LanguageModel) -> dict[str, float]:
    """The result of `sequentia test` of the checkpoint that the model was loaded from; empty if there is none."""
    found = origin(model)
    if found is None or found.checkpoint.name != BEST:
        return {}
    return read_test_result(found.checkpoint.parent)


def _block(lines: list[str]) -> str:
    """Lines from data as they are: neither Markdown nor HTML, and without control characters."""
    return "\n".join(f"    {printable(line)}" for line in lines)


def _data(model: LanguageModel) -> Iterator[str]:
    """Lines about the training data: its name from the run's config.yaml, the rest from the model itself."""
    name = _data_name(model)
    if name is not None:
        yield f"One example per line, from:\n\n{_block([name])}\n"
    characters = model.vocabulary.characters
    yield f"The longest line has {model.context_length - 1:,} characters. The vocabulary has {len(characters):,}:"
    yield f"\n{_block([shorten(characters, 100)])}"


def _data_name(model: LanguageModel) -> str | None:
    """File names of the training data, without their directories; None if unknown."""
    if (found := origin(model)) is None:
        return None
    try:
        path = read_config(found.checkpoint.parent)["data"]["path"]
    except (UserError, LookupError, TypeError):  # not in a run directory, or its config.yaml is not needed to sample
        return None
    paths = path if isinstance(path, list) else [path]
    return ", ".join(Path(p).name for p in paths if isinstance(p, str)) or None
