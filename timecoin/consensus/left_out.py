"""Acks that a fresh prevote for a closing block left out (protocol.md section 3): prevotes and acks brought together.

Either may come first, and acks also after the block was decided. A transaction that was acked here without being in
the block is looked for once, when the first prevote comes; later acks are looked at as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice, pairwise

from timecoin.consensus.accusing import ack_left_out
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.proposal import Content
from timecoin.consensus.tally import Tallies, Tally
from timecoin.consensus.votes import Prevote
from timecoin.ledger.evidence_kinds import AckLeftOut
from timecoin.ledger.evidence_parts import NoOffence
from timecoin.primitives.hashes import Hash, display_order

MAX_BLOCKS = 8
"""Closing blocks that are watched; the oldest goes first. Honest members prevote freshly for few in an epoch."""

MAX_LOOKED_FOR = 16
"""Acks of one bundle that are looked for in the chain: a liar can name thousands of archived transactions again."""


class _Closing:
    """A closing block, who prevoted freshly for it, and what was acked and is not in it."""

    def __init__(self, content: Content, tallies: Iterable[Tally]) -> None:
        self.header = content.header
        self.leaves = (content.coinbase, *[txid for txid, _ in content.txs])
        self.contained = frozenset(self.leaves)
        self.prevotes: dict[int, Prevote] = {}
        self.missing = {tally.txid: None for tally in tallies if tally.acks and tally.txid not in self.contained}


class LeftOut:
    """The closing blocks of the open epoch and the one before.

    ``archived`` tells height and position of a txid; ``is_wanted(epoch, signer)`` whether evidence is of use: making it
    takes a tenth of a second in the largest blocks, and who was accused once can go on offending.
    """

    def __init__(
        self, archived: Callable[[Hash], tuple[int, int] | None], is_wanted: Callable[[int, int], bool]
    ) -> None:
        self._archived = archived
        self._is_wanted = is_wanted
        self._blocks: dict[Hash, _Closing] = {}

    def prevoted(self, prevote: Prevote, content: Content, tallies: Tallies) -> AckLeftOut | None:
        """A verified prevote for the block of ``content``; ``tallies`` are of its epoch. Returns what it proves."""
        if not (prevote.fresh and content.header.closing):
            return None
        block = self._blocks.get(prevote.block_hash) or self._watch(content, tallies)
        if block is None:
            return None
        block.prevotes.setdefault(prevote.signer, prevote)
        for txid in block.missing:
            tally = tallies.get(txid)
            if tally is not None and tally.acks >> prevote.signer & 1:
                acks = next(bundle for bundle in tally.ack_bundles if bundle.signer == prevote.signer)
                return self._look_for(block, acks, [txid])
        return None

    def _watch(self, content: Content, tallies: Tallies) -> _Closing | None:
        """None for a block in disorder: nothing can be shown to be absent from it, and no honest member prevotes it."""
        order = [display_order(txid) for txid, _ in content.txs]
        if any(left >= right for left, right in pairwise(order)):
            return None
        if len(self._blocks) == MAX_BLOCKS:
            del self._blocks[next(iter(self._blocks))]
        block = self._blocks[content.header.hash] = _Closing(content, tallies)
        return block

    def acked(self, bundle: Bundle, tallies: Tallies | None) -> AckLeftOut | None:
        """A verified bundle, of whatever epoch, after it was counted in ``tallies`` of its epoch; returns what its acks
        prove.
        """
        for block in self._blocks.values() if bundle.acks else ():
            if block.header.epoch != bundle.epoch or block.header.set_hash != bundle.set_hash:
                continue
            missing = [txid for txid in bundle.acks if txid not in block.contained]
            # What was not counted is not remembered here either: it has no bound.
            counted = [txid for txid in missing if _has_acked(tallies, txid, bundle.signer)]
            block.missing.update(dict.fromkeys(counted))
            if bundle.signer in block.prevotes and (found := self._look_for(block, bundle, [*counted, *missing])):
                return found
        return None

    def _look_for(self, block: _Closing, acks: Bundle, txids: Iterable[Hash]) -> AckLeftOut | None:
        if not self._is_wanted(acks.epoch, acks.signer):
            return None
        for txid in islice(txids, MAX_LOOKED_FOR):
            if not self._is_archived_below(block, txid):
                return self._accuse(block, acks, txid)
        return None

    def _is_archived_below(self, block: _Closing, txid: Hash) -> bool:
        place = self._archived(txid)
        return place is not None and place[0] < block.header.height

    @staticmethod
    def _accuse(block: _Closing, acks: Bundle, txid: Hash) -> AckLeftOut | None:
        try:
            return ack_left_out(acks, txid, block.prevotes[acks.signer], block.header, block.leaves)
        except NoOffence:
            # The block and what was said of it are of different places.
            return None

    def epoch_opened(self, epoch: int) -> None:
        """Forget the blocks of epochs whose evidence no block of ``epoch`` may hold."""
        self._blocks = {key: block for key, block in self._blocks.items() if block.header.epoch >= epoch - 1}


def _has_acked(tallies: Tallies | None, txid: Hash, signer: int) -> bool:
    tally = None if tallies is None else tallies.get(txid)
    return tally is not None and bool(tally.acks >> signer & 1)
