"""Processes that tests of runs share: they are slow to start."""

from collections.abc import Iterator

import pytest

from tests.training.runs import ForkServer, Straight


@pytest.fixture(scope="session", autouse=True)
def _one_thread_in_processes() -> Iterator[None]:
    """Runs are the same to the bit with the same number of threads alone; forked ones have one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def fit() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def straight(fit: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Straight:
    return Straight(fit, tmp_path_factory.mktemp("runs"))
