"""Who may call: the cookie's password, salted users as bitcoind's ``rpcauth``, and white lists of methods.

A salted user is ``NAME:SALT$HASH`` with HASH = HMAC-SHA256(key SALT, message password) in hex, as Core's
share/rpcauth writes it: no password is kept. White lists follow Core's ``rpcwhitelist`` and
``rpcwhitelistdefault``: a user with several lists may call what is on all of them, and once there is any list
(or the default says so) a user without one, the cookie's too, may call nothing.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from hmac import compare_digest

from timecoin.rpc.caller import Caller
from timecoin.rpc.cookie import Cookie, credentials

_SALTED = re.compile(r"([^:\s]{1,64}):([0-9a-zA-Z]{1,64})\$([0-9a-f]{64})\Z")
_LIST = re.compile(r"([^:\s]{1,64}):((?:[a-z0-9.]+(?:,[a-z0-9.]+)*)?)\Z")
_SALT_BYTES, _PASSWORD_BYTES = 16, 32


@dataclass(frozen=True, slots=True)
class Salted:
    """A user: its name, the salt and the hash of its password."""

    name: str
    salt: str
    hash: str

    @classmethod
    def parse(cls, text: str) -> Salted:
        """``NAME:SALT$HASH``; ValueError for anything else."""
        found = _SALTED.match(text)
        if found is None:
            raise ValueError("not NAME:SALT$HASH")
        return cls(*found.groups())

    @classmethod
    def make(cls, name: str, password: str) -> Salted:
        """A user with a fresh salt; ValueError when the name cannot be one."""
        salt = secrets.token_hex(_SALT_BYTES)
        return cls.parse(f"{name}:{salt}${_digest(salt, password.encode('utf-8'))}")

    def __str__(self) -> str:
        return f"{self.name}:{self.salt}${self.hash}"

    def is_password(self, password: bytes) -> bool:
        """Whether this is the user's password, in constant time."""
        return compare_digest(_digest(self.salt, password), self.hash)


def new_password() -> str:
    """A password of 256 random bits."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def _digest(salt: str, password: bytes) -> str:
    return hmac.digest(salt.encode("utf-8"), password, "sha256").hex()


@dataclass(frozen=True, slots=True)
class WhiteList:
    """The methods that a user may call."""

    user: str
    methods: frozenset[str]

    @classmethod
    def parse(cls, text: str) -> WhiteList:
        """``NAME:method,method,…``, also with no method; ValueError for anything else."""
        found = _LIST.match(text)
        if found is None:
            raise ValueError("not NAME:method,method,...")
        return cls(found[1], frozenset(filter(None, found[2].split(","))))


@dataclass(frozen=True, slots=True)
class Grant:
    """One who was admitted, and the methods that it may call; None is all."""

    caller: Caller
    methods: frozenset[str] | None = None

    def forbids(self, method: object) -> bool:
        """Whether a white list keeps the caller from a method."""
        return self.methods is not None and isinstance(method, str) and method not in self.methods


@dataclass(frozen=True, slots=True)
class Users:
    """The users besides the cookie's and the white lists. ``strict``: who has no white list may call nothing; by
    default that holds when there is any list."""

    salted: tuple[Salted, ...] = ()
    white_lists: tuple[WhiteList, ...] = ()
    strict: bool | None = None


class Gate:
    """Tells who sends an Authorization header and what that one may call."""

    def __init__(self, cookie: Cookie, users: Users | None = None) -> None:
        users = users or Users()
        self.cookie = cookie
        self._users = users.salted
        self._lists: dict[str, frozenset[str]] = {}
        for each in users.white_lists:
            self._lists[each.user] = self._lists.get(each.user, each.methods) & each.methods
        self._strict = bool(self._lists) if users.strict is None else users.strict

    def user(self, header: bytes) -> str | None:
        """The name behind an Authorization header's value, None when nobody's password is in it.

        Every user's hash is looked at, so the time tells nothing about names.
        """
        if self.cookie.admits(header):
            return self.cookie.user
        given = credentials(header)
        if given is None:
            return None
        name, _, password = given.partition(b":")
        found = None
        for each in self._users:
            fits = compare_digest(each.name.encode("utf-8"), name)
            if each.is_password(password) and fits:
                found = each.name
        return found

    def methods(self, user: str) -> frozenset[str] | None:
        """What a user may call; None is everything."""
        return self._lists.get(user, frozenset() if self._strict else None)

    def listed(self) -> frozenset[str]:
        """Every method that stands on a white list."""
        return frozenset().union(*self._lists.values())
