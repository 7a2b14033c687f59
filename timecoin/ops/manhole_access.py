"""Who may enter the manhole: the public keys of an ``authorized_keys`` file in OpenSSH's format (sshd(8)).

The file is read again at every login, so that a key taken out is out. A file that others could have written is not
believed, and a line with an option that this server does not carry out lets nobody in: to overlook a restriction would
be worse.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twisted.conch.ssh.keys import Key

MAX_BYTES = 262_144
_MIN_RSA_BITS = 2_048
_TYPES = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
#: There is nothing to forward here, and no file that a login would run.
_EMPTY_OPTIONS = frozenset(
    {"no-port-forwarding", "no-agent-forwarding", "no-x11-forwarding", "no-user-rc"},
)
_FIRST_FIELD = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")+')
_COMMENT_CHARACTERS = 100


class KeysFileError(Exception):
    """The file as a whole cannot be used; ``str()`` is one line for the operator."""


class BadLine(Exception):
    """A line lets nobody in; ``str()`` says why."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A key that may enter. ``terminal``: it may have an interactive session, not only run single commands."""

    key: Key
    comment: str
    terminal: bool = True

    @property
    def fingerprint(self) -> str:
        """``SHA256:…`` as OpenSSH prints it."""
        return fingerprint(self.key)

    def __str__(self) -> str:
        return f"{self.fingerprint} {self.comment or '(no comment)'}"


def fingerprint(key: Key) -> str:
    """A key's fingerprint as OpenSSH prints it: without the padding that Twisted's has."""
    import base64
    import hashlib

    return "SHA256:" + base64.b64encode(hashlib.sha256(key.blob()).digest()).decode("ascii").rstrip("=")


@dataclass(frozen=True, slots=True)
class AuthorizedKeys:
    """An ``authorized_keys`` file that may change while the node runs."""

    path: Path

    def read(self) -> tuple[list[Grant], list[str]]:
        """Who may enter, and what is wrong with other lines (``line 3: …``). Raises ``KeysFileError``."""
        grants: list[Grant] = []
        problems: list[str] = []
        for number, line in self._lines():
            try:
                grants.append(parse_line(line))
            except BadLine as problem:
                problems.append(f"line {number}: {problem}")
        return grants, problems

    def _lines(self) -> Iterator[tuple[int, str]]:
        text = self._text()
        # As sshd: any other separator within a line would set free what follows an option or a "#".
        for number, line in enumerate(text.split("\n"), 1):
            stripped = line.strip()
            if stripped and not stripped.startswith("#"):
                yield number, stripped

    def _text(self) -> str:
        try:
            with self.path.open("rb") as file:
                self._check(os.fstat(file.fileno()), self.path)
                self._check(os.stat(self.path.resolve().parent), self.path.resolve().parent)
                data = file.read(MAX_BYTES + 1)
        except OSError as problem:
            raise KeysFileError(f"{self.path}: cannot be read: {problem.strerror}") from None
        if len(data) > MAX_BYTES:
            raise KeysFileError(f"{self.path}: is larger than {MAX_BYTES} bytes")
        return data.decode("utf-8", "replace")

    def _check(self, status: os.stat_result, path: Path) -> None:
        """sshd's StrictModes: who can write here can let itself in."""
        # In a directory with the sticky bit, such as /tmp, others cannot replace our file.
        harmless = stat.S_ISDIR(status.st_mode) and bool(status.st_mode & stat.S_ISVTX)
        if status.st_uid not in (os.geteuid(), 0):
            raise KeysFileError(f"{path}: belongs to another user")
        if stat.S_IMODE(status.st_mode) & 0o022 and not harmless:
            raise KeysFileError(f"{path}: others may write to it (chmod go-w)")


def parse_line(line: str) -> Grant:
    """One line of the file, neither empty nor a comment. Raises ``BadLine``."""
    options = ""
    if line.split(None, 1)[0] not in _TYPES:
        options, line = _split_options(line)
    fields = line.split(None, 2)
    if len(fields) < 2 or fields[0] not in _TYPES:
        raise BadLine(f"no key of a type that is taken ({', '.join(_TYPES)})")
    return Grant(_key(fields[0], fields[1]), _comment(fields[2:]), _terminal(options))


def _split_options(line: str) -> tuple[str, str]:
    found = _FIRST_FIELD.match(line)
    if found is None:
        raise BadLine("options with a quote that does not end")
    return found.group(), line[found.end() :].strip()


def _key(kind: str, data: str) -> Key:
    try:
        key: Key = Key.fromString(f"{kind} {data}".encode())
    except Exception as problem:
        # conch raises what its parsing happens to end with; a line that cannot be read must not bar the others.
        raise BadLine(f"the key cannot be read: {str(problem)[:80]}") from None
    if key.sshType() != kind.encode() or not key.isPublic():
        raise BadLine(f"the key is none of type {kind}")
    if key.type() == "RSA" and key.size() < _MIN_RSA_BITS:
        raise BadLine(f"an RSA key of {key.size()} bits; {_MIN_RSA_BITS} are the least")
    return key


def _comment(rest: list[str]) -> str:
    text = rest[0] if rest else ""
    return "".join(each if each.isprintable() else "?" for each in text[:_COMMENT_CHARACTERS])


def _terminal(options: str) -> bool:
    """What the options leave of a terminal. Only those that this server carries out are taken."""
    terminal = True
    for option in filter(None, options.split(",")):
        name = option.lower()
        if name in ("no-pty", "restrict"):
            terminal = False
        elif name == "pty":
            terminal = True
        elif name not in _EMPTY_OPTIONS:
            raise BadLine(f"option {option.partition('=')[0][:40]!r} is not supported here, so the key is refused")
    return terminal
