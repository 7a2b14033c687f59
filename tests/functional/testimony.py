"""What masternodes were seen to sign, and whether any of them contradicts itself (protocol.md 3 and 6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.proposal import Proposal
from timecoin.consensus.records import RecordKind, decode_list, decode_record
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.first import first_state
from timecoin.ledger.genesis import Genesis
from timecoin.ledger.genesis_registry import first_registry, first_set
from timecoin.p2p import messages as wire
from timecoin.primitives.hashes import ZERO
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import OutPoint, Transaction
from timecoin.storage.segment import Segment

BACKEND = get_backend()

Signed = Bundle | Proposal | Prevote | Precommit


class Testimony:
    """Signed messages of the members of S(1) and the bodies of transactions, each kept once.

    ``forged`` counts messages whose signature does not hold: no honest node passes one on.
    """

    def __init__(self, genesis: Genesis) -> None:
        block = first_state(genesis)[0]
        self.members = first_set(genesis, first_registry(genesis, block.transactions[0].txid))[0]
        self.bundles: dict[tuple[int, int, int], dict[bytes, Bundle]] = defaultdict(dict)
        self.prevotes: dict[tuple[int, int, int], dict[bytes, Prevote]] = defaultdict(dict)
        self.precommits: dict[tuple[int, int, int], dict[bytes, Precommit]] = defaultdict(dict)
        self.proposals: dict[tuple[int, int, int], dict[bytes, Proposal]] = defaultdict(dict)
        self.bodies: dict[bytes, Transaction] = {}
        self.forged = 0

    # Collecting

    def hear(self, message: wire.Message) -> None:
        """A message of the wire."""
        if isinstance(message, wire.Tx):
            for raw in message.transactions:
                self.body(Transaction.decode(raw))
        elif isinstance(message, wire.Bundles):
            for raw in message.bundles:
                self.take(Bundle.decode(raw))
        elif isinstance(message, wire.Proposal):
            self.take(Proposal.decode(message.proposal))
        elif isinstance(message, wire.Votes):
            for raw in message.prevotes:
                self.take(Prevote.decode(raw))
            for raw in message.precommits:
                self.take(Precommit.decode(raw))
        elif isinstance(message, wire.Pol):
            for raw in message.prevotes:
                self.take(Prevote.decode(raw))

    def read_journal(self, data_dir: Path, chain_id: bytes) -> int:
        """All that a stopped node's journal holds, of this epoch and the last one; how many records."""
        records: list[bytes] = []
        for path in sorted((data_dir / "journal").glob("*.fs")):
            segment = Segment(path, "journal", chain_id)
            records += [record for _, record in segment.records()]
            segment.close()
        for record in records:
            self._record(*decode_record(record))
        return len(records)

    def _record(self, kind: RecordKind, payload: bytes) -> None:
        if kind is RecordKind.BODY:
            self.body(Transaction.decode(payload))
        elif kind is RecordKind.BUNDLE:
            self.take(Bundle.decode(payload))
        elif kind is RecordKind.PROPOSAL:
            self.take(Proposal.decode(payload))
        elif kind is RecordKind.PREVOTE:
            self.take(Prevote.decode(payload))
        elif kind is RecordKind.PRECOMMIT:
            self.take(Precommit.decode(payload))
        elif kind is RecordKind.POL:
            for item in decode_list(payload, 512):
                self.take(Prevote.decode(item))

    def body(self, tx: Transaction) -> None:
        """A transaction."""
        self.bodies[tx.txid] = tx

    def take(self, signed: Signed) -> None:
        """A signed message, from anywhere."""
        body = signed.body() if not isinstance(signed, Proposal) else signed.head.body()
        if isinstance(signed, Bundle):
            held: dict[bytes, Signed] = self.bundles[(signed.signer, signed.epoch, signed.sequence)]  # type: ignore[assignment]
        else:
            table = {Proposal: self.proposals, Prevote: self.prevotes, Precommit: self.precommits}[
                type(signed)
            ]
            held = table[(signed.signer, signed.height, signed.round)]  # type: ignore[index,assignment]
        if body in held:
            return
        checked = signed.head if isinstance(signed, Proposal) else signed
        check = checked.check(self.members)
        if BACKEND.verify_compact(check.key, check.digest, check.signature):
            held[body] = signed
        else:
            self.forged += 1

    def count(self, signer: int) -> int:
        """Messages held of one signer."""
        tables = (self.bundles, self.prevotes, self.precommits, self.proposals)
        return sum(len(held) for table in tables for key, held in table.items() if key[0] == signer)  # type: ignore[attr-defined]

    # Judging

    def contradictions(self, blocks: Iterable[ArchivedBlock]) -> list[str]:
        """Every contradiction, in words. ``blocks``: the decided chain."""
        chain = list(blocks)
        found = [*self._twice(), *self._rivals(), *self._after_seal(), *self._unlocked()]
        return found + list(self._left_out(chain))

    def _twice(self) -> Iterator[str]:
        """Two bodies where there may be one."""
        for name in ("bundles", "prevotes", "precommits", "proposals"):
            for key, held in getattr(self, name).items():
                if len(held) > 1:
                    yield f"two {name} of signer, epoch or height, sequence or round {key}"

    def _own_bundles(self) -> Iterator[tuple[tuple[int, int], list[Bundle]]]:
        """(signer, epoch) and its bundles, by sequence."""
        grouped: dict[tuple[int, int], list[Bundle]] = defaultdict(list)
        for (signer, epoch, _), held in sorted(self.bundles.items(), key=lambda item: item[0]):
            grouped[(signer, epoch)] += held.values()
        yield from grouped.items()

    def _rivals(self) -> Iterator[str]:
        """Votes for two transactions that spend one outpoint, in one epoch."""
        for (signer, epoch), bundles in self._own_bundles():
            spent: dict[OutPoint, bytes] = {}
            for txid in (txid for bundle in bundles for txid in bundle.votes):
                tx = self.bodies.get(txid)
                for outpoint in tx.outpoints() if tx is not None else ():
                    if spent.setdefault(outpoint, txid) != txid:
                        yield f"signer {signer} voted for rivals in epoch {epoch}"

    def _after_seal(self) -> Iterator[str]:
        """An ack in a bundle after the first with the seal."""
        for (signer, epoch), bundles in self._own_bundles():
            seals = [bundle.sequence for bundle in bundles if bundle.seal]
            late = [bundle for bundle in bundles if seals and bundle.acks and bundle.sequence > seals[0]]
            if late:
                yield f"signer {signer} acked after its seal in epoch {epoch}"

    def _unlocked(self) -> Iterator[str]:
        """A prevote for another block than the one precommitted, without a POL in between."""
        for (signer, height, round_), held in sorted(self.precommits.items(), key=lambda item: item[0]):
            for precommit in held.values():
                for prevote in self._later_prevotes(signer, height, round_):
                    if ZERO in (precommit.block_hash, prevote.block_hash):
                        continue
                    if prevote.block_hash != precommit.block_hash and not self._has_pol(prevote, round_):
                        yield f"signer {signer} left its lock at height {height}, round {prevote.round}"

    def _later_prevotes(self, signer: int, height: int, round_: int) -> Iterator[Prevote]:
        for (other, at, number), held in self.prevotes.items():
            if (other, at) == (signer, height) and number > round_:
                yield from held.values()

    def _has_pol(self, prevote: Prevote, since: int) -> bool:
        for number in range(since, prevote.round):
            power = sum(
                member.power
                for signer, member in enumerate(self.members.members)
                if any(
                    each.block_hash == prevote.block_hash
                    for each in self.prevotes.get((signer, prevote.height, number), {}).values()
                )
            )
            if self.members.is_quorum(power):
                return True
        return False

    def _left_out(self, chain: list[ArchivedBlock]) -> Iterator[str]:
        """An ack, and a fresh prevote for a closing block that leaves the transaction out."""
        closing = {
            each.block_hash: {txid for txid, _ in each.content.txs}
            for held in self.proposals.values()
            for each in held.values()
            if each.closing
        }
        acked = {
            key: {txid for bundle in bundles for txid in bundle.acks} for key, bundles in self._own_bundles()
        }
        for (signer, height, _), held in self.prevotes.items():
            for prevote in held.values():
                if not prevote.fresh or prevote.block_hash not in closing:
                    continue
                below = {txid for block in chain if block.height < height for txid in block.txids}
                missing = acked.get((signer, prevote.epoch), set()) - closing[prevote.block_hash] - below
                if missing:
                    yield f"signer {signer} prevoted at height {height} without {len(missing)} that it acked"


class ArchivedBlock:
    """Height and txids (wire order) of a decided block."""

    def __init__(self, height: int, txids: Collection[bytes]) -> None:
        self.height = height
        self.txids = frozenset(txids)
