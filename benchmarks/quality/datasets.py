"""Data that no configuration was tuned on: word lists from packages, and samples from sources of known entropy."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module, resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LOCALES = (
    *("de_AT", "en_IE", "en_KE", "en_US", "es_ES", "et_EE", "fi_FI", "fr_BE", "fr_FR", "ga_IE"),
    *("hr_HR", "is_IS", "it_IT", "nl_NL", "ru_RU", "sk_SK", "sv_SE", "uk_UA", "zu_ZA"),
)
"""The locales of faker with hundreds of last names each, in letters."""


class Data(NamedTuple):
    """A dataset.

    Attributes:
        lines: The lines.
        nll: NLL in nats of each line under the source that generated it; None if the source is unknown.
    """

    lines: list[str]
    nll: NDArray[np.float64] | None = None


def countries() -> Data:
    """The countries of the world (ISO 3166-1)."""
    return Data([entry["name"] for entry in _iso("iso3166-1")])


def regions(number: int | None = 2000) -> Data:
    """Some provinces, states and districts of the world (ISO 3166-2); with None, all of them."""
    names = list(dict.fromkeys(entry["name"] for entry in _iso("iso3166-2")))
    return Data([names[i] for i in np.random.default_rng(0).permutation(len(names))[:number]])


def languages() -> Data:
    """The three-letter codes of the world's languages (ISO 639-3)."""
    return Data([entry["alpha_3"] for entry in _iso("iso639-3")])


def names_of_languages() -> Data:
    """The names of the world's languages (ISO 639-3)."""
    return Data(list(dict.fromkeys(entry["name"] for entry in _iso("iso639-3"))))


def chinese() -> Data:
    """300,000 Chinese words that use only the 3,000 most frequent characters of jieba's dictionary."""
    text = resources.files("jieba").joinpath("dict.txt").read_text(encoding="utf-8")
    words = [line.split()[0] for line in text.splitlines()]
    frequent = {character for character, _ in Counter("".join(words)).most_common(3000)}
    kept = [word for word in words if frequent.issuperset(word)]
    return Data([kept[i] for i in np.random.default_rng(0).permutation(len(kept))[:300_000]])


def genes() -> Data:
    """2,000 lines of 500 characters from a second-order Markov chain over 5 letters."""
    rng = np.random.default_rng(0)
    transition = rng.dirichlet([0.3] * 5, size=(5, 5))
    codes = np.zeros((2000, 500), np.int64)
    nll = np.zeros(2000)  # every line has 500 characters, so the end has probability 1
    for t in range(500):
        probs = transition[codes[:, t - 2], codes[:, t - 1]] if t >= 2 else np.full((2000, 5), 0.2)
        codes[:, t] = (probs.cumsum(1) < rng.random((2000, 1))).sum(1).clip(max=4)
        nll -= np.log(probs[np.arange(2000), codes[:, t]])
    return Data(["".join("ACGTN"[code] for code in row) for row in codes], nll)


def brackets() -> Data:
    """20,000 lines of balanced brackets of two kinds around x: 5 characters, at most 40 per line."""
    rng = np.random.default_rng(0)
    pairs = [_brackets(rng) for _ in range(20_000)]
    return Data([line for line, _ in pairs], np.array([nll for _, nll in pairs]))


def _brackets(rng: np.random.Generator) -> tuple[str, float]:
    """A line, and its NLL in nats."""
    line, stack, nll = "", "", 0.0
    while True:
        close = {"(": ")", "[": "]"}[stack[-1]] if stack else ""  # the end of the line if no bracket is open
        if len(line) + len(stack) >= 39:
            choices = {close: 1.0}  # just enough room is left to close all brackets
        elif line:
            choices = {"(": 0.2, "[": 0.2, "x": 0.2, close: 0.4}
        else:
            choices = {"(": 0.4, "[": 0.4, "x": 0.2}
        symbol = str(rng.choice(list(choices), p=list(choices.values())))
        nll -= math.log(choices[symbol])
        if symbol == "":
            return line, nll
        stack = stack[:-1] if symbol in ")]" else stack + symbol if symbol in "([" else stack
        line += symbol


def last_names() -> list[tuple[str, str]]:
    """19,387 last names of 19 locales, in lower case: locale and name. A name may have several locales."""
    pairs = []
    for locale in LOCALES:
        provider = import_module(f"faker.providers.person.{locale}").Provider
        tables = [table for name, table in vars(provider).items() if name.startswith("last_names")]
        names = {name.lower().strip() for table in tables for name in table if isinstance(name, str)}
        pairs += [(locale, name) for name in sorted(names)]
    return [pairs[i] for i in np.random.default_rng(0).permutation(len(pairs))]


def _iso(name: str) -> Iterator[dict[str, str]]:
    """The entries of one of pycountry's tables."""
    table = json.loads(resources.files("pycountry").joinpath(f"databases/{name}.json").read_text(encoding="utf-8"))
    yield from next(iter(table.values()))


DATASETS: tuple[Callable[[], Data], ...] = (countries, regions, languages, brackets, genes, chinese)
