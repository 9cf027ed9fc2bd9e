"""All processes that a launcher starts train one run, or the options are refused."""

import pytest
from jsonargparse import Namespace

from sequentia.errors import UserError
from sequentia.training.loop.processes import check_launcher


def options(**changes: object) -> Namespace:
    values = {"accelerator": "cpu", "devices": "auto", "num_nodes": 1, "strategy": "auto"}
    return Namespace(**values | changes)


@pytest.fixture
def torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the first of four processes."""
    values = {"TORCHELASTIC_RUN_ID": "run", "WORLD_SIZE": 4, "RANK": 0, "LOCAL_RANK": 0, "GROUP_RANK": 0}
    values |= {"LOCAL_WORLD_SIZE": 4, "MASTER_ADDR": "localhost", "MASTER_PORT": 29500}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize(("nodes", "devices"), [(1, "4"), (2, "2")])
def test_the_processes_of_torchrun_are_adopted(torchrun: None, nodes: int, devices: str) -> None:
    trainer = options(num_nodes=nodes)
    check_launcher(trainer)
    assert trainer.devices == devices


@pytest.mark.parametrize("devices", [1, "2", 3])
def test_another_number_of_devices_than_processes_is_refused(torchrun: None, devices: int | str) -> None:
    with pytest.raises(UserError, match=f"torchrun started 4 processes, but trainer.devices {devices} and .* ask for"):
        check_launcher(options(devices=devices))


def test_a_matching_number_of_devices_is_kept(torchrun: None) -> None:
    trainer = options(devices=4)
    check_launcher(trainer)
    assert trainer.devices == 4


def test_without_a_launcher_nothing_changes() -> None:
    trainer = options()
    check_launcher(trainer)
    assert trainer == options()


@pytest.mark.parametrize("strategy", ["ddp_spawn", "ddp_fork", "ddp_notebook", "ddp_find_unused_parameters_true_spawn"])
def test_strategies_that_start_processes_from_python_are_refused(strategy: str) -> None:
    with pytest.raises(UserError, match=f"trainer.strategy {strategy} .* set --trainer.strategy ddp"):
        check_launcher(options(strategy=strategy))
