"""Model -> strings, a character at a time; no data module, no Trainer."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sequentia.errors import UserError
from sequentia.vocabulary import BOUNDARY

if TYPE_CHECKING:
    from sequentia.models.base import LanguageModel

UNLIMITED = 1000
"""Longest sample, in characters, of a model that has no limit of its own: one that never ends must not run forever."""


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


def longest_sample(model: "LanguageModel") -> int:
    """The most characters that a sample of `model` can have and still be ended by the model."""
    return UNLIMITED if model.max_positions is None else model.max_positions - 1


@torch.inference_mode()
def generate(
    model: "LanguageModel",
    num_samples: int,
    *,
    prompt: str = "",
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_length: int = 0,
    max_length: int | None = None,
    seed: int | None = None,
    batch_size: int = 1000,
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
        batch_size: Lines drawn side by side.

    Yields:
        The samples, in the order drawn.

    Raises:
        UserError: An option is out of its range, or the model does not know a character of the prompt.
    """
    prompt_ids = torch.from_numpy(model.vocabulary.encode(prompt)).to(model.device)
    longest = longest_sample(model)
    if max_length is None:
        max_length = longest
    checks = (
        ("num_samples", num_samples, num_samples >= 0, "at least 0"),
        ("temperature", temperature, 0 <= temperature < float("inf"), "a number, at least 0"),
        ("top_k", top_k, top_k is None or top_k >= 1, "at least 1"),
        ("top_p", top_p, top_p is None or 0 < top_p <= 1, "above 0 and at most 1"),
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
        model.eval()
        try:
            size = min(batch_size, num_samples - start)
            filters = (temperature, top_k, top_p)
            ids, lengths, nll = _draw(model, size, prompt_ids, filters, min_length, max_length, generator)
        finally:
            model.train(was_training)
        for row, length, cost in zip(ids.cpu().numpy(), lengths.tolist(), nll.tolist(), strict=True):
            yield Sample(model.vocabulary.decode(row[:length]), cost)


def _draw(
    model: "LanguageModel",
    size: int,
    prompt: Tensor,
    filters: tuple[float, int | None, float | None],
    min_length: int,
    max_length: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw one batch of `size` lines.

    Lines that have ended leave the batch once they are half of it, so that the work falls with the lines left.

    Returns:
        Ids `(size, max_length)`, number of characters `(size,)`, and NLL `(size,)`.
    """
    device = prompt.device
    ids = torch.zeros(size, max_length, dtype=torch.long, device=device)
    lengths = torch.zeros(size, dtype=torch.long, device=device)
    nll = torch.zeros(size, dtype=torch.float64, device=device)
    lines = torch.arange(size, device=device)  # those in the batch; B of them
    open_ = torch.ones(size, dtype=torch.bool, device=device)  # (B,): not ended yet
    token, state = torch.full((size,), BOUNDARY, device=device), None
    for place in range(max_length + 1):
        logits, state = model.step(token, state)  # (B, V)
        log_probs = logits.float().log_softmax(1)
        if place < len(prompt):
            token = prompt[place].expand(len(lines))
        elif place == max_length:
            token = torch.full_like(token, BOUNDARY)  # cut: the figure is that of the line as it stands
        else:
            token = choose(_without_end(log_probs) if place < min_length else log_probs, *filters, generator)
        cost = -log_probs.gather(1, token[:, None])[:, 0].double()
        nll[lines] += cost.where(open_, 0.0)
        open_ &= token != BOUNDARY
        left = int(open_.sum())
        if left == 0:
            break
        if 2 * left <= len(lines):
            keep = open_.nonzero()[:, 0]
            lines, token, open_ = lines[keep], token[keep], open_[keep]
            state = tuple(tensor[keep] for tensor in state)
        now = lines[open_]
        ids[now, place] = token[open_]
        lengths[now] += 1
    return ids, lengths, nll


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
    if temperature == 0:
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
            ordered[before >= top_p * ordered.sum(1, keepdim=True)] = 0
        probs = torch.zeros_like(probs).scatter(1, order, ordered)
    return torch.multinomial(probs, 1, replacement=True, generator=generator)[:, 0]
