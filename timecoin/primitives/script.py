"""The three output scripts that the ledger knows, and multisig witness scripts (protocol.md section 2).

Scripts are never executed: an output is one of three exact byte patterns, and any other is invalid. So there
is no interpreter to disagree about, and no output that anyone can spend.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

__all__ = [
    "MAX_MULTISIG_KEYS",
    "MAX_OP_RETURN_DATA",
    "Kind",
    "classify",
    "multisig",
    "op_return",
    "op_return_data",
    "p2wpkh",
    "p2wpkh_script_code",
    "p2wsh",
    "parse_multisig",
    "program",
]

MAX_OP_RETURN_DATA: Final = 520
"""Bytes of data in an OP_RETURN output, at most."""

MAX_MULTISIG_KEYS: Final = 15
"""Keys in a multisig script, at most."""

_OP_RETURN: Final = 0x6A
_OP_PUSHDATA1: Final = 0x4C
_OP_PUSHDATA2: Final = 0x4D
_OP_1NEGATE: Final = 0x4F
_OP_1: Final = 0x51
_OP_16: Final = 0x60
_OP_CHECKMULTISIG: Final = 0xAE
_SMALL_INTEGER_BASE: Final = 0x50
_KEY_SIZE: Final = 33
_KEY_PUSH_SIZE: Final = 1 + _KEY_SIZE


class Kind(Enum):
    """What an output script is."""

    P2WPKH = "witness_v0_keyhash"
    P2WSH = "witness_v0_scripthash"
    OP_RETURN = "nulldata"
    INVALID = "nonstandard"


def p2wpkh(hash20: bytes) -> bytes:
    """The 22-byte script paying to the key whose :func:`~timecoin.primitives.hashes.hash160` is ``hash20``.

    Raises ``ValueError`` for any other length. Source: BIP 141.
    """
    if len(hash20) != 20:
        raise ValueError(f"a key hash has 20 bytes, not {len(hash20)}")
    return b"\x00\x14" + hash20


def p2wsh(hash32: bytes) -> bytes:
    """The 34-byte script paying to the witness script whose SHA-256 is ``hash32``.

    Raises ``ValueError`` for any other length. Source: BIP 141.
    """
    if len(hash32) != 32:
        raise ValueError(f"a script hash has 32 bytes, not {len(hash32)}")
    return b"\x00\x20" + hash32


def _minimal_push(data: bytes) -> bytes:
    size = len(data)
    if size == 1 and 1 <= data[0] <= 16:
        return bytes((_SMALL_INTEGER_BASE + data[0],))
    if data == b"\x81":
        return bytes((_OP_1NEGATE,))
    if size < _OP_PUSHDATA1:
        return bytes((size,)) + data
    if size <= 0xFF:
        return bytes((_OP_PUSHDATA1, size)) + data
    return bytes((_OP_PUSHDATA2, size & 0xFF, size >> 8)) + data


def op_return(data: bytes) -> bytes:
    """The unspendable script carrying ``data`` in one minimal push (BIP 62 rule 3).

    Raises ``ValueError`` above :data:`MAX_OP_RETURN_DATA` bytes.
    """
    if len(data) > MAX_OP_RETURN_DATA:
        raise ValueError(f"{len(data)} bytes, at most {MAX_OP_RETURN_DATA} fit")
    return b"\x6a" + _minimal_push(data)


def _pushed(push: bytes) -> bytes:
    """What ``push`` would leave on the stack if it were one push; not checked for being minimal."""
    opcode = push[0]
    if _OP_1 <= opcode <= _OP_16:
        return bytes((opcode - _SMALL_INTEGER_BASE,))
    if opcode == _OP_1NEGATE:
        return b"\x81"
    header = {_OP_PUSHDATA1: 2, _OP_PUSHDATA2: 3}.get(opcode, 1)
    return push[header:]


def op_return_data(script: bytes) -> bytes | None:
    """The data of an OP_RETURN script, or None when ``script`` is not one with exactly one minimal push."""
    if len(script) < 2 or script[0] != _OP_RETURN:
        return None
    data = _pushed(script[1:])
    if len(data) > MAX_OP_RETURN_DATA or _minimal_push(data) != script[1:]:
        return None
    return data


def classify(script: bytes) -> Kind:
    """Which of the known output scripts ``script`` is; :attr:`Kind.INVALID` for every other byte string."""
    size = len(script)
    if size == 22 and script.startswith(b"\x00\x14"):
        return Kind.P2WPKH
    if size == 34 and script.startswith(b"\x00\x20"):
        return Kind.P2WSH
    if op_return_data(script) is not None:
        return Kind.OP_RETURN
    return Kind.INVALID


def program(script: bytes) -> bytes | None:
    """The witness program (20 or 32 bytes) of a P2WPKH or P2WSH script, otherwise None."""
    if classify(script) in (Kind.P2WPKH, Kind.P2WSH):
        return script[2:]
    return None


def p2wpkh_script_code(hash20: bytes) -> bytes:
    """The 25-byte script code that a P2WPKH input signs, without its length prefix. Source: BIP 143."""
    if len(hash20) != 20:
        raise ValueError(f"a key hash has 20 bytes, not {len(hash20)}")
    return b"\x76\xa9\x14" + hash20 + b"\x88\xac"


def _is_compressed(key: bytes) -> bool:
    return len(key) == _KEY_SIZE and key[0] in (2, 3)


def multisig(m: int, keys: Sequence[bytes]) -> bytes:
    """The witness script that ``m`` of ``keys`` satisfy, in the order of ``keys``.

    Raises ``ValueError`` unless 1 ≤ m ≤ n ≤ 15 and every key is 33 bytes beginning with 2 or 3.
    """
    if not 1 <= m <= len(keys) <= MAX_MULTISIG_KEYS:
        raise ValueError(f"{m} of {len(keys)} keys is not within 1 ≤ m ≤ n ≤ {MAX_MULTISIG_KEYS}")
    if not all(_is_compressed(key) for key in keys):
        raise ValueError("a multisig key is not in compressed form")
    pushes = b"".join(b"\x21" + key for key in keys)
    ends = bytes((_SMALL_INTEGER_BASE + len(keys), _OP_CHECKMULTISIG))
    return bytes((_SMALL_INTEGER_BASE + m,)) + pushes + ends


def parse_multisig(script: bytes) -> tuple[int, tuple[bytes, ...]] | None:
    """``(m, keys)`` of a script that :func:`multisig` makes, None for every other byte string.

    That a key lies on the curve is seen when a signature is verified with it.
    """
    count, odd = divmod(len(script) - 3, _KEY_PUSH_SIZE)
    if odd or not 1 <= count <= MAX_MULTISIG_KEYS:
        return None
    m = script[0] - _SMALL_INTEGER_BASE
    ends = 1 + count * _KEY_PUSH_SIZE
    keys = tuple(script[at + 1 : at + _KEY_PUSH_SIZE] for at in range(1, ends, _KEY_PUSH_SIZE))
    if not 1 <= m <= count or not all(_is_compressed(key) for key in keys):
        return None
    return (m, keys) if multisig(m, keys) == script else None
