"""One honest masternode: its deeds, read as the words of protocol.md."""

from __future__ import annotations

from collections.abc import Iterable

from docs.model.bounds import Bounds
from docs.model.deeds import Block, Deed, ack, vote


class Node:
    """What a node knows of itself, derived from its deeds; all of it is durable (protocol.md 4)."""

    def __init__(self, deeds: Iterable[Deed], bounds: Bounds, mutant: str = "") -> None:
        self.deeds = frozenset(deeds)
        self.bounds, self.mutant = bounds, mutant
        done: dict[str, list[Deed]] = {}
        for deed in self.deeds:
            done.setdefault(deed.what, []).append(deed)
        self.done = done
        #: Its decided chain, lowest first.
        self.chain = sorted(
            (deed.block for deed in done.get("apply", ()) if deed.block), key=lambda block: block.height
        )
        #: Its open epoch and the height it is at.
        self.epoch = 1 + sum(block.closing for block in self.chain)
        self.height = 1 + len(self.chain)
        self.archived = {tx for block in self.chain for tx in block.content}
        at_height = [deed for deed in self.deeds if deed.block and deed.block.height == self.height]
        self.prevotes = {deed.round: deed.block for deed in at_height if deed.block and deed.what == "prevote"}
        self.precommits = {deed.round: deed.block for deed in at_height if deed.block and deed.what == "precommit"}
        #: The round and the block of its last precommit of this height (round 0: not locked).
        self.locked_round = max(self.precommits, default=0)
        self.locked: Block | None = self.precommits.get(self.locked_round)

    def has(self, deed: Deed) -> bool:
        """Whether it did ``deed``."""
        return deed in self.deeds

    @property
    def ended(self) -> bool:
        """Whether its chain is as long as the variant goes."""
        return self.epoch > self.bounds.epochs or self.height > self.bounds.heights

    def voted(self, epoch: int, tx: str) -> bool:
        """Whether its journal holds a vote for ``tx`` in ``epoch``."""
        return vote(epoch, tx) in self.deeds and Deed("lost", epoch=epoch, tx=tx, of="vote") not in self.deeds

    def acked(self) -> set[str]:
        """What it acked in its open epoch."""
        return {tx for tx in self.bounds.transactions if ack(self.epoch, tx) in self.deeds}

    def chain_below(self, height: int) -> list[Block]:
        """Its decided blocks below ``height``."""
        return [block for block in self.chain if block.height < height]
