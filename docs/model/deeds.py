"""What a masternode can have done: the vocabulary of the model.

A node's state is the set of its deeds. Deeds are never undone (a statement that was sent stays in the world, whatever
its signer forgets), so a step of the model adds to the set, and the length of a run is the number of deeds done in
it.
"""

from __future__ import annotations

from typing import NamedTuple


class Block(NamedTuple):
    """A block as far as the model looks into it.

    ``made`` is the round in its header, that of its creation: it stays when the block is proposed again, so a prevote
    is *fresh* iff it is cast in the round ``made`` (protocol.md 6), and equal contents made in two rounds are two
    blocks.
    """

    height: int
    closing: bool
    content: tuple[str, ...]
    made: int

    def __str__(self) -> str:
        return f"{'C' if self.closing else 'I'}{{{','.join(self.content)}}}@{self.height}.{self.made}"


class Deed(NamedTuple):
    """One thing done: signed and sent, applied, or forgotten; fields that do not apply are left at their defaults.

    ``vote`` and ``ack`` (epoch, tx), ``seal`` (epoch), ``prevote`` and ``precommit`` (block, round) are statements.
    ``apply`` (block) is a decided block in the node's chain. The others exist under some mutants only: ``late``
    (epoch) marks an ack after the first seal, ``round`` (height, round) a round entered, ``lost`` (epoch, tx, of) a
    record gone in a restart, ``counted`` (of, epoch, tx) a statement that counts in that epoch wherever it was made,
    ``at`` (of, height, tx) a height at which something was done.
    """

    what: str
    epoch: int = 0
    tx: str = ""
    block: Block | None = None
    round: int = 0
    height: int = 0
    of: str = ""

    def __str__(self) -> str:
        parts = (self.of, self.tx, str(self.block or ""), f"e{self.epoch}" if self.epoch else "")
        at = (f"h{self.height}" if self.height else "", f"r{self.round}" if self.round else "")
        return " ".join((self.what, *filter(None, parts + at)))


class Move(NamedTuple):
    """A step that a node may take: the deeds it adds, once others' deeds allow it.

    Each deed in ``quorum`` must have been done by masternodes with a quorum, each in ``third`` by ones with more than
    W/3. ``forgets`` are deeds of its own that matter no more, to itself or others.
    """

    deeds: tuple[Deed, ...]
    quorum: tuple[Deed, ...] = ()
    third: tuple[Deed, ...] = ()
    forgets: tuple[Deed, ...] = ()


def vote(epoch: int, tx: str) -> Deed:
    """R1: its inputs are locked for ``tx`` in ``epoch``."""
    return Deed("vote", epoch=epoch, tx=tx)


def ack(epoch: int, tx: str) -> Deed:
    """R2: it holds a certificate of ``tx`` in ``epoch``."""
    return Deed("ack", epoch=epoch, tx=tx)


def prevote(block: Block, round_: int) -> Deed:
    """R10: a prevote for ``block`` in ``round_`` of its height. Nil is not modelled: it allows nobody anything."""
    return Deed("prevote", block=block, round=round_)


def precommit(block: Block, round_: int) -> Deed:
    """A precommit for ``block``; its sender is locked on it."""
    return Deed("precommit", block=block, round=round_)


def applied(block: Block) -> Deed:
    """R11: ``block`` is decided and in the node's chain."""
    return Deed("apply", block=block)
