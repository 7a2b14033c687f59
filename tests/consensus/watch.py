"""Watches all that is sent and stored in a network: what an honest node must never do fails the run at
once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from timecoin.consensus.bundle import Bundle
from timecoin.consensus.effects import Change, Report, SignedMessage
from timecoin.consensus.proposal import Proposal
from timecoin.consensus.records import RecordKind, decode_pending, decode_record
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.ledger.assembly import Assembled
from timecoin.ledger.genesis import Genesis
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Block
from timecoin.primitives.transaction import Transaction

if TYPE_CHECKING:
    from tests.consensus.memory_disk import Disk
    from tests.consensus.virtual_node import Node


class Broken(AssertionError):
    """A promise of the protocol was broken."""


class Watch:
    """``transactions``: all that were ever submitted, by txid; ``dishonest``: signers that a test speaks
    for.
    """

    def __init__(self, genesis: Genesis) -> None:
        self.transactions: dict[bytes, Transaction] = {}
        self.statements: dict[tuple[object, ...], bytes] = {}
        self.blocks: dict[int, bytes] = {}
        self.finals: dict[bytes, bytes] = {}
        self.told_final: set[bytes] = set()
        self.seals: dict[tuple[int, int], int] = {}
        self.acks: dict[tuple[int, int], dict[bytes, int]] = {}
        self.fresh: list[Prevote] = []
        self.proposals: dict[bytes, Proposal] = {}
        self.dishonest: set[int] = set()
        self.accepted: set[bytes] = set()
        self.rejected: set[bytes] = set()
        self.signed: list[SignedMessage] = []
        self._seen: set[bytes] = set()

    # Messages

    def sent(self, source: int, message: wire.Message) -> None:
        """Look at a message on its way; relayed ones count as their signer's."""
        if isinstance(message, wire.Bundles):
            self._look(Bundle, message.bundles)
        elif isinstance(message, wire.Proposal):
            self._look(Proposal, (message.proposal,))
        elif isinstance(message, wire.Votes):
            self._look(Prevote, message.prevotes)
            self._look(Precommit, message.precommits)

    def _look(self, kind: type[SignedMessage], raws: Sequence[bytes]) -> None:
        for raw in raws:
            if raw not in self._seen:
                self._seen.add(raw)
                signed = kind.decode(raw)
                self.signed.append(signed)
                if signed.signer not in self.dishonest:
                    self._judge(signed)

    def _once(self, place: tuple[object, ...], statement: bytes) -> None:
        if self.statements.setdefault(place, statement) != statement:
            raise Broken(f"two statements for {place}")

    def _judge(self, signed: SignedMessage) -> None:
        if isinstance(signed, Bundle):
            self._judge_bundle(signed)
            return
        self._once((type(signed).__name__, signed.signer, signed.height, signed.round), signed.body())
        if isinstance(signed, Proposal):
            self.proposals[signed.block_hash] = signed
        elif isinstance(signed, Prevote) and signed.fresh:
            self.fresh.append(signed)

    def _judge_bundle(self, bundle: Bundle) -> None:
        signer = (bundle.signer, bundle.epoch)
        self._once(("bundle", *signer, bundle.sequence), bundle.body())
        for txid in bundle.votes:
            for outpoint in self.transactions[txid].outpoints():
                self._once(("vote", *signer, outpoint), txid)
        acks = self.acks.setdefault(signer, {})
        acks.update(dict.fromkeys(bundle.acks, bundle.sequence))
        if bundle.seal:
            self.seals[signer] = min(bundle.sequence, self.seals.get(signer, bundle.sequence))
        if acks and signer in self.seals and max(acks.values()) > self.seals[signer]:
            raise Broken(f"{signer} acked after its seal")

    # Disks

    def journaled(self, records: Iterable[bytes]) -> None:
        """Records became durable: from here on a submitted transaction may not be lost."""
        for record in map(decode_record, records):
            if record.kind is RecordKind.PENDING:
                self.accepted.add(Transaction.decode(decode_pending(record.payload).raw).txid)

    def stored(self, node: int, assembled: Assembled) -> None:
        """A block became durable somewhere."""
        header = assembled.block.header
        if self.blocks.setdefault(header.height, header.hash) != header.hash:
            raise Broken(f"two blocks at height {header.height}")

    def report(self, node: int, report: Report) -> None:
        """Users are told something."""
        if report.change is Change.FINAL:
            self._final(report.txid)
        elif report.change is Change.REJECTED:
            self.rejected.add(report.txid)
        if self.rejected & self.told_final:
            raise Broken("a final transaction was rejected")

    def _final(self, txid: bytes) -> None:
        self.told_final.add(txid)
        for outpoint in self.transactions[txid].outpoints():
            if self.finals.setdefault(outpoint, txid) != txid:
                raise Broken("two final transactions spend one coin")

    # The end

    def finish(self, nodes: Iterable[Node]) -> None:
        """The coins add up everywhere; honest nodes cannot be accused of acking what they then left out."""
        nodes = list(nodes)
        for node in nodes:
            self._check_supply(node.disk)
        longest = max((node.disk for node in nodes), key=lambda disk: disk.ledger.height)
        where = {tx.txid: block for block in longest.blocks for tx in block.transactions}
        if self.told_final - where.keys():
            raise Broken("a final transaction is in no block, epochs later")
        if self.accepted - where.keys() - self.rejected:
            raise Broken("a submitted transaction was lost")
        for vote in self.fresh:
            proposal = self.proposals.get(vote.block_hash)
            if proposal is not None and proposal.closing:
                self._check_acks(vote, proposal, where)

    def _check_supply(self, disk: Disk) -> None:
        coins = sum(coin.value for coin in disk.coins.values())
        ledger = disk.ledger
        if coins + ledger.epoch_fees != ledger.supply:
            raise Broken(f"{coins} in coins, {ledger.epoch_fees} in fees, supply {ledger.supply}")

    def _check_acks(self, vote: Prevote, proposal: Proposal, where: dict[bytes, Block]) -> None:
        contained = {txid for txid, _ in proposal.txs}
        for txid in self.acks.get((vote.signer, vote.epoch), {}):
            block = where.get(txid)
            below = block is not None and block.header.height < vote.height
            if txid not in contained and not below:
                raise Broken(f"{vote.signer} acked what the closing block it prevoted leaves out")
