"""Addresses: witness programs of version 0 in bech32 (BIP 173), and nothing else."""

from __future__ import annotations

from typing import Final

from . import bech32, script
from .bech32 import Bech32Error

__all__ = ["AddressError", "decode", "encode"]

_VERSION: Final = 0
_PROGRAM_SIZES: Final = {20: script.p2wpkh, 32: script.p2wsh}


class AddressError(ValueError):
    """Not an address of this network, or a script that has none."""


def encode(output_script: bytes, hrp: str) -> str:
    """The lower-case address of a P2WPKH or P2WSH script under the prefix ``hrp`` (lower-case).

    Raises :class:`AddressError` for other scripts and for an unusable prefix.
    """
    program = script.program(output_script)
    if program is None:
        raise AddressError("only P2WPKH and P2WSH scripts have addresses")
    try:
        return bech32.encode(hrp, [_VERSION, *bech32.to_words(program)])
    except Bech32Error as error:
        raise AddressError(str(error)) from error


def decode(address: str, hrp: str) -> bytes:
    """The output script that ``address`` names, whose prefix must be ``hrp`` (lower-case).

    Upper case is taken as BIP 173 says, mixed case is not. Raises :class:`AddressError` with a reason that
    can be shown to the user.
    """
    try:
        prefix, words = bech32.decode(address)
        if prefix != hrp:
            raise AddressError(f"address begins with {prefix!r}; this network's begin with {hrp!r}")
        return _script_of(words)
    except Bech32Error as error:
        raise AddressError(str(error)) from error


def _script_of(words: list[int]) -> bytes:
    if not words or words[0] != _VERSION:
        raise AddressError("only witness version 0 is in use")
    program = bech32.from_words(words[1:])
    make_script = _PROGRAM_SIZES.get(len(program))
    if make_script is None:
        raise AddressError(f"a witness program has 20 or 32 bytes, not {len(program)}")
    return make_script(program)
