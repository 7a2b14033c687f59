"""Proofs of others: files that people are sent (``timecoin.proofs``)."""

from __future__ import annotations

from tests.fuzz.checking import NotTheSame, Target
from tests.proofs.story import BACKEND, STORY
from timecoin.ledger.closing_chain import Anchor
from timecoin.proofs.errors import BadProof
from timecoin.proofs.proof_file import decode, encode
from timecoin.proofs.values import Proof
from timecoin.proofs.verifying import verify

_HONEST: list[Proof] = [STORY.finality(3), STORY.signed(3, 0, 2), STORY.linked(2, 1, 2), STORY.finality()]


def proof_seeds() -> dict[str, list[bytes]]:
    """Honest proofs of each kind."""
    return {"proof": [encode(each) for each in _HONEST]}


def _proof(data: bytes) -> None:
    """Whatever is read is written as it was read; what holds under its own anchor says what an honest one says."""
    proof = decode(data)
    if decode(encode(proof)) != proof:
        raise NotTheSame("another proof is written than was read")
    header = proof.foundation.header
    proved = verify(proof, Anchor(header.height, header.hash), BACKEND, chain_id=STORY.chain.genesis.chain_id)
    if proof not in _HONEST and proved.by_signatures:
        raise NotTheSame("a proof that nobody signed holds")


PROOFS = (Target("proof", _proof, (BadProof,), 16_384, slow=True),)
