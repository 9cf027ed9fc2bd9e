"""Processes that the tests of runs share, because they are slow to start."""

from collections.abc import Iterator

import pytest

from tests.training.runs import ForkServer, Uninterrupted


@pytest.fixture(scope="session", autouse=True)
def _one_thread_in_processes() -> Iterator[None]:
    """Runs are bit-identical only with the same number of threads, and forked ones have one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def fit() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def uninterrupted(fit: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    return Uninterrupted(fit, tmp_path_factory.mktemp("runs"))
