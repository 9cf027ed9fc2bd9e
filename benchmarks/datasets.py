"""Data that no configuration was tuned on: shipped in packages, or drawn from a source with known probabilities."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import resources
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Data(NamedTuple):
    """Lines, and where they were drawn from a known source, what each costs under it in nats."""

    lines: list[str]
    costs: NDArray[np.float64] | None = None


def countries() -> Data:
    """The world's countries (ISO 3166-1)."""
    return Data([entry["name"] for entry in _iso("iso3166-1")])


def regions() -> Data:
    """2,000 of the provinces, states and districts of the world (ISO 3166-2)."""
    names = list(dict.fromkeys(entry["name"] for entry in _iso("iso3166-2")))
    return Data([names[i] for i in np.random.default_rng(0).permutation(len(names))[:2000]])


def languages() -> Data:
    """The three-letter codes of the world's languages (ISO 639-3)."""
    return Data([entry["alpha_3"] for entry in _iso("iso639-3")])


def chinese() -> Data:
    """300,000 Chinese words made of the 3,000 most frequent characters of jieba's dictionary."""
    text = resources.files("jieba").joinpath("dict.txt").read_text(encoding="utf-8")
    words = [line.split()[0] for line in text.splitlines()]
    frequent = {character for character, _ in Counter("".join(words)).most_common(3000)}
    kept = [word for word in words if frequent.issuperset(word)]
    return Data([kept[i] for i in np.random.default_rng(0).permutation(len(kept))[:300_000]])


def genes() -> Data:
    """2,000 lines of 500 letters out of 5, each drawn by the two before it."""
    draw = np.random.default_rng(0)
    next_letter = draw.dirichlet([0.3] * 5, size=(5, 5))
    codes = np.zeros((2000, 500), np.int64)
    cost = np.zeros(2000)
    for place in range(500):
        given = next_letter[codes[:, place - 2], codes[:, place - 1]] if place >= 2 else np.full((2000, 5), 0.2)
        codes[:, place] = (given.cumsum(1) < draw.random((2000, 1))).sum(1).clip(max=4)
        cost -= np.log(given[np.arange(2000), codes[:, place]])
    return Data(["".join("ACGTN"[code] for code in row) for row in codes], cost)  # the end is no surprise


def brackets() -> Data:
    """20,000 lines of balanced brackets of two kinds around x; alphabet 5, at most 40 characters."""
    draw = np.random.default_rng(0)
    drawn = [_brackets(draw) for _ in range(20_000)]
    return Data([line for line, _ in drawn], np.array([cost for _, cost in drawn]))


def _brackets(draw: np.random.Generator) -> tuple[str, float]:
    line, open_ones, cost = "", "", 0.0
    while True:
        close = {"(": ")", "[": "]"}[open_ones[-1]] if open_ones else ""  # none open: the line's end
        if len(line) + len(open_ones) >= 39:
            choices = {close: 1.0}  # what is open must close in time
        elif line:
            choices = {"(": 0.2, "[": 0.2, "x": 0.2, close: 0.4}
        else:
            choices = {"(": 0.4, "[": 0.4, "x": 0.2}
        symbol = str(draw.choice(list(choices), p=list(choices.values())))
        cost -= math.log(choices[symbol])
        if symbol == "":
            return line, cost
        open_ones = open_ones[:-1] if symbol in ")]" else open_ones + symbol if symbol in "([" else open_ones
        line += symbol


def _iso(name: str) -> Iterator[dict[str, str]]:
    """The entries of one of pycountry's tables."""
    table = json.loads(resources.files("pycountry").joinpath(f"databases/{name}.json").read_text(encoding="utf-8"))
    yield from next(iter(table.values()))


DATASETS: tuple[Callable[[], Data], ...] = (countries, regions, languages, brackets, genes, chinese)
