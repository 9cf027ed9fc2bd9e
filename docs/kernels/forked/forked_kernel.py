"""Kernels for the pages: each is a fork of one process that has imported PyTorch and Lightning.

A kernel that imports them itself takes longer to do so than to run most pages. As an extension of Sphinx, this module
starts that process; as a program, which kernel.json names, it asks the process for a kernel and waits for its end.
"""

import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any

ADDRESS = "SEQUENTIA_KERNELS"
"""The environment variable that names the socket of the process."""

LIBRARIES = ("lightning.pytorch.cli", "matplotlib.pyplot", "torch.utils.tensorboard")
"""Those that are slow to import. Sequentia is not among them: it has IPython display models when IPython imports it."""

QUIET = "import sequentia.text; sequentia.text.in_notebook = lambda: False"
"""As in a program, trainings log to stderr, which the site leaves out, and show no progress bar and no curves."""


def setup(app: Any) -> dict[str, bool]:
    """Start the process, which ends with the build."""
    for library in LIBRARIES:
        import_module(library)
    listener = Listener(family="AF_UNIX")
    os.environ |= {ADDRESS: str(listener.address), "JUPYTER_PATH": str(Path(__file__).parents[2])}
    get_context("fork").Process(target=serve, args=(listener,), daemon=True).start()
    app.connect("build-finished", lambda *_: listener.close())  # which removes the socket
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def serve(listener: Listener) -> None:
    """Fork a kernel for each client, which is disconnected when the kernel has ended."""
    from ipykernel.kernelapp import IPKernelApp

    parent = os.getppid()  # a build that is killed ends no other process
    signal.signal(signal.SIGALRM, lambda *_: None if os.getppid() == parent else os._exit(1))
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    while True:
        with listener.accept() as client:
            directory, file = client.recv()
            if os.fork() == 0:
                os.chdir(directory)
                options = [f"--IPKernelApp.parent_handle={os.getppid()}", f"--IPKernelApp.exec_lines={QUIET}"]
                IPKernelApp.launch_instance(["-f", file, *options])
                os._exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # sent before a kernel is asked to end
    with Client(os.environ[ADDRESS]) as process, suppress(EOFError):
        process.send((os.getcwd(), sys.argv[1]))
        process.recv()
