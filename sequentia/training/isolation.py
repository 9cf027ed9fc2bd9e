"""Training inside a Python program: what `fit` changes in the calling process is restored."""

import logging
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

_LOGGERS = ("sequentia", "py.warnings", "lightning.pytorch", "lightning.fabric", "lightning.pytorch.profilers")
_VARIABLES = ("PL_GLOBAL_SEED", "PL_SEED_WORKERS", "JSONARGPARSE_DEPRECATION_WARNINGS")
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, name)]


@contextmanager
def isolated() -> Iterator[None]:
    """Restore logging, warnings, signal handlers, environment variables and random numbers when the block ends."""
    with _random_numbers(), _logging(), warnings.catch_warnings(), _signal_handlers(), _environment(), _path():
        yield


@contextmanager
def _random_numbers() -> Iterator[None]:
    before = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


@contextmanager
def _logging() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger.level, logger.propagate, logger.handlers) for logger in loggers]
    captured = getattr(warnings.showwarning, "__module__", None) == "logging"
    try:
        yield
    finally:
        logging.captureWarnings(captured)
        for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
            logger.setLevel(level)
            logger.propagate, logger.handlers = propagate, handlers


@contextmanager
def _signal_handlers() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # no other thread has handlers
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # not installed from Python
                signal.signal(number, handler)


@contextmanager
def _path() -> Iterator[None]:
    before = sys.path[:]
    try:
        yield
    finally:
        sys.path[:] = before


@contextmanager
def _environment() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _VARIABLES}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
