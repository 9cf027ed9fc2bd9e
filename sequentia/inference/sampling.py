"""Model -> new lines, one character at a time. Needs neither a data module nor a Trainer."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sequentia.errors import UserError
from sequentia.inference.model import Model, check_probabilities, evaluating
from sequentia.inference.options import SamplingOptions
from sequentia.vocabulary import BOUNDARY


@dataclass(frozen=True)
class Sample:
    """A sampled line.

    Attributes:
        text: The line.
        nll: Negative log-likelihood of the line in nats, prompt and end included, under the unmodified model
            (temperature 1, no filtering): what `score` returns for it.
    """

    text: str
    nll: float


@torch.inference_mode()
def generate(model: Model, num_samples: int, **options: Any) -> Iterator[Sample]:
    """Sample lines from a model, batch by batch.

    Args:
        model: Any architecture. It is switched to evaluation mode while a batch is sampled.
        num_samples: Number of lines.
        options: The fields of `SamplingOptions`: `prompt`, `temperature`, `top_k`, `top_p`, `max_length`, `min_length`,
            `seed` and `batch_size`.

    Yields:
        The samples, in the order drawn.

    Raises:
        UserError: An option is out of range, a character of the prompt is not in the vocabulary, the model can only
            end a line before `min_length`, or its probabilities are NaN.
    """
    if num_samples < 0:
        raise UserError(f"num_samples must be at least 0, got {num_samples}")
    chosen = SamplingOptions(**options)
    chosen.check(model)
    max_length, batch_size = chosen.limits(model)
    prompt = torch.from_numpy(model.vocabulary.encode(model.vocabulary.normalize(chosen.prompt))).to(model.device)
    generator = torch.Generator(model.device)
    generator.manual_seed(secrets.randbits(63) if chosen.seed is None else chosen.seed)
    choose_next = partial(choose, options=chosen, generator=generator)
    for start in range(0, num_samples, batch_size):
        size = min(batch_size, num_samples - start)
        with evaluating(model):  # left before each yield: the caller may train the model between two samples
            ids, lengths, nlls = _sample_batch(model, size, prompt, choose_next, chosen.min_length, max_length)
        text = model.vocabulary.decode(ids[ids != BOUNDARY].cpu().numpy())  # all lines, concatenated
        end = 0
        for length, nll in zip(lengths.tolist(), nlls.tolist(), strict=True):
            yield Sample(text[end : end + length], nll)
            end += length


def _sample_batch(
    model: Model,
    size: int,
    prompt: Tensor,
    choose_next: Callable[[Tensor], Tensor],
    min_length: int,
    max_length: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Sample one batch of `size` lines.

    Lines with equal prefixes use the same row of the model's batch; at the start there is a single row. Lines that
    have ended are dropped.

    Args:
        model: In evaluation mode.
        size: Number of lines.
        prompt: Ids of the prompt, `(P,)`.
        choose_next: Draws a token from each row of log probabilities: `(B, V)` -> `(B,)`.
        min_length: See `SamplingOptions`.
        max_length: See `SamplingOptions`.

    Returns:
        Ids `(size, T)`, padded with the boundary; lengths in characters `(size,)`; NLLs in nats `(size,)`.
    """
    device = prompt.device
    ids = torch.full((size, 1), BOUNDARY, device=device)  # grows with the lines, which max_length may far exceed
    lengths = torch.zeros(size, dtype=torch.long, device=device)
    nlls = torch.zeros(size, dtype=torch.float64, device=device)
    lines = torch.arange(size, device=device)  # (B,), indices of the lines that have not ended
    row = torch.zeros_like(lines)  # (B,), the row of each of these lines in the model's batch of R rows
    token, state = torch.full((1,), BOUNDARY, device=device), None  # (R,)
    for position in range(max_length + 1):
        logits, state = model.step(token, state)  # (R, V)
        log_probs = check_probabilities(logits.float().log_softmax(1))[row]  # (B, V)
        if position < len(prompt):
            chosen = prompt[position].expand(len(lines))
        elif position == max_length:
            chosen = torch.full_like(lines, BOUNDARY)
        elif position < min_length:
            chosen = choose_next(_without_end(log_probs))
        else:
            chosen = choose_next(log_probs)
        nlls[lines] -= log_probs.gather(1, chosen[:, None])[:, 0].double()
        unfinished = chosen != BOUNDARY
        lines, row, chosen = lines[unfinished], row[unfinished], chosen[unfinished]
        if len(lines) == 0:
            break
        if position == ids.shape[1]:
            ids = F.pad(ids, (0, position), value=BOUNDARY)
        ids[lines, position] = chosen
        lengths[lines] += 1
        token, row, state = _next_rows(chosen, row, state, len(token), logits.shape[1])
    return ids, lengths, nlls


def _next_rows(
    chosen: Tensor, row: Tensor, state: tuple[Tensor, ...], num_rows: int, vocabulary_size: int
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """The rows of the next step: one for each distinct pair of a row and a token chosen in it.

    Args:
        chosen: Token chosen for each line, `(B,)`.
        row: Row of each line in the last step, `(B,)`.
        state: The model's state after the last step; the first dimension is R.
        num_rows: Number of rows of the last step, R.
        vocabulary_size: V.

    Returns:
        Token of each new row `(R',)`, new row of each line `(B,)`, and the state of the new rows.
    """
    pairs, new_row = torch.unique(row * vocabulary_size + chosen, return_inverse=True)
    parent, token = pairs // vocabulary_size, pairs % vocabulary_size
    if 4 * len(pairs) > 3 * num_rows and bool((parent[1:] > parent[:-1]).all()):
        # No row splits and few have ended: computing the ended rows too is cheaper than copying the state.
        return torch.zeros(num_rows, dtype=torch.long, device=row.device).scatter(0, parent, token), row, state
    return token, new_row, tuple(tensor[parent] for tensor in state)


def _without_end(log_probs: Tensor) -> Tensor:
    """Log probabilities `(B, V)` with the end masked out.

    Raises:
        UserError: A row gives no other token a probability above 0.
    """
    masked = log_probs.clone()
    masked[:, BOUNDARY] = -torch.inf
    if masked.isneginf().all(1).any():
        raise UserError("the model gives every continuation of a line below min_length probability 0: lower min_length")
    return masked


def choose(logits: Tensor, options: SamplingOptions, generator: torch.Generator) -> Tensor:
    """Draw a token from each row of logits.

    Args:
        logits: `(B, V)`.
        options: Temperature, top_k and top_p.
        generator: Source of randomness.

    Returns:
        `(B,)` long.
    """
    temperature, top_k, top_p = options.temperature, options.top_k, options.top_p
    if temperature < torch.finfo(logits.dtype).tiny:  # the division would treat a subnormal number as 0
        return logits.argmax(1)
    # With the maximum shifted to 0, a temperature near 0 overflows to the argmax instead of to NaN.
    probs = ((logits - logits.amax(1, keepdim=True)) / temperature).softmax(1)
    if top_k is not None or top_p is not None:
        ordered, order = probs.sort(dim=1, descending=True, stable=True)  # stable: breaks ties as argmax does
        if top_k is not None:
            ordered[:, top_k:] = 0
        if top_p is not None:
            before = ordered.cumsum(1) - ordered  # total probability of the more probable tokens
            # Never filters out the most probable token.
            ordered[:, 1:][before[:, 1:] >= top_p * ordered.sum(1, keepdim=True)] = 0
        probs = torch.zeros_like(probs).scatter(1, order, ordered)
    return torch.multinomial(probs, 1, replacement=True, generator=generator)[:, 0]
