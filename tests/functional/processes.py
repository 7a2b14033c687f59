"""Child processes of the tests: started in a session of their own, so that nothing of them is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.task import deferLater

reactor: Any = _reactor


def hear_interrupts() -> None:
    """In a child before its program: a shell that started the tests in the background made them all deaf to SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Child:
    """A running process; ``output`` is the file that takes what it prints.

    ``stdin`` leaves a pipe open at its standard input, as ``--supervised`` nodes need it.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        output: Path,
        *,
        cwd: Path | None = None,
        environment: dict[str, str] | None = None,
        stdin: bool = False,
    ) -> None:
        self.output = output
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                [str(each) for each in arguments],
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=environment,
                start_new_session=True,
                preexec_fn=hear_interrupts,
            )
        self.pid = self._process.pid

    @property
    def status(self) -> int | None:
        """Exit status, -N after signal N, None while it runs."""
        return self._process.poll()

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this one process, if it still runs."""
        if self.status is None:
            self._process.send_signal(number)

    def kill_all(self) -> None:
        """End it and everything that it started, at once."""
        for pid in [*session_members(self.pid), self.pid]:
            kill(pid)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def ended(self, seconds: float) -> int:
        """Its exit status, once it has ended; AssertionError when that takes longer."""
        waited = 0.0
        while (status := self.status) is None:
            if waited >= seconds:
                raise AssertionError(
                    f"process {self.pid} still runs after {seconds} s; it printed:\n{self.text}"
                )
            await deferLater(reactor, 0.02)
            waited += 0.02
        return status


def kill(pid: int) -> None:
    """kill -9, harmless when the process is gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def session_members(session: int) -> list[int]:
    """The living processes of a session, its leader among them; zombies are none."""
    return [pid for pid in _processes() if _session(pid) == session and is_alive(pid)]


def _processes() -> list[int]:
    return [int(each.name) for each in Path("/proc").iterdir() if each.name.isdecimal()]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"
