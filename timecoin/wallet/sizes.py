"""Weights of what a wallet builds, before anything is signed.

Signatures are reckoned at the longest that strict DER with a low S can be, so a fee computed from these never falls
below the ledger's minimum once the transaction is signed (protocol.md section 2; BIP 141 for the weights).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from timecoin.primitives.codec import compact_size
from timecoin.primitives.script import Kind, classify, parse_multisig
from timecoin.primitives.transaction import TxOutput

__all__ = ["SIGNATURE_ITEM", "base_weight", "input_weight", "output_weight", "vsize_of"]

SIGNATURE_ITEM: Final = 72
"""Bytes of a signature in a witness at most: DER with r of 33 bytes and a low s of 32, and the hash type."""

_SCALE: Final = 4
_INPUT_STRIPPED: Final = 36 + 1 + 4
_KEY: Final = 33
_MARKER: Final = 2
_VERSION_AND_LOCK: Final = 8


def vsize_of(weight: int) -> int:
    """A quarter of ``weight``, rounded up: what fees are reckoned by."""
    return -(-weight // _SCALE)


def input_weight(script: bytes, witness_script: bytes = b"") -> int:
    """The most weight of an input that spends ``script``, its count of witness items included.

    ``witness_script`` is that of a P2WSH output. ValueError for a script that cannot be spent with what is given.
    """
    kind = classify(script)
    if kind is Kind.P2WPKH:
        return _SCALE * _INPUT_STRIPPED + 1 + (1 + SIGNATURE_ITEM) + (1 + _KEY)
    parsed = parse_multisig(witness_script) if kind is Kind.P2WSH else None
    if parsed is None:
        raise ValueError("how this output is spent is not known")
    items = 1 + 1 + parsed[0] * (1 + SIGNATURE_ITEM)
    return _SCALE * _INPUT_STRIPPED + items + len(compact_size(len(witness_script))) + len(witness_script)


def output_weight(output: TxOutput) -> int:
    """The weight of an output."""
    return _SCALE * len(output.encode())


def base_weight(outputs: Iterable[TxOutput], inputs: int, extra_outputs: int = 0) -> int:
    """The weight of everything but the inputs, of which there are at most ``inputs``.

    The outputs are those given; ``extra_outputs`` more only count where the number of outputs is written.
    """
    listed = list(outputs)
    counts = len(compact_size(inputs)) + len(compact_size(len(listed) + extra_outputs))
    return _SCALE * (_VERSION_AND_LOCK + counts) + _MARKER + sum(map(output_weight, listed))
