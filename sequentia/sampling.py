"""Model -> strings, a character at a time; no data module, no Trainer."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.vocabulary import BOUNDARY, Vocabulary

UNLIMITED = 1000
"""Longest sample, in characters, of a model that has no limit of its own and has read no longer lines: one that never
ends must not run forever."""


class Model(Protocol):
    """What sampling asks of a model: `sequentia.models.LanguageModel` is one."""

    vocabulary: Vocabulary
    context_length: int
    training: bool

    @property
    def device(self) -> torch.device:
        """Where its weights are."""

    @property
    def max_positions(self) -> int | None:
        """Positions that it can read in one line; None if there is no limit."""

    def step(self, token: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits `(B, V)` after each of `token` `(B,)`, and the state for the next step, each tensor with B first."""

    def train(self, mode: bool = True) -> Any:
        """Set training or evaluation mode."""


@dataclass(frozen=True)
class Sample:
    """One sampled line.

    Attributes:
        text: Its characters.
        nll: Negative log likelihood of the whole line under the model itself (temperature 1, nothing filtered out),
            prompt and end included, in nats: what `score` gives for it.
    """

    text: str
    nll: float


def longest_sample(model: Model) -> int:
    """The most characters that a sample of `model` can have and still be ended by the model."""
    return max(UNLIMITED, model.context_length - 1) if model.max_positions is None else model.max_positions - 1


def usual_batch_size(model: Model) -> int:
    """Lines drawn side by side unless the user says.

    The more, the more of them share a beginning, and with it the model's work; but a model that remembers every
    position takes memory for all of them.
    """
    return 5000 if model.max_positions is None else max(1, min(5000, 100_000 // model.max_positions))


@torch.inference_mode()
def generate(
    model: Model,
    num_samples: int,
    *,
    prompt: str = "",
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_length: int = 0,
    max_length: int | None = None,
    seed: int | None = None,
    batch_size: int | None = None,
) -> Iterator[Sample]:
    """Sample lines from a model, batch by batch.

    Args:
        model: Any architecture. It is set to evaluation mode while a batch is drawn.
        num_samples: How many.
        prompt: Characters that every sample starts with.
        temperature: Divides the logits: below 1 keeps to the likely, above 1 strays; 0 takes the likeliest character.
        top_k: Draw from the k likeliest characters alone.
        top_p: Draw from the likeliest characters that together have this probability (nucleus; Holtzman et al. 2020).
        min_length: Least number of characters: the end cannot be drawn before.
        max_length: Most characters, the prompt included; the model's limit unless given.
        seed: Same seed and options, same samples; drawn afresh unless given.
        batch_size: Lines drawn side by side; `usual_batch_size` unless given.

    Yields:
        The samples, in the order drawn.

    Raises:
        UserError: An option is out of its range, or the model does not know a character of the prompt.
    """
    prompt = model.vocabulary.spell(prompt)
    prompt_ids = torch.from_numpy(model.vocabulary.encode(prompt)).to(model.device)
    longest = longest_sample(model)
    if max_length is None:
        max_length = longest
    if batch_size is None:
        batch_size = usual_batch_size(model)
    checks = (
        ("num_samples", num_samples, num_samples >= 0, "at least 0"),
        ("temperature", temperature, 0 <= temperature < float("inf"), "a number, at least 0"),
        ("top_k", top_k, top_k is None or top_k >= 1, "at least 1"),
        ("top_p", top_p, top_p is None or 0 < top_p <= 1, "above 0 and at most 1"),
        ("seed", seed, seed is None or -(2**63) <= seed < 2**64, "a number of 64 bits"),
        ("batch_size", batch_size, batch_size >= 1, "at least 1"),
        ("max_length", max_length, 1 <= max_length <= longest, f"between 1 and the model's limit, {longest}"),
        ("min_length", min_length, 0 <= min_length <= max_length, f"between 0 and max_length, {max_length}"),
    )
    for name, value, good, remedy in checks:
        if not good:
            raise UserError(f"{name} must be {remedy}; got {value}")
    if len(prompt) > max_length:
        raise UserError(f"the prompt has {len(prompt)} characters, more than max_length {max_length}: shorten it")
    generator = torch.Generator(model.device).manual_seed(secrets.randbits(63) if seed is None else seed)
    for start in range(0, num_samples, batch_size):
        was_training = model.training
        model.train(False)
        try:
            size = min(batch_size, num_samples - start)
            filters = (temperature, top_k, top_p)
            ids, lengths, nll = _draw(model, size, prompt_ids, filters, min_length, max_length, generator)
        finally:
            model.train(was_training)
        text = model.vocabulary.decode(ids[ids != BOUNDARY].cpu().numpy())  # of all lines, one behind the other
        end = 0
        for length, cost in zip(lengths.tolist(), nll.tolist(), strict=True):
            yield Sample(text[end : end + length], cost)
            end += length


def _draw(
    model: Model,
    size: int,
    prompt: Tensor,
    filters: tuple[float, int | None, float | None],
    min_length: int,
    max_length: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw one batch of `size` lines.

    Lines with the same characters so far share one row of the model's work: at the start that is all of them. Lines
    that have ended take no part.

    Returns:
        Ids `(size, max_length)`, number of characters `(size,)`, and NLL `(size,)`.
    """
    device = prompt.device
    ids = torch.zeros(size, max_length, dtype=torch.long, device=device)
    lengths = torch.zeros(size, dtype=torch.long, device=device)
    nll = torch.zeros(size, dtype=torch.float64, device=device)
    lines = torch.arange(size, device=device)  # those not ended; B of them
    row = torch.zeros_like(lines)  # (B,): the row of the model's work, one of R, that each line takes part in
    token, state = torch.full((1,), BOUNDARY, device=device), None
    for place in range(max_length + 1):
        logits, state = model.step(token, state)  # (R, V)
        log_probs = logits.float().log_softmax(1)[row]  # (B, V)
        if place < len(prompt):
            drawn = prompt[place].expand(len(lines))
        elif place == max_length:
            drawn = torch.full_like(lines, BOUNDARY)  # cut: the figure is that of the line as it stands
        else:
            drawn = choose(_without_end(log_probs) if place < min_length else log_probs, *filters, generator)
        nll[lines] -= log_probs.gather(1, drawn[:, None])[:, 0].double()
        going_on = drawn != BOUNDARY
        lines, row, drawn = lines[going_on], row[going_on], drawn[going_on]
        if len(lines) == 0:
            break
        ids[lines, place] = drawn
        lengths[lines] += 1
        token, row, state = _share(drawn, row, state, len(token), logits.shape[1])
    return ids, lengths, nll


def _share(
    drawn: Tensor, row: Tensor, state: tuple[Tensor, ...], rows: int, size: int
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Rows for the next step: one for each row of the last and token drawn there.

    Args:
        drawn: Token of each line, `(B,)`.
        row: Row of each line in the last step, `(B,)`.
        state: The model's state after the last step, of all rows.
        rows: Number of rows of the last step.
        size: Number of tokens, V.

    Returns:
        Token of each new row, new row of each line, and the state of the new rows.
    """
    pairs, new_row = torch.unique(row * size + drawn, return_inverse=True)
    parent, token = pairs // size, pairs % size
    if 4 * len(pairs) > 3 * rows and bool((parent[1:] > parent[:-1]).all()):
        # No row parts into two and few have ended: carrying those along costs less than copying the state.
        return torch.zeros(rows, dtype=torch.long, device=row.device).scatter(0, parent, token), row, state
    return token, new_row, tuple(tensor[parent] for tensor in state)


def _without_end(log_probs: Tensor) -> Tensor:
    allowed = log_probs.clone()
    allowed[:, BOUNDARY] = -torch.inf
    if allowed.isneginf().all(1).any():
        raise UserError("a sample shorter than min_length can only end: lower --min_length")
    return allowed


def choose(
    logits: Tensor, temperature: float, top_k: int | None, top_p: float | None, generator: torch.Generator
) -> Tensor:
    """Draw a token from each row of logits `(B, V)`; returns `(B,)` long. Arguments as in `generate`."""
    if temperature < torch.finfo(logits.dtype).tiny:  # 0, or what the division would take for it
        return logits.argmax(1)
    # The largest is moved to 0 first, so that a temperature near 0 overflows to the argmax and not to nan.
    probs = ((logits - logits.amax(1, keepdim=True)) / temperature).softmax(1)
    if top_k is not None or top_p is not None:
        # A stable sort: of equals the first stays, as with argmax.
        ordered, order = probs.sort(dim=1, descending=True, stable=True)
        if top_k is not None:
            ordered[:, top_k:] = 0
        if top_p is not None:
            before = ordered.cumsum(1) - ordered  # probability of all likelier ones
            ordered[:, 1:][before[:, 1:] >= top_p * ordered.sum(1, keepdim=True)] = 0  # the likeliest always stays
        probs = torch.zeros_like(probs).scatter(1, order, ordered)
    return torch.multinomial(probs, 1, replacement=True, generator=generator)[:, 0]
