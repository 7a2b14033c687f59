"""The address index: what it tells of a chain, that a crash at any step loses nothing, that no read sees half a
batch."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import Chain, account, network
from timecoin.primitives.amounts import COIN
from timecoin.primitives.block import Block
from timecoin.storage.address_changes import Gathering, in_order, script_id
from timecoin.storage.address_index import AddressIndex, TooManyEntries
from timecoin.storage.errors import CoinsOutOfStep, WrongGenesis

MANY = 1_000


def story() -> Chain:
    """Payments between four accounts over six blocks, with a child beside its parent in one block."""
    chain = Chain(network(1, accounts=4))
    for height in range(1, 7):
        txs = [chain.payment(account(n), account((n + height) % 4), (n + 1) * COIN) for n in range(3)]
        chain.apply(chain.assemble(txs, closing=height % 2 == 0).block)
        chain.reserved.clear()
    return chain


class IndexCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = story()
        self.path = Path(self.mktemp())
        self.index = self.open()

    def open(self) -> AddressIndex:
        index = AddressIndex.open(self.path, self.chain.state.chain_id)
        self.addCleanup(self.close, index)
        return index

    def close(self, index: AddressIndex) -> None:
        if index is self.index:
            index.close()

    def crash(self) -> None:
        """Go on from what is on the disk."""
        old, self.index = self.index, None  # type: ignore[assignment]
        old.close()
        self.index = self.open()

    def check(self, index: AddressIndex, height: int) -> None:
        """Everything it tells is what the blocks up to ``height`` say."""
        for script, (unspent, received, spent) in figures(self.chain.blocks[: height + 1]).items():
            ident = script_id(script)
            coins = {coin.outpoint: (coin.value, coin.height) for coin in index.unspent(ident, MANY)}
            self.assertEqual(coins, unspent)
            touches = index.history(ident, MANY)
            self.assertEqual(touches, sorted(touches))
            self.assertEqual(sum(each.received for each in touches), received)
            self.assertEqual(sum(each.spent for each in touches), spent)


def figures(blocks: list[Block]) -> dict[bytes, tuple[dict[bytes, tuple[int, int]], int, int]]:
    """(unspent, received, spent) by script, the slow way."""
    coins: dict[bytes, tuple[bytes, int, int]] = {}
    received: defaultdict[bytes, int] = defaultdict(int)
    spent: defaultdict[bytes, int] = defaultdict(int)
    for block in blocks:
        for tx in block.transactions:
            for n, output in enumerate(tx.outputs):
                if output.script[0] != 0x6A:
                    coins[tx.outpoint(n)] = (output.script, output.value, block.header.height)
                    received[output.script] += output.value
        for tx in block.transactions[1:]:
            for outpoint in tx.outpoints():
                script, value, _ = coins.pop(outpoint)
                spent[script] += value
    return {
        script: (
            {outpoint: (value, height) for outpoint, (owner, value, height) in coins.items() if owner == script},
            received[script],
            spent[script],
        )
        for script in received
    }


class FollowingTests(IndexCase):
    def test_block_by_block(self) -> None:
        for block in self.chain.blocks:
            self.index.begin([block])
            self.check(self.index, block.header.height)
            while self.index.move(7):
                self.check(self.index, block.header.height)
            self.check(self.index, block.header.height)
        self.assertEqual((self.index.height, self.index.is_moving), (6, False))
        self.assertEqual(self.index.block_hash, self.chain.blocks[-1].header.hash)

    def test_several_at_once_come_to_the_same(self) -> None:
        for batch in (self.chain.blocks[:3], self.chain.blocks[3:]):
            self.index.begin(batch)
            while self.index.move(50):
                pass
        self.check(self.index, 6)

    def test_a_crash_after_any_step(self) -> None:
        for batch in (self.chain.blocks[:2], self.chain.blocks[2:]):
            self.index.begin(batch)
            self.crash()
            self.check(self.index, batch[-1].header.height)
            while self.index.move(9):
                self.crash()
                self.check(self.index, batch[-1].header.height)
            self.crash()
        self.check(self.index, 6)

    def test_a_block_that_does_not_follow_changes_nothing(self) -> None:
        self.index.begin(self.chain.blocks[:1])
        while self.index.move(50):
            pass
        with self.assertRaises(CoinsOutOfStep):
            self.index.begin(self.chain.blocks[4:5])
        self.check(self.index, 0)
        self.index.begin(self.chain.blocks[1:])
        self.check(self.index, 6)

    def test_another_network(self) -> None:
        self.crash()
        old, self.index = self.index, None  # type: ignore[assignment]
        old.close()
        with self.assertRaises(WrongGenesis):
            AddressIndex.open(self.path, b"\1" * 32)


class ReadingTests(IndexCase):
    def setUp(self) -> None:
        super().setUp()
        self.index.begin(self.chain.blocks)

    def test_a_stretch_of_blocks(self) -> None:
        ident = script_id(account(0).script)
        whole = self.index.history(ident, MANY)
        part = self.index.history(ident, MANY, 2, 4)
        self.assertEqual(part, [each for each in whole if 2 <= each.height <= 4])
        self.assertNotIn(len(part), (0, len(whole)))

    def test_limits(self) -> None:
        ident = script_id(account(0).script)
        with self.assertRaises(TooManyEntries):
            self.index.history(ident, 1)
        while self.index.move(50):
            pass
        with self.assertRaises(TooManyEntries):
            self.index.history(ident, 1)

    def test_a_script_that_nobody_knows(self) -> None:
        self.assertEqual(self.index.history(script_id(b"\0\x14" + b"\1" * 20), 1), [])
        self.assertEqual(self.index.unspent(script_id(b"\0\x14" + b"\1" * 20), 1), [])

    def test_order(self) -> None:
        gathering = Gathering(lambda key: None)
        gathering.add(self.chain.blocks[0])
        self.assertEqual(list(in_order(gathering.changes)), sorted(gathering.changes.items()))
