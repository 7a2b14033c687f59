"""Derivation paths: BIP 32 indexes as tuples of ints, and the paths of BIP 84 and BIP 48 on our networks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

from timecoin.ledger.networks import Network

from .errors import BadKey

__all__ = ["HARDENED", "Path", "account_path", "format_path", "is_hardened", "multisig_path", "parse_path"]

Path: TypeAlias = tuple[int, ...]
"""BIP 32 indexes from the top down; hardened ones have bit 31 set."""

HARDENED: Final = 0x8000_0000
"""Added to an index that is hardened."""

_MAX_STEPS: Final = 255
_STEP: Final = re.compile(r"(0|[1-9][0-9]{0,9})(['hH]?)", re.ASCII)
_BIP84: Final = 84
_BIP48: Final = 48
_P2WSH: Final = 2


def is_hardened(index: int) -> bool:
    """Whether only the private key can make that child."""
    return index >= HARDENED


def parse_path(text: str) -> Path:
    """The indexes of ``84h/1h/0h/0/5`` (``'`` and ``H`` are taken, too), with or without ``m/`` before it.

    Raises ``BadKey``: empty steps, signs, spaces, leading zeros, numbers of 2^31 and above, more than 255 steps.
    """
    rest = text[2:] if text.startswith("m/") else text
    if rest in ("", "m"):
        return ()
    steps = rest.split("/")
    if len(steps) > _MAX_STEPS:
        raise BadKey(f"a path has at most {_MAX_STEPS} steps")
    return tuple(_step(step) for step in steps)


def _step(text: str) -> int:
    match = _STEP.fullmatch(text)
    if match is None or int(match[1]) >= HARDENED:
        raise BadKey("a step of a path is a number below 2^31, with h after it when it is hardened")
    return int(match[1]) + (HARDENED if match[2] else 0)


def format_path(path: Iterable[int]) -> str:
    """*path* as ``84h/1h/0h/0/5``; empty for no steps."""
    return "/".join(f"{index - HARDENED}h" if is_hardened(index) else str(index) for index in path)


def account_path(network: Network, account: int = 0) -> Path:
    """m/84'/c'/a' (BIP 84): the account number *account* (from 0) with the network's coin type."""
    return (HARDENED + _BIP84, HARDENED + network.coin_type, _account(account))


def multisig_path(network: Network, account: int = 0) -> Path:
    """m/48'/c'/a'/2' (BIP 48, P2WSH): where a cosigner's key of a multisig wallet stands."""
    return (HARDENED + _BIP48, HARDENED + network.coin_type, _account(account), HARDENED + _P2WSH)


def _account(account: int) -> int:
    if not 0 <= account < HARDENED:
        raise BadKey("an account number is from 0 to 2^31 - 1")
    return HARDENED + account
