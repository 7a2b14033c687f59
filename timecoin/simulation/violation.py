"""What a simulation looks for."""

from __future__ import annotations


class Violation(Exception):
    """An invariant is broken. ``invariant`` is its name, one of :data:`INVARIANTS`."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(f"{invariant}: {what}")
        self.invariant = invariant
        self.what = what


INVARIANTS = {
    "rivals_final": "no two spends of one coin are ever final",
    "rival_archived": "no rival of a final transaction is ever in a block, and no coin is spent twice",
    "final_archived": "whatever an honest node reported final is in a block when its epoch closes, and stays final",
    "final_quorum": "what is reported final has acks of a quorum of its epoch, or is in a block",
    "certified": "every payment in a block has votes of a quorum of the block's epoch",
    "one_block_per_height": "one block per height, byte-equal everywhere, decided by a quorum of its epoch's set",
    "supply": "supply = genesis + rewards - fees not paid out, and the coins of every node add up to it",
    "contradiction": "no honest masternode signs two contradicting statements, restarts included",
    "accusable": "no honest masternode acks what a closing block that it freshly prevotes leaves out",
    "durable": "an honest masternode sends no statement that its journal lacks",
    "lost": "what an honest node took from a user is settled or still pending there",
    "bounds": "every bounded thing stays in its bound",
    "false_alarm": "no honest node halts, and none is accused by an honest one, while less than a third is faulty",
    "stuck": "once faults stop, pending payments become final and epochs close within the stated rounds",
    "crash": "no input makes a node fail",
}
