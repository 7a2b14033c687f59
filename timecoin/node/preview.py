"""What admission would say of transactions, each after those before it, without admitting any."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from timecoin.consensus.participant import Participant
from timecoin.ledger.errors import MissingInputs, SignatureInvalid, TxInvalid
from timecoin.mempool import admission
from timecoin.mempool.admission import Prepared
from timecoin.mempool.entry import Entry
from timecoin.mempool.errors import Conflict, MissingParents, NotAdmitted
from timecoin.mempool.pool import Pool
from timecoin.node.consensus_service import ConsensusService
from timecoin.primitives.hashes import Hash
from timecoin.primitives.transaction import OutPoint, Transaction
from timecoin.rpc.facade import Preview


class ImaginedPool(Pool):
    """A pool with some transactions more, which the real one never hears of."""

    def __init__(self, real: Pool) -> None:
        super().__init__(real.max_bytes)
        self._real = real
        self._imagined: dict[Hash, Entry] = {}
        self._spent: dict[OutPoint, Entry] = {}

    def __contains__(self, txid: Hash) -> bool:
        return txid in self._imagined or txid in self._real

    def get(self, txid: Hash) -> Entry | None:
        """An entry, real or imagined."""
        return self._imagined.get(txid) or self._real.get(txid)

    def spenders(self, outpoint: OutPoint) -> tuple[Entry, ...]:
        """All that spend a coin, real or imagined."""
        imagined = self._spent.get(outpoint)
        real = self._real.spenders(outpoint)
        return real if imagined is None else (*real, imagined)

    def imagine(self, prepared: Prepared, now: int) -> None:
        """Go on as if this were admitted. ``Conflict`` when a coin has a spender, ``PoolFull``."""
        tx = prepared.tx
        rivals = [entry.txid for outpoint in tx.outpoints() for entry in self.spenders(outpoint)]
        if rivals:
            raise Conflict(tuple(rivals))
        entry = Entry(tx, prepared.coins, prepared.fee, now)
        parents = [self._real.get(txid) for txid in prepared.parents]
        self._real.victims(entry, [each for each in parents if each is not None])
        self._imagined[tx.txid] = entry
        self._spent.update(dict.fromkeys(entry.outpoints, entry))


async def preview(service: ConsensusService, txs: Sequence[Transaction]) -> list[Preview]:
    """A judgement of each; signatures are verified where the others are, aside from the reactor."""
    pool = ImaginedPool(service.participant.finality.pool)
    return [await _one(service, pool, tx) for tx in txs]


async def _one(service: ConsensusService, pool: ImaginedPool, tx: Transaction) -> Preview:
    try:
        prepared = _prepare(service.participant, pool, tx)
        if not await _verified(service, prepared):
            raise SignatureInvalid(tx.txid[::-1].hex())
        pool.imagine(prepared, service.now_ms())
    except (MissingInputs, MissingParents) as refused:
        return Preview("missing-inputs", details=f"missing-inputs: {refused}")
    except TxInvalid as refused:
        return Preview(refused.code, details=str(refused))
    except NotAdmitted as refused:
        return Preview(refused.code, details=f"{refused.code}: {refused}")
    return Preview(None, prepared.fee)


def _verified(service: ConsensusService, prepared: Prepared) -> Deferred[bool]:
    answer: Deferred[bool] = Deferred()
    service.ask(prepared.checks, answer.callback)
    return answer


def _prepare(participant: Participant, pool: ImaginedPool, tx: Transaction) -> Prepared:
    finality = participant.finality
    return admission.prepare(finality.params, finality.chain, pool, tx, epoch=finality.epoch, version=0)
