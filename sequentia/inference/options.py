"""The options of sampling, their meanings, and the values that a model allows. It imports nothing slow."""

import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sequentia.errors import UserError

if TYPE_CHECKING:
    from sequentia.inference.model import Model

_Function = TypeVar("_Function", bound=Callable[..., Any])

UNLIMITED_MAX_LENGTH = 1000
"""Longest sample, in characters, of a model without a position limit, unless its training lines were longer. Without
a bound, a model that never predicts the end would be sampled forever."""

_BATCH_LINES = 5000
_BATCH_POSITIONS = 100_000  # bounds the KV cache
_BATCH_CHARACTERS = 10_000_000  # bounds the lines themselves


def max_sample_length(model: "Model") -> int:
    """Longest sample, in characters, that still leaves the model a position to predict the end from."""
    if model.max_positions is None:
        return max(UNLIMITED_MAX_LENGTH, model.context_length - 1)
    return model.max_positions - 1


def default_batch_size(model: "Model") -> int:
    """Lines per batch: as many as memory allows, since equal prefixes are computed once; fewer if lines can be long."""
    if model.max_positions is None:
        return max(1, min(_BATCH_LINES, _BATCH_CHARACTERS // max_sample_length(model)))
    return max(1, min(_BATCH_LINES, _BATCH_POSITIONS // model.max_positions))


def _option(default: Any, help: str, metavar: str | None = None, drawing: bool = False) -> Any:
    """A field; `drawing` marks those that are no condition, which only drawing at random needs."""
    return field(default=default, metadata={"help": help, "metavar": metavar, "drawing": drawing})


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """Which lines are drawn, and how: the options of `generate`, of `LanguageModel.sample` and of the command.

    Every restriction is a condition: the lines are distributed as the model's own lines, given that they meet all of
    them. An end is drawn, never cut; a line that would exceed the model's limit is drawn again.

    Source of `top_p` (nucleus sampling): Holtzman et al., "The curious case of neural text degeneration", 2020.
    """

    prompt: str | Sequence[str] = _option(
        "", "prefix of every line; several prompts get that many lines each, in their order", "TEXT"
    )
    label: str | None = _option(
        None, "label of every line; without it, each line of a model with labels has one by its frequency", "LABEL"
    )
    temperature: float = _option(
        1.0,
        "below 1, more probable lines; above 1, more diverse lines; 0, only the most probable character each time",
        "T",
        drawing=True,
    )
    top_k: int | None = _option(None, "sample only from the K most probable characters", "K", drawing=True)
    top_p: float | None = _option(
        None, "sample only from the most probable characters with a total probability of P", "P", drawing=True
    )
    match: str | None = _option(None, "regular expression that the whole line matches, as `k.*n`", "REGEX")
    min_length: int = _option(0, "minimum number of characters, prompt included", "N")
    max_length: int | None = _option(
        None, "maximum number of characters, prompt included; default: the model's limit", "N"
    )
    avoid: Collection[str] = _option((), "lines that are not wanted", "FILE")
    novel: bool = _option(False, "only lines that are not in the training data")
    unique: bool = _option(False, "no line twice", drawing=True)
    valid: Callable[[str], object] | None = _option(  # noqa: RUF009 (it is a field)
        None, "function of a text that returns whether the line is wanted", "MODULE:FUNCTION"
    )
    seed: int | None = _option(
        None, "the same seed and options give the same lines; default: random", "S", drawing=True
    )
    batch_size: int | None = _option(
        None, "lines sampled at a time; default: 5000, or fewer if the model has a long context", "B", drawing=True
    )

    def limits(self, model: "Model") -> tuple[int, int]:
        """Maximum number of characters and lines per batch, by default the model's own; all options are checked.

        Raises:
            UserError: An option is out of range.
        """
        limit = max_sample_length(model)
        max_length = limit if self.max_length is None else self.max_length
        batch_size = default_batch_size(model) if self.batch_size is None else self.batch_size
        for name, valid, requirement in (
            ("temperature", 0 <= self.temperature < float("inf"), "finite and at least 0"),
            ("top_k", self.top_k is None or self.top_k >= 1, "at least 1"),
            ("top_p", self.top_p is None or 0 < self.top_p <= 1, "above 0 and at most 1"),
            ("seed", self.seed is None or -(2**63) <= self.seed < 2**64, "a 64-bit integer"),
            ("batch_size", batch_size >= 1, "at least 1"),
            ("max_length", 1 <= max_length <= limit, f"between 1 and the model's limit of {limit}"),
            ("min_length", 0 <= self.min_length <= max_length, f"between 0 and max_length ({max_length})"),
        ):
            if not valid:
                raise UserError(f"{name} must be {requirement}, got {getattr(self, name)}")
        return max_length, batch_size


_ATTRIBUTES = "".join(f"\n        {option.name}: {option.metadata['help']}." for option in fields(SamplingOptions))
SamplingOptions.__doc__ = f"{SamplingOptions.__doc__}\n    Attributes:{_ATTRIBUTES}\n    "


def takes_sampling_options(function: _Function, drawing: bool = True) -> _Function:
    """Give a function with `**options` the signature that it has in truth, with the options of drawing or without."""
    signature = inspect.signature(function)
    given = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    taken = {option.name for option in fields(SamplingOptions) if drawing or not option.metadata["drawing"]}
    options = [p for name, p in inspect.signature(SamplingOptions).parameters.items() if name in taken]
    function.__signature__ = signature.replace(parameters=[*given, *options])  # type: ignore[attr-defined]
    return function


takes_conditions = partial(takes_sampling_options, drawing=False)
"""The same for a function that takes the conditions alone."""
