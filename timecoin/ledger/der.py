"""The encoding rules of a signature in a witness, checked before any curve arithmetic.

Sources: BIP 66 (strict DER), BIP 146 (low S), protocol.md section 2 (SIGHASH_ALL only).
"""

from __future__ import annotations

from timecoin.ledger.errors import SignatureEncoding, SignatureHashType, SignatureHighS
from timecoin.primitives.ecdsa_encoding import HALF_ORDER
from timecoin.primitives.sighash import SIGHASH_ALL

_HIGHEST_S = HALF_ORDER.to_bytes(32, "big")

_SHORTEST, _LONGEST = 8, 72


def bare_signature(item: bytes) -> bytes:
    """Return the DER part of ``item`` = DER ‖ hash type.

    Raises ``SignatureHashType``, ``SignatureEncoding`` or ``SignatureHighS``.
    """
    if not item or item[-1] != SIGHASH_ALL:
        raise SignatureHashType(item[-1:].hex())
    der = item[:-1]
    s = _strict_s(der)
    if len(s) > 32 or (len(s) == 32 and s > _HIGHEST_S):
        raise SignatureHighS()
    return der


def _strict_s(der: bytes) -> bytes:
    """Return the S of a strict DER signature as it stands there (big-endian, signed)."""
    size = len(der)
    if not _SHORTEST <= size <= _LONGEST or der[0] != 0x30 or der[1] != size - 2:
        raise SignatureEncoding("sequence")
    r_size = der[3]
    if r_size + 6 >= size or der[2] != 0x02 or der[r_size + 4] != 0x02:
        raise SignatureEncoding("integers")
    s = der[r_size + 6 :]
    if len(s) != der[r_size + 5] or not _minimal(der[4 : r_size + 4]) or not _minimal(s):
        raise SignatureEncoding("integers")
    return s


def _minimal(number: bytes) -> bool:
    """Whether a DER integer is non-empty, not negative and has no needless leading zero."""
    if not number or number[0] & 0x80:
        return False
    return number[0] != 0 or (len(number) > 1 and number[1] & 0x80 != 0)
