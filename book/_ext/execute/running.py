"""Run the cells of a notebook in a kernel of its own.

A build in which no cell has to run does not import this module, because nbclient takes a while to import.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
from pathlib import Path
from queue import Empty

import nbformat
from jupyter_client.asynchronous.client import AsyncKernelClient
from myst_nb.core.config import NbParserConfig
from nbclient import NotebookClient
from traitlets.config import Config

from book._ext.compat import kernel_manager
from book._ext.execute import warm_kernels
from book._ext.execute.output_forms import normalise

SETUP = "book._ext.execute.kernel_setup"
"""The extension that IPython loads in each kernel."""
LATE = 60
"""Seconds to wait for the outputs of a cell that has ended."""
RETRY = 5
"""Milliseconds between two tries to connect to a kernel."""


class Client(AsyncKernelClient):
    """Jupyter's client without its waits for a kernel that has started: 0.2 seconds, and those between two tries."""

    def start_channels(self, *channels: bool, **named: bool) -> None:
        """Open the channels; each tries every few milliseconds, not every 100, whether the kernel is there already."""
        self.context.reconnect_ivl = RETRY
        super().start_channels(*channels, **named)

    async def wait_for_ready(self, timeout: float | None = None) -> None:
        """Wait until the kernel answers, and its outputs arrive.

        Raises:
            RuntimeError: if the kernel ends, or does not answer within ``timeout`` seconds.
        """
        end = time.monotonic() + (timeout or math.inf)
        while time.monotonic() < end and await self.is_alive():
            self.kernel_info()
            with contextlib.suppress(Empty):
                await self.get_shell_msg(timeout=1)
                await self.get_iopub_msg(timeout=0.2)
                return
        raise RuntimeError("the kernel does not start")


def run(notebook: nbformat.NotebookNode, folder: Path, config: NbParserConfig) -> None:
    """Run the cells of a notebook with the settings of MyST-NB, or those of its own metadata.

    Args:
        notebook: the notebook; it gets the outputs, in the form in which they are stored.
        folder: the folder of its section.
        config: the settings.

    Raises:
        nbclient.exceptions.CellControlSignal: if a cell raises an error or runs too long.
        nbclient.exceptions.DeadKernelError: if its kernel ends.
    """
    home, own = warm_kernels.folder(), notebook.metadata.get("execution", {})
    with tempfile.TemporaryDirectory(dir=home) as temporary:
        inside = Path(temporary, "cells")
        inside.mkdir()
        manager = {"client_class": f"{__name__}.{Client.__name__}", "connection_file": f"{temporary}/kernel.json"}
        if home is not None:
            # Another build's kernel could take a free port before this one does; the name of a file is safe.
            manager |= {"transport": "ipc", "ip": temporary}
        NotebookClient(
            notebook,
            resources={"metadata": {"path": str(inside if config.execution_in_temp else folder)}},
            timeout=own.get("timeout", config.execution_timeout),
            force_raise_errors=True,
            record_timing=False,
            kernel_manager_class=kernel_manager(),
            # On a busy machine outputs can arrive seconds late. By default they would be left out, with a warning.
            iopub_timeout=LATE,
            raise_on_iopub_timeout=True,
            extra_arguments=[f"--ext={SETUP}"],
            config=Config({"AsyncKernelManager": manager}),
        ).execute()
    normalise(notebook)
