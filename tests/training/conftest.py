"""Processes that tests of runs share: they are slow to start."""

from collections.abc import Iterator

import pytest

from tests.training.runs import ForkServer, Straight


@pytest.fixture(scope="session")
def fit() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def straight(fit: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Straight:
    return Straight(fit, tmp_path_factory.mktemp("runs"))
