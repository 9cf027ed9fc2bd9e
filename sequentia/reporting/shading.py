"""A scored text whose characters are shaded by their probability, for a terminal and for a notebook."""

import math
from bisect import bisect
from html import escape
from typing import TYPE_CHECKING

from sequentia.text import printable

if TYPE_CHECKING:
    from sequentia.inference.scoring import Score

_BELOW = (0.001, 0.01, 0.05, 0.2)
"""Probabilities below which a character has the first, second, ... shade."""

_SHADES = ((203, "#ff5f5f"), (215, "#ffaf5f"), (222, "#ffd787"), (230, "#ffffd7"))
"""Each shade as one of a terminal's 256 colors, and as in HTML. The text on it is black, on any background."""


def ansi(score: "Score") -> str:
    """The text with a terminal's control sequences; control characters of its own are escaped."""
    return "".join(_on(shade, printable(character)) for character, shade in _shades(score))


def html(score: "Score") -> str:
    """The text as HTML, with the probability of each character when the pointer is on it, and the NLL of the text."""
    spans = "".join(
        f'<span title="{math.exp(log_prob):.2%}"'
        + ("" if shade is None else f' style="color:#000;background:{_SHADES[shade][1]}"')
        + f">{escape(printable(character))}</span>"
        for (character, shade), log_prob in zip(_shades(score), score.log_probs.tolist(), strict=False)
    )
    return f"<code>{spans}</code> nll={score.nll:.4f}"


def legend() -> str:
    """The shades and their meaning, for a terminal."""
    shades = " ".join(_on(shade, f" below {limit:g} ") for shade, limit in enumerate(_BELOW))
    return f"probability of each character: {shades}"


def _on(shade: int | None, text: str) -> str:
    return text if shade is None else f"\x1b[38;5;16;48;5;{_SHADES[shade][0]}m{text}\x1b[0m"


def _shades(score: "Score") -> list[tuple[str, int | None]]:
    """Each character and its shade; None if it is probable."""
    shades = (bisect(_BELOW, math.exp(value)) for value in score.log_probs.tolist())
    return [(c, None if shade == len(_BELOW) else shade) for c, shade in zip(score.text, shades, strict=False)]
