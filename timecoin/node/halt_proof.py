"""What is left of a halt (protocol.md R12): the proofs as files, and no start while they are there.

A restart of its own accord would sign again after a third or more of the voting power broke the protocol; what
follows is for people to decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from timecoin.storage.files import write_atomic

PROOF_FILE = "halt-proof-{}.hex"


def keep(directory: Path, proofs: Sequence[bytes]) -> None:
    """Write the proofs as hex, one file each and one at least, durable on return; OSError."""
    for number, proof in enumerate(proofs or (b"",)):
        write_atomic(directory / PROOF_FILE.format(number), proof.hex().encode("ascii") + b"\n")


def found(directory: Path) -> Path | None:
    """A proof that is there."""
    return min(directory.glob(PROOF_FILE.format("*")), default=None)
