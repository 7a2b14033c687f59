"""Which transaction each coin is locked for in the open epoch: never two (protocol.md R1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from timecoin.mempool.entry import Entry
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint


class Locks:
    """My vote locks of one epoch, by outpoint; an interim block removes those whose coin it spends."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self._holder: dict[OutPoint, Hash] = {}

    def __len__(self) -> int:
        return len(self._holder)

    def holder(self, outpoint: OutPoint) -> Hash | None:
        """Return the txid that ``outpoint`` is locked for, or None."""
        return self._holder.get(outpoint)

    def free_for(self, entry: Entry) -> bool:
        """Tell whether each input of ``entry`` is unlocked or locked for it."""
        txid, get = entry.txid, self._holder.get
        for outpoint in entry.outpoints:
            held = get(outpoint)
            if held is not None and held != txid:
                return False
        return True

    def held_by(self, entry: Entry) -> bool:
        """Tell whether all inputs are locked for ``entry``: I voted for it in this epoch."""
        return all(self._holder.get(outpoint) == entry.txid for outpoint in entry.outpoints)

    def take(self, entry: Entry) -> None:
        """Lock all inputs for ``entry``; the caller has asked ``free_for``."""
        self.take_for(entry.txid, entry.outpoints)

    def take_for(self, txid: Hash, outpoints: Iterable[OutPoint]) -> None:
        """Lock ``outpoints`` for ``txid``."""
        for outpoint in outpoints:
            self._holder[outpoint] = txid

    def spent(self, outpoints: Iterable[OutPoint]) -> None:
        """A decided block spends these: the chain itself now forbids every other spend."""
        for outpoint in outpoints:
            self._holder.pop(outpoint, None)

    def drain(self, slice_size: int) -> Iterator[None]:
        """Give the memory of a closed epoch back, ``slice_size`` locks at a time."""
        while self._holder:
            for _ in range(min(slice_size, len(self._holder))):
                self._holder.popitem()
            yield
