"""What is asked of a line: which beginnings can still become such a line, and which lines are."""

from collections import Counter
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import regex
import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.inference.model import Model
from sequentia.inference.options import SamplingOptions
from sequentia.text import printable, shorten, strings

# Partial matching is wrong where an assertion looks beyond the beginning that there is: "(?!ann$)" seems to refuse
# every line that starts with "ann". Of these patterns only whole lines are checked, which is slower and always right.
_WITHOUT_ASSERTIONS = regex.compile(r"(?:[^\\(]|\\[^A-Za-z]|\\[dDwWsSpPxutn]|\((?!\?)|\(\?:)*")

_REMEDIES = {
    "match": "loosen the pattern",
    "min_length": "lower it",
    "max_length": "raise it",
    "avoid": "raise the temperature",
    "novel": "raise the temperature",
    "unique": "raise the temperature",
    "valid": "check the function, or lower the temperature",
}

_training_lines: WeakKeyDictionary[Any, Callable[[Any], Callable[[str], bool]]] = WeakKeyDictionary()


def remember_training_lines(model: Model, source: Callable[[Any], Callable[[str], bool]]) -> None:
    """Let `novel` find the training lines of a model.

    Args:
        model: The model.
        source: Reads the data of a model, and returns a function of a text: whether it is a training line.
    """
    _training_lines[model] = source


def is_valid(valid: Callable[[str], object], text: str) -> bool:
    """Whether the user's function is true of a text.

    Raises:
        UserError: The function fails.
    """
    try:
        return bool(valid(text))
    except Exception as error:
        name = getattr(valid, "__name__", "the function")
        raise UserError(f"{name} fails on '{printable(shorten(text))}': {type(error).__name__}: {error}") from error


class Conditions:
    """The conditions that the options of sampling make on lines.

    Args:
        model: The model whose lines are drawn.
        options: The options.

    Attributes:
        prompts: The beginnings of lines: the prompts of the options, continued while only one character can follow.
        max_length: Maximum number of characters of a line.
        exist: Whether anything but `unique` is asked of a line beyond its beginning and the model's limit.
        prunes: Whether a beginning can be hopeless.
        refused: Number of lines by the first condition that they do not meet.

    Raises:
        UserError: An option is out of range, a prompt is too long or has unknown characters, the pattern is invalid,
            no line of the model can match it, or the training lines are not known.
    """

    def __init__(self, model: Model, options: SamplingOptions) -> None:
        self._vocabulary = model.vocabulary
        normalize = model.vocabulary.normalize
        self.refused: Counter[str] = Counter()
        self._example: dict[str, str] = {}
        self.max_length, _ = options.limits(model)
        tests: dict[str, Callable[[str], object]] = {}
        given = [options.prompt] if isinstance(options.prompt, str) else strings(options.prompt, "the prompts")
        self.prompts = list(map(normalize, given))
        for prompt in self.prompts:
            if (length := len(model.vocabulary.encode(prompt))) > self.max_length:
                which = f"the prompt {shorten(prompt)!r} has {length} characters"
                raise UserError(f"{which}, more than max_length ({self.max_length}): shorten it")
        self._can_match = None
        if options.match is not None:
            try:
                pattern = regex.compile(normalize(options.match))
            except regex.error as error:
                raise UserError(f"match {options.match!r} is not a regular expression: {error}") from error
            tests["match"] = pattern.fullmatch
            if _WITHOUT_ASSERTIONS.fullmatch(options.match):
                self._can_match = pattern
                self.prompts = [self._common_beginning(prompt, pattern) for prompt in self.prompts]
        if options.min_length:
            tests["min_length"] = lambda text: len(text) >= options.min_length
        if options.avoid:
            avoid = set(map(normalize, options.avoid))
            tests["avoid"] = lambda text: text not in avoid
        if options.novel:
            if model not in _training_lines:
                raise UserError("novel needs the training lines, but this model was not loaded from a run: use avoid")
            is_training_line = _training_lines[model](model)
            tests["novel"] = lambda text: not is_training_line(text)
        if (valid := options.valid) is not None:
            tests["valid"] = lambda text: is_valid(valid, text)
        self.exist = bool(tests) or options.max_length is not None
        self.prunes = self._can_match is not None
        if options.unique:
            tests["unique"] = lambda text: text not in self._seen
        self._seen, self._tests = set[str](), tests

    def can_begin(self, ids: Tensor) -> Tensor:
        """Whether lines that begin so can still meet the conditions; true if that is not known.

        Args:
            ids: Beginnings of equal length, `(B, P)`.

        Returns:
            `(B,)` bool.
        """
        if (pattern := self._can_match) is None:
            return torch.ones(len(ids), dtype=torch.bool, device=ids.device)
        text, length = self._vocabulary.decode(ids.flatten().cpu().numpy()), ids.shape[1]
        beginnings = (text[start : start + length] for start in range(0, len(ids) * length, length))
        hopeful = [pattern.fullmatch(beginning, partial=True) is not None for beginning in beginnings]
        return torch.tensor(hopeful, dtype=torch.bool, device=ids.device)

    def meets(self, text: str, ended: bool) -> bool:
        """Whether a line is wanted; if it is not, count it as refused.

        Args:
            text: The line, or the beginning of it after which it was given up.
            ended: Whether it is a whole line.
        """
        if ended:
            failed = next((name for name, test in self._tests.items() if not test(text)), None)
        else:
            failed = "max_length" if len(text) == self.max_length else "match"
        if failed is None:
            self._seen.add(text)
        else:
            self.refused[failed] += 1
            self._example[failed] = text
        return failed is None

    def most_refused(self) -> str:
        """The condition that refuses most lines, with one of them and a remedy."""
        ((name, count),) = self.refused.most_common(1)
        share = f"{100 * count / self.refused.total():.0f}% of the others"
        return f"{share} are refused by {name}, as {shorten(printable(self._example[name]), 40)!r}: {_REMEDIES[name]}"

    def _common_beginning(self, prompt: str, pattern: "regex.Pattern[str]") -> str:
        """The prompt, continued while only one character can follow: a beginning of all matches costs no draw.

        Raises:
            UserError: No line of the model's characters can match.
        """
        beginning = prompt
        while pattern.fullmatch(beginning) is None:
            possible = [c for c in self._vocabulary.characters if pattern.fullmatch(beginning + c, partial=True)]
            if not possible or len(beginning) == self.max_length:
                which = f" that begins with {shorten(prompt)!r}" if prompt else ""
                most = f"at most {self.max_length} of the model's characters"
                raise UserError(f"no line{which} of {most} matches {pattern.pattern!r}")
            if len(possible) > 1:
                break
            beginning += possible[0]
        return beginning
