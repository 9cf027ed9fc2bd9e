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
from sequentia.inference.conditions import Conditions
from sequentia.inference.model import Model, check_probabilities, evaluating
from sequentia.inference.options import SamplingOptions, takes_sampling_options
from sequentia.text import shorten
from sequentia.vocabulary import BOUNDARY

_PATIENCE = 1_000_000
"""Give up after this many characters without a line that is wanted."""


@dataclass(frozen=True)
class Sample:
    """A sampled line.

    Attributes:
        text: The line.
        nll: Negative log-likelihood of the line in nats, prompt and end included, under the unmodified model
            (temperature 1, no filtering): what `score` returns for it. Given its label, if it has one.
        label: The label that it was drawn with; empty if it has none.
    """

    text: str
    nll: float
    label: str = ""

    @property
    def shown(self) -> str:
        """The line for a list of lines, with its label in front if it has one: `F  emma`."""
        return "  ".join(filter(None, (self.label, self.text or "(empty)")))


class Draws(Iterator[Sample]):
    """Lines drawn from a model, batch by batch, until enough of them meet all conditions.

    Drawing from a prompt ends early after 1,000,000 characters without a line that is wanted; at temperature 0, where
    every draw is the same line, after the first.

    Args:
        model: Any architecture. It is switched to evaluation mode while a batch is sampled.
        num_samples: Number of lines for each prompt.
        options: Which lines are drawn, and how.

    Attributes:
        wanted: Number of lines that are wanted, for all prompts.
        found: Number of them found so far.
        drawn: Number of lines drawn for that.
        conditions: The conditions, with the number of lines that each has refused.
        after_batch: Called whenever a batch has been looked through, to show the progress.

    Raises:
        UserError: An option is out of range, a character of a prompt is not in the vocabulary, or no line can meet
            the conditions. While drawing: the model's probabilities are NaN.
    """

    def __init__(self, model: Model, num_samples: int, options: SamplingOptions) -> None:
        if num_samples < 0:
            raise UserError(f"num_samples must be at least 0, got {num_samples}")
        self.conditions = Conditions(model, options)
        self.wanted = num_samples * len(self.conditions.prompts)
        self.found = self.drawn = 0
        self.after_batch: Callable[[], object] = lambda: None
        self._model, self._num_samples = model, num_samples
        _, self._batch_size = options.limits(model)
        generator = torch.Generator(model.device)
        generator.manual_seed(secrets.randbits(63) if options.seed is None else options.seed)
        self._choose = partial(choose, options=options, generator=generator)
        same = options.temperature == 0 or options.top_k == 1  # every draw is the same line
        self._patience = 1 if same else _PATIENCE
        starts, frequencies = model.vocabulary.starts(options.label)
        self._starts = torch.from_numpy(starts).to(model.device)  # (S,)
        self._prior = torch.from_numpy(frequencies).to(model.device).log()  # (S,)
        self._generator = generator
        self._short: list[str] = []
        self._samples = self._until_found()

    def __next__(self) -> Sample:
        return next(self._samples)

    def _until_found(self) -> Iterator[Sample]:
        for prompt in self.conditions.prompts:
            found, drawn, patience = 0, 0, self._patience
            while found < self._num_samples and patience > 0:
                # As many as suffice if the share of wanted lines stays as it is.
                missing = (self._num_samples - found) * (drawn + 1) // (found + 1)
                with evaluating(self._model):  # left before the caller can train the model
                    batch = self.batch(missing, prompt)
                for sample, ended in batch:
                    drawn, self.drawn = drawn + 1, self.drawn + 1
                    patience -= len(sample.text) + 1
                    if self.conditions.meets(sample.text, ended):
                        found, self.found = found + 1, self.found + 1
                        patience = self._patience
                        yield sample
                        if found == self._num_samples:
                            break
                self.after_batch()
            if found < self._num_samples:
                self._short.append(prompt)

    @property
    def fitting(self) -> int:
        """Number of lines drawn that meet the conditions, those that `unique` excludes included."""
        refused = self.conditions.refused
        return self.drawn - (refused.total() - refused["unique"])

    def frequency(self) -> str:
        """How common the lines that meet the conditions are, as far as the draws tell.

        If there is none, only lines that reach the model's limit are left out.
        """
        if self.fitting and not self.conditions.exist:
            count = self.drawn - self.fitting
            return f"{count:,} of {self.drawn:,} lines reached the model's limit without an end, and were drawn again"
        which = _that_begin_with(self.conditions.prompts)
        if not self.fitting:  # with a probability p, n draws would find none in exp(-np) of all cases
            return f"fewer than 1 in {self.drawn // 3 + 1:,} lines{which} fits (95% confidence)"
        return f"1 in {self.drawn / self.fitting:,.3g} lines{which} fits"

    def shortage(self) -> str:
        """Why fewer lines were found than wanted, and the remedy; empty if there are enough."""
        if self.found == self.wanted:
            return ""
        found = f"found {self.found:,} of {self.wanted:,} lines in {self.drawn:,} draws"
        if len(self.conditions.prompts) > 1:
            found += f", too few{_that_begin_with(self._short)}"
        frequency = [self.frequency()] if self.conditions.exist else []
        return "; ".join([found, *frequency, self.conditions.most_refused()])

    @torch.inference_mode()
    def batch(self, size: int, prompt: str) -> list[tuple[Sample, bool]]:
        """Draw lines, as many as fit in a batch, without regard to the conditions that only a whole line can meet.

        Lines with equal prefixes use the same row of the model's batch; at the start there is a row for each label.
        Lines that have ended are dropped, and so are those that cannot meet the conditions any more.

        Args:
            size: Largest number of lines.
            prompt: The beginning of all of them.

        Returns:
            Each line, or the beginning of it after which it was given up; and whether its end was drawn.
        """
        model, conditions, size = self._model, self.conditions, min(size, self._batch_size)
        device = model.device
        given = torch.from_numpy(model.vocabulary.encode(prompt)).to(device)  # (P,)
        ids = torch.full((size, 1 + len(given)), BOUNDARY, device=device)  # max_length may far exceed most lines
        ids[:, : len(given)] = given
        ended = torch.zeros(size, dtype=torch.bool, device=device)
        token, state, nll = self._read(given)
        lines = torch.arange(size, device=device)  # (B,), indices of the lines that go on
        row = self._draw_rows(size, nll)  # (B,), the row of each of these lines in the model's batch of R rows
        nlls, labels = nll[row], [model.vocabulary.label(start) for start in self._starts[row].tolist()]
        for position in range(len(given), conditions.max_length + 1):
            logits, state = model.step(token, state)  # (R, V)
            log_probs = check_probabilities(logits.float().log_softmax(1))[row]  # (B, V)
            chosen = self._choose(log_probs)
            nlls[lines] -= log_probs.gather(1, chosen[:, None])[:, 0].double()
            goes_on = chosen != BOUNDARY
            ended[lines[~goes_on]] = True
            lines, row, chosen = lines[goes_on], row[goes_on], chosen[goes_on]
            if len(lines) == 0 or position == conditions.max_length:
                break
            if position == ids.shape[1]:
                ids = F.pad(ids, (0, position), value=BOUNDARY)
            ids[lines, position] = chosen
            if conditions.prunes:
                pairs, distinct = torch.unique(row * logits.shape[1] + chosen, return_inverse=True)
                one = torch.empty_like(pairs).scatter(0, distinct, lines)  # a line of each
                kept = conditions.can_begin(ids[one, : position + 1])[distinct]
                lines, row, chosen = lines[kept], row[kept], chosen[kept]
                if len(lines) == 0:
                    break
            token, row, state = _next_rows(chosen, row, state, len(token), logits.shape[1])
        text = model.vocabulary.decode(ids[ids != BOUNDARY].cpu().numpy())  # all lines, concatenated
        ends = (ids != BOUNDARY).sum(1).cumsum(0).tolist()
        return [
            (Sample(text[start:end], nll, label), has_end)
            for start, end, nll, label, has_end in zip(
                [0, *ends], ends, nlls.tolist(), labels, ended.tolist(), strict=False
            )
        ]

    def _read(self, prompt: Tensor) -> tuple[Tensor, tuple[Tensor, ...] | None, Tensor]:
        """Read a prompt `(P,)` after each start: the last token `(S,)`, the state before it, and the NLL `(S,)`."""
        token, state, nll = self._starts, None, torch.zeros_like(self._prior)
        for following in prompt:
            logits, state = self._model.step(token, state)
            nll -= check_probabilities(logits.float().log_softmax(1))[:, following].double()
            token = following.expand(len(token))
        return token, state, nll

    def _draw_rows(self, size: int, nll: Tensor) -> Tensor:
        """Draw the start of each line, given that the prompt with this NLL `(S,)` follows; `(size,)` long."""
        if len(nll) == 1:
            return torch.zeros(size, dtype=torch.long, device=nll.device)
        log_weights = self._prior - nll
        weights = (self._prior if log_weights.isneginf().all() else log_weights).softmax(0)
        return torch.multinomial(weights, size, replacement=True, generator=self._generator)


@takes_sampling_options
def generate(model: Model, num_samples: int, **options: Any) -> Draws:
    """Draw lines from a model.

    Args:
        model: Any architecture.
        num_samples: Number of lines, for each prompt if there are several.
        options: The fields of `SamplingOptions`: `prompt`, `match`, `temperature`, `seed`, ...

    Returns:
        An iterator over the samples, prompt by prompt, in the order drawn.

    Raises:
        UserError: See `Draws`.
    """
    return Draws(model, num_samples, SamplingOptions(**options))


def drafts(model: Model, num_samples: int, **options: Any) -> list[Sample]:
    """Lines to judge a model by, whatever its state: those that reach the maximum length are cut, not drawn again.

    A model at the start of its training hardly ever ends a line.

    Args:
        model: Any architecture.
        num_samples: Number of lines.
        options: Fields of `SamplingOptions` that make no condition: `max_length`, `temperature`, `seed`, ...

    Raises:
        UserError: See `Draws`.
    """
    draws = Draws(model, num_samples, SamplingOptions(**options))
    samples: list[Sample] = []
    with evaluating(model):
        while len(samples) < num_samples:
            samples += [sample for sample, _ in draws.batch(num_samples - len(samples), "")]
    return samples


def _that_begin_with(prompts: list[str]) -> str:
    return f" that begin with {shorten(' or '.join(map(repr, prompts)))}" if all(prompts) else ""


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
