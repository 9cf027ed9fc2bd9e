"""The textbook loop, the baseline of training speed: plain PyTorch as in tutorials.

Lines are encoded one by one in Python and padded to the longest line of the file. Masks, softmax, GELU and recurrent
cells are written out. The optimizer is AdamW with a constant learning rate. The weights are a copy of sequentia's
model, so that the losses of both programs must agree.
"""

import copy
import math
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


class Lines(Dataset[tuple[Tensor, Tensor]]):
    """Context and target of each line, both padded.

    Args:
        lines: The lines.
        characters: The vocabulary without the boundary token.
        max_length: Number of characters to pad to.
    """

    def __init__(self, lines: list[str], characters: str, max_length: int) -> None:
        self.lines, self.max_length = lines, max_length
        self.ids = {character: i for i, character in enumerate(characters, start=1)}

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        ids = torch.tensor([self.ids[character] for character in self.lines[index]])
        context = torch.zeros(self.max_length + 1, dtype=torch.long)
        target = torch.full((self.max_length + 1,), -1)
        context[1 : 1 + len(ids)] = ids
        target[: len(ids)] = ids
        target[len(ids)] = 0
        return context, target


def bigram(m: Any, context: Tensor) -> Tensor:
    return m.logits.weight[context]


def bow(m: Any, context: Tensor) -> Tensor:
    B, T = context.shape
    x = m.token_embedding(context) + m.position_embedding(torch.arange(T))
    mask = torch.tril(torch.ones(T, T)).view(1, T, T)
    weight = torch.zeros(B, T, T).masked_fill(mask == 0, -math.inf).softmax(-1)
    x = x + weight @ x
    x = x + m.proj(torch.tanh(m.expand(x)))
    return m.head(x)


def mlp(m: Any, context: Tensor) -> Tensor:
    embeddings = []
    for _ in range(m.window):
        embeddings.append(m.embedding(context))
        context = torch.roll(context, 1, 1)
        context[:, 0] = 0
    return m.head(torch.tanh(m.hidden(torch.cat(embeddings, -1))))


def rnn(m: Any, context: Tensor) -> Tensor:
    cell, x = m.layers, m.embedding(context)
    h = m.start.expand(len(context), -1)
    states = []
    for t in range(context.shape[1]):
        h = torch.tanh(
            F.linear(x[:, t], cell.weight_ih_l0, cell.bias_ih_l0) + F.linear(h, cell.weight_hh_l0, cell.bias_hh_l0)
        )
        states.append(h)
    return m.head(torch.stack(states, 1))


def gru(m: Any, context: Tensor) -> Tensor:
    cell, x = m.layers, m.embedding(context)
    h = m.start.expand(len(context), -1)
    states = []
    for t in range(context.shape[1]):
        xr, xz, xn = F.linear(x[:, t], cell.weight_ih_l0, cell.bias_ih_l0).chunk(3, -1)
        hr, hz, hn = F.linear(h, cell.weight_hh_l0, cell.bias_hh_l0).chunk(3, -1)
        r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        n = torch.tanh(xn + r * hn)
        h = (1 - z) * n + z * h
        states.append(h)
    return m.head(torch.stack(states, 1))


def lstm(m: Any, context: Tensor) -> Tensor:
    cell, x = m.layers, m.embedding(context)
    h, c = (state.expand(len(context), -1) for state in m.start.chunk(2))
    states = []
    for t in range(context.shape[1]):
        i, f, g, o = (
            F.linear(x[:, t], cell.weight_ih_l0, cell.bias_ih_l0) + F.linear(h, cell.weight_hh_l0, cell.bias_hh_l0)
        ).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        states.append(h)
    return m.head(torch.stack(states, 1))


def transformer(m: Any, context: Tensor) -> Tensor:
    T = context.shape[1]
    mask = torch.tril(torch.ones(T, T)).view(1, 1, T, T)
    x = m.token_embedding(context) + m.position_embedding(torch.arange(T))
    for block in m.blocks:
        x = x + _attention(block.attention, block.norm1(x), mask)
        h = block.expand(block.norm2(x))
        h = 0.5 * h * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (h + 0.044715 * torch.pow(h, 3.0))))
        x = x + block.proj(h)
    return m.head(m.norm(x))


def _attention(m: Any, x: Tensor, mask: Tensor) -> Tensor:
    B, T, C = x.shape
    q, k, v = (y.view(B, T, m.n_head, C // m.n_head).transpose(1, 2) for y in m.qkv(x).split(C, -1))
    scores = (q @ k.transpose(-2, -1)) / math.sqrt(k.shape[-1])
    weight = scores.masked_fill(mask == 0, -math.inf).softmax(-1)
    return m.proj((weight @ v).transpose(1, 2).contiguous().view(B, T, C))


FORWARD = {
    "Bigram": bigram,
    "BagOfWords": bow,
    "MLP": mlp,
    "RNN": rnn,
    "GRU": gru,
    "LSTM": lstm,
    "Transformer": transformer,
}
"""Architecture -> its forward pass, given a sequentia model and context `(B, T)`; returns logits `(B, T, V)`."""


class Trained(NamedTuple):
    """A trained model, and the seconds and loss of each step."""

    model: nn.Module
    seconds: list[float]
    losses: list[float]


def train(
    model: nn.Module, lines: Lines, order: Iterable[int], batch_size: int, lr: float, max_seconds: float = math.inf
) -> Trained:
    """Train a copy of `model` on `lines` in the given order, until the order ends or the time is up."""
    model = copy.deepcopy(model)
    forward = FORWARD[type(model).__name__]
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01, betas=(0.9, 0.99), eps=1e-8)
    seconds: list[float] = []
    losses: list[float] = []
    loader = DataLoader(lines, batch_size=batch_size, sampler=order, num_workers=0)
    begin = start = time.perf_counter()
    for context, target in loader:
        logits = forward(model, context)
        loss = F.cross_entropy(logits.view(-1, logits.size(-1)), target.view(-1), ignore_index=-1)
        model.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        now = time.perf_counter()
        seconds.append(now - start)
        start = now
        if now - begin > max_seconds:
            break
    return Trained(model, seconds, losses)
