"""A disk that is full: a small tmpfs under a node's data directory, and a ballast file that takes all its room.

Mounting needs root. Without it the same happens by a limit on the size of the node's files (``RLIMIT_FSIZE``,
set on the running process): the error is then EFBIG and not ENOSPC, and :attr:`Disk.means` says so.
"""

from __future__ import annotations

import atexit
import errno
import os
import resource
import shutil
import subprocess
from pathlib import Path

_BALLAST = "ballast"
_STEP = 4096


class Disk:
    """What a node's data directory lies on."""

    def __init__(self, directory: Path, megabytes: int) -> None:
        self.directory = directory
        self._megabytes = megabytes
        self._mounted = False

    @property
    def means(self) -> str:
        """How it is made full: ``tmpfs`` or ``RLIMIT_FSIZE``."""
        return "tmpfs" if self._mounted else "RLIMIT_FSIZE"

    def prepare(self) -> None:
        """Put a tmpfs under the directory, with what is in it, if this user may."""
        aside = self.directory.with_name(self.directory.name + ".aside")
        self.directory.rename(aside)
        self.directory.mkdir(mode=0o700)
        options = f"size={self._megabytes}m,mode=0700"
        done = _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", self.directory)
        self._mounted = done == 0
        if self._mounted:
            # Also when the run is broken off.
            atexit.register(_run, "umount", "-l", self.directory)
        for each in aside.iterdir():
            shutil.move(str(each), self.directory / each.name)
        aside.rmdir()

    def fill(self, pid: int) -> None:
        """No room from here on for the process ``pid``."""
        if self._mounted:
            self.top_up()
        else:
            limit = max(path.stat().st_size for path in (self.directory / "journal").glob("*.fs"))
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def top_up(self) -> None:
        """Take the room that the node has freed since, if it is a tmpfs."""
        if not self._mounted:
            return
        with (self.directory / _BALLAST).open("ab") as ballast:
            size = ballast.tell()
            while (room := self._room()) >= _STEP:
                try:
                    os.posix_fallocate(ballast.fileno(), size, room)
                except OSError as problem:
                    if problem.errno != errno.ENOSPC:
                        raise
                    continue
                size += room

    def free(self, pid: int | None) -> None:
        """Room again."""
        if self._mounted:
            (self.directory / _BALLAST).unlink(missing_ok=True)
        elif pid is not None:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def _room(self) -> int:
        shown = os.statvfs(self.directory)
        return shown.f_bavail * shown.f_frsize

    def keep(self) -> None:
        """Take the tmpfs away and leave its files in the directory."""
        if not self._mounted:
            return
        aside = self.directory.with_name(self.directory.name + ".kept")
        (self.directory / _BALLAST).unlink(missing_ok=True)
        shutil.copytree(self.directory, aside)
        _run("umount", "-l", self.directory)
        self._mounted = False
        self.directory.rmdir()
        aside.rename(self.directory)


def _run(*command: str | Path) -> int:
    try:
        return subprocess.run([str(each) for each in command], capture_output=True, check=False).returncode
    except FileNotFoundError:
        return 127
