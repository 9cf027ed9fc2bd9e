"""Runs `sequentia` in processes that have Lightning imported already, and kills them at a given point.

Importing takes seconds, too long for a hundred kills. This process imports once and forks for each run; a fork is a
separate process, which SIGKILL ends like any other. Requests are lines of JSON on stdin:

    arguments  the arguments of `sequentia`
    cwd        its working directory
    log        file for its stdout and stderr
    kill       null, {"after": seconds}, or {"call": name, "count": n}: kill just before the n-th call of a function
               in CALLS or of a hook of Lightning's callbacks
    signal     optional, {"hook": name, "count": n, "signum": number}: send a signal in the n-th call of a hook; with
               "twice": true, another one in the next call
    warn       optional, {"hook": name, "count": n, "text": message}: issue a warning in the n-th call of a hook
    full       optional, n: from the n-th checkpoint on, a file can have only 9,000 bytes
    nohup      optional, true: ignore SIGHUP
    columns    optional, the width of a terminal that is stdin, stdout and stderr; the log is its output

The answer is a line with the exit code, negative for a signal.
"""

import fcntl
import json
import os
import resource
import signal
import struct
import sys
import termios
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.trainer import call
from torch.utils import tensorboard  # noqa: F401 (imported here because a run imports it late)

import sequentia.training.cli  # noqa: F401 (likewise)
from sequentia.cli import main
from sequentia.training.logs.tensorboard import TensorBoardSummary


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def patch(owner: Any, name: str, before: Callable[..., bool]) -> None:
    """Call `before` with the arguments of each call of `owner.name`; if it returns True, the process dies."""
    original = getattr(owner, name)

    def patched(*args: Any, **kwargs: Any) -> Any:
        if before(*args, **kwargs):
            die()
        return original(*args, **kwargs)

    setattr(owner, name, patched)


def kill_at(name: str, count: int) -> None:
    """Die just before the `count`-th call of `name`: a function in CALLS or a hook of Lightning's callbacks."""
    left = count

    def counted(*args: Any, **kwargs: Any) -> bool:
        nonlocal left
        if name not in CALLS and args[1] != name:
            return False
        left -= 1
        return left == 0

    owner, attribute = CALLS.get(name, (call, "_call_callback_hooks"))
    patch(owner, attribute, counted)


def write_half(count: int) -> None:
    """Die in the `count`-th write of a checkpoint, with half of it in the file."""
    left = count
    original = torch.save

    def save(value: Any, to: Any) -> None:
        nonlocal left
        original(value, to)
        left -= 1
        if left == 0:
            content = to.getbuffer()
            open_ = Path.open

            def opened(path: Path, *args: Any, **kwargs: Any) -> Any:
                file = open_(path, *args, **kwargs)
                if path.suffix == ".tmp":
                    file.write(content[: len(content) // 2])
                    file.flush()
                    die()
                return file

            Path.open = opened  # type: ignore[method-assign, assignment]

    torch.save = save  # type: ignore[assignment]


CALLS: dict[str, tuple[Any, str]] = {"save": (torch, "save"), "fsync": (os, "fsync"), "replace": (Path, "replace")}


def fill_disk(count: int) -> None:
    """Limit the size of files just before the `count`-th call of `torch.save`."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write fails instead
    left = count

    def limit(*args: Any, **kwargs: Any) -> bool:
        nonlocal left
        left -= 1
        if left == 0:
            resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))
        return False

    patch(torch, "save", limit)


def in_hook(hook: str, counts: set[int], action: Callable[[], None]) -> None:
    """Do something in these calls of a hook."""
    calls = 0

    def act(*args: Any, **kwargs: Any) -> bool:
        nonlocal calls
        if args[1] == hook:
            calls += 1
            if calls in counts:
                action()
        return False

    patch(call, "_call_callback_hooks", act)


def run(request: dict[str, Any]) -> None:
    os.chdir(request["cwd"])
    if columns := request.get("columns"):
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    else:
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
    torch.set_num_threads(1)
    if request.get("nohup"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    kill = request["kill"] or {}
    if kill.get("call") == "half":
        write_half(kill["count"])
    elif "call" in kill:
        kill_at(kill["call"], kill["count"])
    if sent := request.get("signal"):
        counts = {sent["count"], sent["count"] + sent.get("twice", False)}
        in_hook(sent["hook"], counts, lambda: os.kill(os.getpid(), sent["signum"]))
    if issued := request.get("warn"):
        in_hook(issued["hook"], {issued["count"]}, lambda: warnings.warn(issued["text"], stacklevel=1))
    if full := request.get("full"):
        fill_disk(full)
    sys.argv = ["sequentia", *request["arguments"]]
    code = main(request["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def keep_output(terminal: int, log: str) -> None:
    """Write what a terminal receives to a file until its last process has ended."""
    with open(log, "ab") as file:
        while True:
            try:
                received = os.read(terminal, 65536)
            except OSError:
                break
            if not received:  # how systems other than Linux report the end
                break
            file.write(received)
    os.close(terminal)


def serve() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        pid, terminal = os.forkpty() if "columns" in request else (os.fork(), None)
        if pid == 0:
            try:
                run(request)
            finally:
                import traceback

                traceback.print_exc()
                sys.stderr.flush()
                os._exit(70)
        after = (request["kill"] or {}).get("after")
        if after is not None:
            time.sleep(after)
            os.kill(pid, signal.SIGKILL)
        if terminal is not None:
            keep_output(terminal, request["log"])
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    assert threading.active_count() == 1, "a fork keeps only the thread that forks"
    TensorBoardSummary.on_fit_end = lambda *args: None  # type: ignore[method-assign] # slow, as in tests/conftest.py
    serve()
