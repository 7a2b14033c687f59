"""OpenSSH's ``ssh`` and ``ssh-keygen`` for tests: keys, command lines that ask nobody, sessions on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

#: Connects standard input and output with a unix socket; nc and socat are not on every machine.
RELAY = """
import os, select, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
while True:
    for ready in select.select([0, s], [], [])[0]:
        data = os.read(0, 65536) if ready == 0 else s.recv(65536)
        if not data: sys.exit()
        s.sendall(data) if ready == 0 else os.write(1, data)
"""


def keygen(path: Path, kind: str, comment: str, bits: int = 0) -> str:
    """Make a key pair at ``path``; the line of its public key."""
    size = ["-b", str(bits)] if bits else []
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, *size, "-N", "", "-C", comment, "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    return path.with_name(path.name + ".pub").read_text(encoding="ascii").strip()


def fingerprint(line: str, directory: Path) -> str:
    """What ssh-keygen calls a public key."""
    path = directory / "shown.pub"
    path.write_text(line + "\n", encoding="ascii")
    shown = subprocess.run(["ssh-keygen", "-l", "-f", str(path)], check=True, capture_output=True, timeout=20)
    return shown.stdout.decode().split()[1]


@dataclass(frozen=True)
class Client:
    """How to reach one manhole: ``directory`` is the client's own; ``port`` or ``socket``."""

    directory: Path
    port: int = 0
    socket: Path | None = None

    def command(self, key: Path | None, *more: str, options: tuple[str, ...] = ()) -> list[str]:
        """A command line of ssh that reads no configuration of this machine and asks nothing."""
        settings = [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            "StrictHostKeyChecking=accept-new",
            f"UserKnownHostsFile={self.directory / 'known_hosts'}",
            "GlobalKnownHostsFile=/dev/null",
            "ConnectTimeout=20",
            "LogLevel=ERROR",
        ]
        if self.socket is not None:
            relay = self.directory / "relay.py"
            relay.write_text(RELAY, encoding="ascii")
            settings.append(f"ProxyCommand={sys.executable} {relay} {self.socket}")
        flags = [flag for setting in settings for flag in ("-o", setting)]
        identity = ["-i", str(key)] if key is not None else []
        return ["ssh", "-F", "none", *flags, *identity, *options, "-p", str(self.port or 22), "me@127.0.0.1", *more]


class Terminal:
    """ssh on a pseudo terminal; it is read while the reactor runs."""

    def __init__(self, command: list[str], reactor: IReactorTime, rows: int = 40, columns: int = 160) -> None:
        self._reactor = reactor
        self.text = ""
        self._mark = 0
        ours, theirs = pty.openpty()
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        os.set_blocking(ours, False)
        self._file = ours

    def resize(self, rows: int, columns: int) -> None:
        """Another window size, as a window system tells it."""
        fcntl.ioctl(self._file, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._process.send_signal(28)  # SIGWINCH

    def press(self, keys: str) -> None:
        """Type."""
        self._mark = len(self.text)
        os.write(self._file, keys.encode())

    async def sees(self, expected: str, seconds: float = 30) -> str:
        """What came since the last keys, once ``expected`` is in it; AssertionError when it does not come."""
        end = time.monotonic() + seconds
        while expected not in self._new():
            assert time.monotonic() < end, f"{expected!r} did not come; there is {self._new()[-2_000:]!r}"
            await deferLater(self._reactor, 0.02)  # type: ignore[arg-type]
        return self._new()

    async def ended(self, seconds: float = 20) -> int:
        """ssh's exit status."""
        end = time.monotonic() + seconds
        while self._process.poll() is None:
            self._new()
            assert time.monotonic() < end, f"ssh still runs; it showed {self._new()[-2_000:]!r}"
            await deferLater(self._reactor, 0.02)  # type: ignore[arg-type]
        self._new()
        return self._process.returncode

    def close(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._file)

    def _new(self) -> str:
        try:
            while data := os.read(self._file, 65_536):
                self.text += data.decode("utf-8", "replace")
        except (BlockingIOError, OSError):
            # Nothing there, or the other side is gone.
            return self.text[self._mark :]
        return self.text[self._mark :]
