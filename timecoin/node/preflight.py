"""Checks that end in one clear line before twistd forks and before anything is touched: files and ports.

Listening again for real happens in ``startService``; between the two another process may still take a port,
which the start then reports. Endpoints that are no TCP server (``onion:``, ``unix:``) are left to the start.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory

from timecoin.ledger.genesis import Genesis, GenesisError
from timecoin.node import halt_proof
from timecoin.node.config import Config, ConfigError
from timecoin.primitives.hashes import display, sha256d
from timecoin.storage.datadir import GENESIS_NAME, LOCK_NAME
from timecoin.storage.files import read_optional


def check(config: Config) -> None:
    """Raise ``ConfigError`` when a file, the data directory or a port cannot be used."""
    _check_usable_directory(config)
    _check_free_directory(config)
    _check_no_halt(config)
    _check_readable(config, "node", "genesis", config.genesis_path)
    _check_network(config)
    key_file = config.masternode.operator_key_file
    if config.masternode.enabled and key_file is not None:
        _check_readable(config, "masternode", "operator_key_file", key_file)
        if stat.S_IMODE(os.stat(key_file).st_mode) & 0o077:
            raise ConfigError(
                config.source,
                f"= {key_file}: must be readable by its owner only (chmod 600)",
                "masternode",
                "operator_key_file",
            )
        _check_key(config, key_file)
    if config.manhole.listen and config.manhole.authorized_keys is not None:
        _check_readable(config, "manhole", "authorized_keys", config.manhole.authorized_keys)
    for section, endpoint in _endpoints(config):
        check_free(config.source, section, endpoint)


def _check_usable_directory(config: Config) -> None:
    """Whether this user may write in the data directory, or make it; nothing is made."""
    place = config.data_dir
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not place.is_dir():
        reason = f"{place} is no directory"
    elif not os.access(place, os.R_OK | os.W_OK | os.X_OK if place == config.data_dir else os.W_OK | os.X_OK):
        reason = f"this user may not write in {place}"
    else:
        return
    raise ConfigError(config.source, f"= {config.data_dir}: cannot be used: {reason}", "node", "data_dir")


def _check_key(config: Config, path: Path) -> None:
    """Whether a file holds something like a key; what it holds is told to nobody."""
    if not re.fullmatch(rb"\s*[0-9a-fA-F]{64}\s*", path.read_bytes()):
        problem = f"= {path}: holds no key of 64 hex digits"
        raise ConfigError(config.source, problem, "masternode", "operator_key_file")


def _check_free_directory(config: Config) -> None:
    """Whether another process holds the data directory; nothing is made, and the lock is let go of at
    once."""
    try:
        descriptor = os.open(config.data_dir / LOCK_NAME, os.O_RDWR)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        problem = f"= {config.data_dir}: is in use by another process"
        raise ConfigError(config.source, problem, "node", "data_dir") from None
    finally:
        os.close(descriptor)


def _check_no_halt(config: Config) -> None:
    proof = halt_proof.found(config.data_dir)
    if proof is not None:
        problem = (
            f"= {config.data_dir}: holds {proof.name}, the proof that a third or more of the voting power broke the "
            "protocol; what to do says docs/operators/runbook.rst, R12"
        )
        raise ConfigError(config.source, problem, "node", "data_dir")


def _check_network(config: Config) -> None:
    """Whether the data directory belongs to the genesis file's network; that file is not judged here."""
    bound = read_optional(config.data_dir / GENESIS_NAME)
    raw = config.genesis_path.read_bytes()
    # The file is nearly always canonical, and then its hash is the network's: no need to read a long one
    # twice.
    if bound is None or bound.strip().decode("ascii", "replace") == display(sha256d(raw)):
        return
    try:
        chain_id = Genesis.load(raw).chain_id
    except GenesisError:
        return
    if bound.strip().decode("ascii", "replace") != display(chain_id):
        problem = f"= {config.data_dir}: belongs to another network than {config.genesis_path}"
        raise ConfigError(config.source, problem, "node", "data_dir")


def _check_readable(config: Config, section: str, key: str, path: os.PathLike[str]) -> None:
    try:
        with open(path, "rb"):
            return
    except OSError as problem:
        raise ConfigError(
            config.source, f"= {os.fspath(path)}: cannot be read: {problem.strerror}", section, key
        ) from None


def _endpoints(config: Config) -> Iterator[tuple[str, str]]:
    for section, endpoints in (
        ("p2p", config.p2p_endpoints),
        ("rpc", config.rpc_endpoints),
        ("metrics", config.metrics_endpoints),
        ("manhole", config.manhole_endpoints),
    ):
        for endpoint in endpoints:
            yield section, endpoint


def check_free(source: str, section: str, endpoint: str) -> None:
    """Raise ``ConfigError`` when the endpoint string makes no sense or its port cannot be bound."""
    if endpoint.startswith("onion:"):
        # To read such a string is to launch a Tor.
        return
    rehearsal = _Rehearsal()
    try:
        serverFromString(rehearsal, endpoint).listen(Factory()).addErrback(
            lambda failure: rehearsal.note(failure.value)
        )
    except (ValueError, KeyError, TypeError, ImportError, AttributeError) as problem:
        if not rehearsal.other:
            raise ConfigError(source, f"= {endpoint!r}: is no endpoint: {problem}", section, "listen") from None
    if rehearsal.taken is not None:
        raise ConfigError(source, f"= {endpoint!r}: {rehearsal.taken}", section, "listen")


class _Rehearsal:
    """Stands in for the reactor: ``listenTCP`` binds the port and lets go of it, all else is noted."""

    def __init__(self) -> None:
        self.taken: str | None = None
        self.other = False

    def listenTCP(self, port: int, factory: object, backlog: int = 50, interface: str = "") -> None:
        """Bind like the real one would; CannotListenError when that fails."""
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        with closing(socket.socket(family, socket.SOCK_STREAM)) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((interface, port))
                trial.listen(1)
            except OSError as problem:
                raise CannotListenError(interface, port, problem) from None

    def note(self, problem: BaseException) -> None:
        """Keep why listening failed."""
        if isinstance(problem, CannotListenError):
            self.taken = f"cannot listen: {problem.socketError.strerror}"
        elif not self.other:
            self.taken = f"cannot listen: {problem}"

    def __getattr__(self, name: str) -> object:
        self.other = True
        raise AttributeError(name)
