"""What evidence asks of storage: does a block of an epoch hold a transaction? And its blocks, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.accusations import Culprit, every_kind
from tests.ledger.builders import Chain, account, network
from tests.storage.samples import EAGER, scratch, uris
from timecoin.ledger.assembly import Assembled
from timecoin.ledger.first import first_block
from timecoin.node.storage_service import committed_block
from timecoin.primitives.block import EMPTY_COMMIT, Block, Commit
from timecoin.storage.chain import ChainStore


@dataclass
class Stored:
    """A chain in memory and its copy on disk."""

    chain: Chain
    store: ChainStore

    def add(self, assembled: Assembled) -> None:
        commit = self.chain.commit(assembled.block)
        verified = self.chain.apply(assembled.block, commit)
        self.put(verified, commit)

    def put(self, assembled: Assembled, commit: Commit) -> None:
        self.store.committed(self.store.commit_block(committed_block(assembled, commit)))

    def merge(self) -> None:
        while (token := self.store.merge(force=True)) is not None:
            self.store.merged(token)


class EvidenceTest(SynchronousTestCase):
    def setUp(self) -> None:
        genesis = network(4)
        store = ChainStore.open(*uris(scratch(self)), genesis.chain_id, EAGER)
        self.addCleanup(store.close)
        self.stored = Stored(Chain(genesis), store)
        self.stored.put(first_block(genesis), EMPTY_COMMIT)
        self.chain, self.store = self.stored.chain, store

    def test_archived_in(self) -> None:
        chain = self.chain
        first, second = [chain.payment(account(n), account(3), 10**8) for n in (0, 1)]
        self.stored.add(chain.assemble([first], closing=False))
        self.stored.add(chain.assemble())
        before = self.store.coin_lookup()
        self.stored.add(chain.assemble([second]))
        after = self.store.coin_lookup()
        for _ in range(2):
            for lookup, height in ((before, None), (after, 3)):
                self.assertEqual([lookup.archived_in(first.txid, epoch) for epoch in range(4)], [None, 1, None, None])
                self.assertEqual([lookup.archived_in(second.txid, epoch) for epoch in (1, 2)], [None, height])
                self.assertIsNone(lookup.archived_in(b"\1" * 32, 1))
            self.stored.merge()
        later = self.store.coin_lookup()
        self.assertEqual((later.archived_in(first.txid, 1), later.archived_in(second.txid, 2)), (1, 3))
        for lookup in (before, after, later):
            lookup.close()

    def test_blocks_with_evidence(self) -> None:
        chain = self.chain
        self.stored.add(chain.assemble())
        for number, kind in enumerate(("RIVAL_VOTES", "ACK_LEFT_OUT")):
            piece = every_kind(chain, Culprit(chain.state, number))[kind].encode()
            self.stored.add(chain.assemble(evidence=[piece]))
            block = chain.blocks[-1]
            raw = self.store.archive.block(chain.state.height)
            self.assertEqual(raw, block.encode())
            self.assertEqual(Block.decode(raw).evidence, (piece,))
            self.assertEqual(self.store.tip_state(), chain.state)
