"""The model card: README.md of an exported directory, in the form of the Hugging Face Hub."""

import json
from collections.abc import Iterator
from pathlib import Path

from sequentia.errors import UserError
from sequentia.export.tokenizer import BOUNDARY_NAME, UNKNOWN, start_name
from sequentia.inference.sampling import generate
from sequentia.models import LanguageModel
from sequentia.runs.checkpoint import origin
from sequentia.runs.directory import read_config
from sequentia.text import printable, shorten

_SAMPLES = 10

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
for line in generator([{prompt}] * 10, batch_size=10):  # {prompt} starts a new line; {other} is continued
    print(line[0]["generated_text"])
```

The model knows the characters below and no others. For a text with another character, the tokenizer raises the error
``Unk token `{unknown}` not found in the vocabulary``. {start}

## Data

{data}

## License

Not stated. Before you publish the model, add `license:` to the header of this file. Consider the license of the
training data.
"""

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
    return _CARD.format(
        title=printable(title),
        parameters=model.num_parameters,
        samples=_block(lines),
        prompt=printable(json.dumps(prompt, ensure_ascii=False)),
        other=other,
        unknown=UNKNOWN,
        start=start,
        data="\n".join(_data(model)),
    )


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
