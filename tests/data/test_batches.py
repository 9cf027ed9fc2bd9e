"""Batches contain every line exactly once per epoch, for any number of processes and from any starting point."""

from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from sequentia.data.batches import EvalBatches, TrainBatches, make_batch
from sequentia.data.corpus import Corpus, read_corpus
from sequentia.inference.batch import Batch


def unpack(corpus: Corpus, batches: list[Batch]) -> Counter[str]:
    """The lines of some batches, recovered from the tensors alone."""
    found: Counter[str] = Counter()
    for batch in batches:
        for context, target, position in zip(batch.context, batch.target, batch.position, strict=True):
            kept = target != -100
            starts = [int(i) for i in ((position == 0) & kept).nonzero()[:, 0]]
            ends = [*starts[1:], int(kept.sum())] if starts else []  # a process may have run out of lines
            for a, b in zip(starts, ends, strict=True):
                assert context[a] == 0
                assert target[b - 1] == 0
                assert context[a + 1 : b].tolist() == target[a : b - 1].tolist()
                assert position[a:b].tolist() == list(range(b - a))
                found[corpus.vocabulary.decode(target[a : b - 1].numpy())] += 1
            assert not context[~kept].any()
            assert not position[~kept].any()
    return found


def test_the_batch_of_emma_is_the_one_made_by_hand(write: Callable[..., str]) -> None:
    corpus = read_corpus([write(["emma", "abcdefghijklmnopqrstuvwxyz"])])
    batch = make_batch(corpus, np.array([0]))
    assert batch.context.tolist() == [[0, 5, 13, 13, 1]]
    assert batch.target.tolist() == [[5, 13, 13, 1, 0]]
    assert batch.position.tolist() == [[0, 1, 2, 3, 4]]
    assert batch.total == 5


@pytest.mark.parametrize("longest", [1, 8, 30, 200])
def test_packing_keeps_every_line_once_with_at_most_5_percent_padding(write: Callable[..., str], longest: int) -> None:
    draw = np.random.default_rng(longest)
    lines = ["".join(draw.choice(list("abc"), size=draw.integers(1, longest + 1))) for _ in range(256)]
    corpus = read_corpus([write(lines)])
    batch = make_batch(corpus, np.arange(len(corpus)))
    assert unpack(corpus, [batch]) == Counter(lines)
    assert batch.total == sum(map(len, lines)) + len(lines)
    assert (batch.target == -100).float().mean() <= 0.05


@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 4, 7, 100])
def test_each_epoch_has_every_line_once_across_processes(corpus: Corpus, processes: int, size: int) -> None:
    lines = np.arange(len(corpus))
    every_line_once = Counter(corpus.line(int(i)) for i in lines)
    loaders = [TrainBatches(corpus, lines, size, 5, rank, processes) for rank in range(processes)]
    batches = [list(loader) for loader in loaders]
    assert {len(each) for each in batches} == {len(loaders[0])}
    assert unpack(corpus, [batch for each in batches for batch in each]) == every_line_once
    # The mean over processes of (summed loss / total) is the summed loss of all lines / all predicted characters.
    for same_step in zip(*batches, strict=True):
        assert {batch.total for batch in same_step} == {
            sum(int((b.target != -100).sum()) for b in same_step) / processes
        }
    evaluated = [EvalBatches(corpus, lines, size, rank, processes) for rank in range(processes)]
    assert len({len(each) for each in evaluated}) == 1
    assert unpack(corpus, [batch for each in evaluated for batch in each]) == every_line_once


def at(epoch: int, done: int) -> tuple[int, int]:
    return epoch, done


def test_batches_do_not_depend_on_where_iteration_started(corpus: Corpus) -> None:
    lines = np.arange(len(corpus))
    for epoch in (0, 3):
        whole = list(TrainBatches(corpus, lines, 3, 5, progress=partial(at, epoch, 0)))
        for done in range(len(whole) + 1):
            rest = list(TrainBatches(corpus, lines, 3, 5, progress=partial(at, epoch, done)))
            assert len(rest) == len(whole) - done
            for a, b in zip(rest, whole[done:], strict=True):
                assert a.context.equal(b.context)
                assert a.target.equal(b.target)
                assert a.position.equal(b.position)
                assert a.total == b.total


def test_the_order_depends_on_seed_and_epoch(corpus: Corpus) -> None:
    lines = np.arange(len(corpus))

    def order(seed: int, epoch: int) -> list[list[int]]:
        batches = TrainBatches(corpus, lines, 1, seed, progress=lambda: (epoch, 0))
        return [batch.target[0].tolist() for batch in batches]

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)
