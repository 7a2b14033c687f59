"""The guard over signatures: one spend of a coin in one epoch.

Two spends of a coin in one epoch may each get some of the votes and neither a quorum: the coin is blocked until the
epoch closes (protocol.md section 0, item 4). So every transaction that the wallet signs, whether it sends it or hands
it out (a PSBT, signrawtransactionwithwallet), is written down with the coins that it spends and the epoch, and that
is on disk before the signature leaves the wallet. A second spend of one of these coins is refused until the epoch is
over, and as long as any spend of it that is known of is alive, whoever signed that one. The same transaction may be
signed again: signatures are deterministic, and the txid is what votes are for.

The epoch is the open one of the node's ledger. A node that lags behind the network cannot tell which one that is, so
nothing is signed while it catches up; the service sees to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from struct import Struct
from typing import Final, NamedTuple

from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint, Transaction

__all__ = ["Guard", "SecondSpend", "Signed", "decode_signed", "encode_signed"]

_LAYOUT: Final = Struct("<32sI")


class SecondSpend(Exception):
    """Signing would make a second spend of a coin; ``outpoint`` is the first such coin, ``txid`` its known spend."""

    def __init__(self, outpoint: OutPoint, txid: Hash) -> None:
        where = f"{outpoint[:32][::-1].hex()}:{int.from_bytes(outpoint[32:], 'little')}"
        super().__init__(
            f"The coin {where} was signed away in this epoch, or is spent, by {txid[::-1].hex()}: a second spend could "
            "block it, and all coins spent with it, until the epoch closes"
        )
        self.outpoint, self.txid = outpoint, txid


class Signed(NamedTuple):
    """The newest spend of a coin that the wallet signed: which transaction, and in which open epoch."""

    txid: Hash
    epoch: int


def encode_signed(signed: Signed) -> bytes:
    """For the store, under the outpoint: txid ‖ u32 epoch."""
    return _LAYOUT.pack(*signed)


def decode_signed(data: bytes) -> Signed:
    """What :func:`encode_signed` wrote; ValueError for anything else."""
    if len(data) != _LAYOUT.size:
        raise ValueError("not a record of a signature")
    return Signed(*_LAYOUT.unpack(data))


class Guard:
    """Which coin was signed away by what, and when. ``signed``: the records of the store."""

    def __init__(self, signed: Mapping[OutPoint, Signed] | None = None) -> None:
        self._signed = dict(signed or {})
        self._out: set[Hash] = set()

    def spend_of(self, outpoint: OutPoint, epoch: int) -> Hash | None:
        """The spend of the coin that was signed in ``epoch`` or later."""
        signed = self._signed.get(outpoint)
        return signed.txid if signed is not None and signed.epoch >= epoch else None

    def allow(self, tx: Transaction, coins: Iterable[OutPoint], epoch: int) -> None:
        """Whether the wallet may sign the spends of ``coins`` in ``tx``; :class:`SecondSpend` when not."""
        for outpoint in coins:
            txid = self.spend_of(outpoint, epoch)
            if txid is not None and txid != tx.txid:
                raise SecondSpend(outpoint, txid)

    def record(self, tx: Transaction, coins: Iterable[OutPoint], epoch: int) -> dict[OutPoint, bytes]:
        """Take note that ``tx`` is signed; what the store has to hold before the signature leaves."""
        changes: dict[OutPoint, bytes] = {}
        for outpoint in coins:
            if outpoint in self._signed:
                # Who had that signature may have kept it, whatever becomes of this one.
                self._out.add(tx.txid)
            signed = Signed(tx.txid, max(epoch, self._epoch_of(outpoint)))
            if self._signed.get(outpoint) != signed:
                self._signed[outpoint] = signed
                changes[outpoint] = encode_signed(signed)
        return changes

    def release(self, tx: Transaction, coins: Iterable[OutPoint]) -> dict[OutPoint, None]:
        """The newest signatures of ``tx`` never left the wallet: what the store may forget. Nothing when there were
        earlier ones for its coins, which may have been handed out."""
        if tx.txid in self._out:
            return {}
        freed = [each for each in coins if self._signed.get(each, Signed(b"", 0)).txid == tx.txid]
        for outpoint in freed:
            del self._signed[outpoint]
        return dict.fromkeys(freed)

    def prune(self, epoch: int) -> dict[OutPoint, None]:
        """Forget what is older than the open ``epoch``; what the store may forget."""
        old = [outpoint for outpoint, signed in self._signed.items() if signed.epoch < epoch]
        for outpoint in old:
            del self._signed[outpoint]
        self._out &= {signed.txid for signed in self._signed.values()}
        return dict.fromkeys(old)

    def _epoch_of(self, outpoint: OutPoint) -> int:
        signed = self._signed.get(outpoint)
        return 0 if signed is None else signed.epoch
