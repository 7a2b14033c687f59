"""Block 0 and the state after it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import FUNDS, GENESIS_TIME, network, owner
from timecoin.ledger.first import first_state
from timecoin.ledger.tiers import Tier
from timecoin.primitives.block import EMPTY_COMMIT
from timecoin.primitives.hashes import ZERO


class FirstBlockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.genesis = network(4, accounts=2)
        self.block, self.state, self.delta = first_state(self.genesis)

    def test_header(self) -> None:
        header = self.block.header
        self.assertEqual((header.height, header.epoch, header.closing, header.round), (0, 0, True, 0))
        self.assertEqual((header.previous, header.chain_id), (ZERO, self.genesis.chain_id))
        self.assertEqual(header.slot_time, GENESIS_TIME - GENESIS_TIME % 600)
        self.assertEqual((header.tx_count, header.last_commit_hash), (1, EMPTY_COMMIT.hash))
        self.assertEqual(header.set_hash, header.next_set_hash)

    def test_coinbase(self) -> None:
        (coinbase,) = self.block.transactions
        self.assertTrue(coinbase.is_coinbase)
        self.assertEqual(coinbase.inputs[0].script_sig, b"\x20" + self.genesis.chain_id)
        self.assertEqual(coinbase.outputs, self.genesis.allocations)

    def test_coins(self) -> None:
        self.assertEqual(len(self.delta.added), 6)
        self.assertEqual({coin.code for coin in self.delta.added.values()}, {1})
        self.assertEqual(sum(coin.value for coin in self.delta.added.values()), self.state.supply)
        self.assertEqual(self.delta.removed, ())
        self.assertEqual(self.state.supply, 4 * self.genesis.parameters.gold_collateral + 2 * FUNDS)

    def test_state(self) -> None:
        state = self.state
        self.assertEqual((state.height, state.epoch), (0, 1))
        self.assertEqual(state.current, state.following)
        self.assertEqual(len(state.current), 4)
        self.assertEqual(state.priorities, (0, 0, 0, 0))
        self.assertFalse(state.free_mode)
        self.assertIsNone(state.closing_signers)
        self.assertTrue(state.is_committed())

    def test_collateral_is_locked_from_the_start(self) -> None:
        locked = [out for out in self.delta.added if self.state.registry.locked(out, 1)]
        self.assertEqual(
            {self.delta.added[out].script for out in locked}, {owner(n).script for n in range(4)}
        )

    def test_free_mode(self) -> None:
        _, state, delta = first_state(network(3, tier=Tier.FREE, accounts=0))
        self.assertTrue(state.free_mode)
        self.assertEqual(
            ([m.power for m in state.current.members], delta.added, state.supply), ([1, 1, 1], {}, 0)
        )

    def test_deterministic(self) -> None:
        self.assertEqual(first_state(network(4, accounts=2))[0].encode(), self.block.encode())
