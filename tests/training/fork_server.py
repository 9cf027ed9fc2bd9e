"""Runs `sequentia` in processes that have Lightning imported already, and kills them at a given point.

Importing takes seconds, too long for a hundred kills. This process imports once and forks for each run; a fork is a
separate process, which SIGKILL ends like any other. Requests are lines of JSON on stdin:

    arguments  the arguments of `sequentia`
    cwd        its working directory
    log        file for its stdout and stderr
    kill       null, {"after": seconds}, or {"call": name, "count": n}: kill just before the n-th call of a function
               in CALLS or of a hook of Lightning's callbacks
    signal     optional, {"hook": name, "count": n, "signum": number}: send a signal in the n-th call of a hook
    nohup      optional, true: ignore SIGHUP

The answer is a line with the exit code, negative for a signal.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.trainer import call

import sequentia.commands.fit  # noqa: F401 (the slow import)
from sequentia.cli import main


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


def run(request: dict[str, Any]) -> None:
    os.chdir(request["cwd"])
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
    if "signal" in request:
        patch(call, "_call_callback_hooks", _sender(**request["signal"]))
    sys.argv = ["sequentia", *request["arguments"]]
    code = main(request["arguments"])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _sender(hook: str, count: int, signum: int) -> Callable[..., bool]:
    left = count

    def send(*args: Any, **kwargs: Any) -> bool:
        nonlocal left
        if args[1] == hook:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signum)
        return False

    return send


def serve() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
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
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    assert threading.active_count() == 1, "a fork keeps only the thread that forks"
    serve()
