"""Proposals of the height at hand on their way to a verdict: bodies gathered, block re-assembled,
certificates counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

from timecoin.consensus.proposal import Content
from timecoin.ledger.assembly import Assembled, BlockTx
from timecoin.primitives.transaction import Transaction


class Stage(Enum):
    """How far the judgement of a proposal is."""

    GATHERING = "gathering"
    JUDGING = "judging"
    VALID = "valid"
    INVALID = "invalid"


class Candidate:
    """One block that was proposed at this height.

    ``missing`` maps the wtxids still to be fetched to their txids; ``foreign`` holds bodies that came for
    this block alone (another witness than mine, or a transaction that my pool refuses); ``uncertified`` the
    txids for which I have neither a certificate nor acks of more than a third; ``holds_acked`` that nothing I
    acked is left out; ``proposer`` is the signer index of whoever surely has the bodies.
    """

    __slots__ = (
        "assembled",
        "by_wtxid",
        "content",
        "foreign",
        "holds_acked",
        "known",
        "missing",
        "proposer",
        "reason",
        "stage",
        "uncertified",
    )

    def __init__(self, content: Content, proposer: int) -> None:
        self.content = content
        self.proposer = proposer
        self.stage = Stage.GATHERING
        self.known: dict[bytes, BlockTx] = {}
        self.foreign: dict[bytes, Transaction] = {}
        self.by_wtxid: dict[bytes, bytes] = {wtxid: txid for txid, wtxid in content.txs}
        self.missing = dict(self.by_wtxid)
        self.uncertified: set[bytes] = {txid for txid, _ in content.txs}
        self.holds_acked = False
        self.assembled: Assembled | None = None
        self.reason = ""

    def gather(
        self, find: Callable[[bytes, bytes], BlockTx | None], wtxids: Iterable[bytes] | None = None
    ) -> None:
        """Look for the missing bodies, or for some of them, with ``find(txid, wtxid)``."""
        for wtxid in tuple(self.missing) if wtxids is None else wtxids:
            txid = self.missing[wtxid]
            found = find(txid, wtxid)
            if found is not None:
                self.known[txid] = found
                del self.missing[wtxid]

    def take_body(self, tx: Transaction) -> bool:
        """A body fetched for this block; True when it was one of the missing."""
        if self.missing.pop(tx.wtxid, None) is None:
            return False
        self.foreign[tx.txid] = tx
        return True

    def body(self, wtxid: bytes) -> Transaction | None:
        """A body of this block, if it is here and verified: whoever is given a false one blames the giver."""
        txid = self.by_wtxid.get(wtxid)
        if txid is None:
            return None
        known = self.known.get(txid)
        if known is not None:
            return known.tx
        return self.foreign.get(txid) if self.stage is Stage.VALID else None

    def count_certificates(
        self, is_backed: Callable[[bytes], bool], txids: Iterable[bytes] | None = None
    ) -> bool:
        """Strike out what is backed by now; True when nothing is left (R10 (i))."""
        looked_at = self.uncertified if txids is None else self.uncertified.intersection(txids)
        self.uncertified.difference_update([txid for txid in looked_at if is_backed(txid)])
        return not self.uncertified

    def judged(self, outcome: Assembled | Exception) -> None:
        """The job came back."""
        if isinstance(outcome, Exception):
            self.stage, self.reason = Stage.INVALID, str(outcome)
        else:
            self.stage, self.assembled = Stage.VALID, outcome
