"""Blocks as they are built: order, coinbase, what enters and leaves the UTXO set, fees and rewards."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import (
    COIN,
    FEE,
    Chain,
    account,
    data_output,
    network,
    payout,
    spend,
)
from timecoin.ledger import errors
from timecoin.ledger.assembly import Assembled, BlockTx, assemble
from timecoin.ledger.blocktx import check_order
from timecoin.ledger.coins import UNARCHIVED, Coin, elements
from timecoin.ledger.params import Parameters
from timecoin.ledger.rewards import reward
from timecoin.primitives.block import EMPTY_COMMIT
from timecoin.primitives.merkle import merkle_root
from timecoin.primitives.muhash import MuHash
from timecoin.primitives.script import op_return
from timecoin.primitives.transaction import NULL_OUTPOINT, Transaction, TxOutput


def _recomputed(chain: Chain) -> bytes:
    return MuHash.empty().update(elements(sorted(chain.coins.items()))).digest()


def _assemble(
    chain: Chain,
    txs: Sequence[BlockTx],
    params: Parameters | None = None,
    evidence: Sequence[bytes] = (),
) -> Assembled:
    """The closing block after block 0 with ``txs`` as they are."""
    return assemble(
        params or chain.params,
        chain.state,
        closing=True,
        slot_time=chain.next_slot,
        proposer_index=0,
        round=0,
        txs=txs,
        last_commit=EMPTY_COMMIT,
        evidence=evidence,
    )


class CoinbaseTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = Chain(network(4))

    def test_form(self) -> None:
        coinbase = self.chain.assemble().block.transactions[0]
        chain_id = self.chain.state.chain_id
        self.assertEqual((coinbase.version, coinbase.lock_time, len(coinbase.inputs)), (2, 0, 1))
        spent = coinbase.inputs[0]
        self.assertEqual((spent.outpoint, spent.sequence, spent.witness), (NULL_OUTPOINT, 0xFFFFFFFF, ()))
        self.assertEqual(spent.script_sig, b"\x04" + b"\x01\x00\x00\x00" + b"\x20" + chain_id)
        self.assertEqual(coinbase.txid, coinbase.wtxid)

    def test_unpaid(self) -> None:
        tx = self.chain.payment(account(0), account(1), COIN)
        interim = self.chain.assemble([tx], closing=False)
        self.assertEqual(interim.block.transactions[0].outputs, (TxOutput(0, op_return(b"TimeCoin")),))

    def test_nothing_to_pay(self) -> None:
        chain = Chain(network(4, parameters=Parameters(base_reward=0)))
        self.assertEqual(
            chain.assemble().block.transactions[0].outputs, (TxOutput(0, op_return(b"TimeCoin")),)
        )
        self.assertEqual(chain.assemble().delta.added, {})

    def test_spendable_from_the_next_block_only(self) -> None:
        chain = self.chain
        coinbase = chain.assemble().block.transactions[0]
        coin = Coin(2 * 1 + 1, coinbase.outputs[0].value, coinbase.outputs[0].script)
        tx = spend([(coinbase.outpoint(0), coin, payout(0))], [TxOutput(COIN, account(0).script)])
        with self.assertRaises(errors.BadTransaction) as caught:
            chain.resolve([tx])
        self.assertIsInstance(caught.exception.cause, errors.MissingInputs)
        chain.close()
        self.assertIn(coinbase.outpoint(0), chain.coins)
        chain.interim([tx])
        self.assertNotIn(coinbase.outpoint(0), chain.coins)


class ContentTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = Chain(network(4))

    def chained(self) -> list[Transaction]:
        """A payment, one that spends its change, one that spends that one's, and one on its own."""
        chain = self.chain
        outpoint, coin = chain.coins_of(account(0))[0]
        txs = []
        for _ in range(3):
            left = coin.value - COIN - FEE
            outputs = [TxOutput(COIN, account(1).script), TxOutput(left, account(0).script)]
            txs.append(spend([(outpoint, coin, account(0))], outputs))
            outpoint, coin = txs[-1].outpoint(1), Coin(2, left, account(0).script)
        return [*txs, chain.payment(account(2), account(1), COIN)]

    def test_ascending_as_displayed(self) -> None:
        txs = self.chained()
        for order in (txs, txs[::-1]):
            block = self.chain.assemble(order).block
            shown = [tx.txid[::-1].hex() for tx in block.transactions[1:]]
            self.assertEqual(shown, sorted(shown))
            self.assertEqual(block.encode(), self.chain.assemble(txs).block.encode())

    def test_made_and_spent_in_one_block_never_enters(self) -> None:
        txs = self.chained()
        before = set(self.chain.coins)
        built = self.chain.assemble(txs, closing=False)
        inner = {txs[0].outpoint(1), txs[1].outpoint(1)}
        self.assertFalse(inner & set(built.delta.added))
        self.assertFalse(inner & set(built.delta.removed))
        self.assertLessEqual(set(built.delta.removed), before)
        self.assertEqual(len(built.delta.removed), 2)
        self.assertEqual(len(built.delta.added), 6)
        self.chain.apply(built.block)
        self.assertEqual(_recomputed(self.chain), built.block.header.utxo_commitment)

    def test_data_never_enters(self) -> None:
        tx = self.chain.payment(account(0), account(1), COIN, extra=[data_output(b"hello")])
        built = self.chain.assemble([tx], closing=False)
        self.assertEqual(set(built.delta.added), {tx.outpoint(0), tx.outpoint(2)})
        self.chain.apply(built.block)
        self.assertEqual(_recomputed(self.chain), built.block.header.utxo_commitment)

    def test_codes(self) -> None:
        tx = self.chain.payment(account(0), account(1), COIN)
        self.chain.interim([tx])
        self.chain.close()
        self.assertEqual(self.chain.coins[tx.outpoint(0)].code, 2 * 1)
        coinbase = self.chain.blocks[2].transactions[0]
        self.assertEqual(self.chain.coins[coinbase.outpoint(0)].code, 2 * 2 + 1)

    def test_roots_and_counts(self) -> None:
        block = self.chain.assemble(self.chained()).block
        self.assertEqual(block.header.tx_count, 5)
        self.assertEqual(block.header.tx_root, merkle_root([tx.txid for tx in block.transactions]))
        self.assertEqual(block.header.wtx_root, merkle_root([tx.wtxid for tx in block.transactions]))
        self.assertEqual(block.transactions[0].wtxid, block.transactions[0].txid)

    def test_double_spend(self) -> None:
        outpoint, coin = self.chain.coins_of(account(0))[0]
        rivals = [
            spend([(outpoint, coin, account(0))], [TxOutput(COIN + n, account(1).script)]) for n in range(2)
        ]
        with self.assertRaises(errors.DoubleSpend):
            self.chain.assemble(rivals)

    def test_double_spend_of_an_output_of_the_block(self) -> None:
        parent = self.chained()[0]
        coin = Coin(2, parent.outputs[1].value, account(0).script)
        rivals = [
            spend([(parent.outpoint(1), coin, account(0))], [TxOutput(COIN + n, account(1).script)])
            for n in range(2)
        ]
        with self.assertRaises(errors.DoubleSpend):
            self.chain.assemble([parent, *rivals])

    def test_one_transaction_twice(self) -> None:
        tx = self.chain.payment(account(0), account(1), COIN)
        with self.assertRaises(errors.DoubleSpend):
            self.chain.assemble([tx, tx])
        with self.assertRaises(errors.DuplicateTransaction):
            check_order(self.chain.resolve([tx, tx]))

    def test_missing_parent(self) -> None:
        """Whoever has the parent in a pool knows the coin; the block without it is invalid all the same."""
        parent, child, *_ = self.chained()
        with self.assertRaises(errors.BadTransaction) as caught:
            self.chain.resolve([child])
        self.assertIsInstance(caught.exception.cause, errors.MissingInputs)
        for code in (UNARCHIVED, 2 * 1, 2 * 2):
            coin = Coin(code, parent.outputs[1].value, account(0).script)
            with self.assertRaises(errors.BadTransaction) as caught:
                _assemble(self.chain, [BlockTx(child, (coin,), FEE)])
            self.assertIsInstance(caught.exception.cause, errors.MissingInputs)
            both = [BlockTx(child, (coin,), FEE), *self.chain.resolve([parent])]
            self.assertEqual(_assemble(self.chain, both).block, self.chain.assemble([parent, child]).block)

    def test_archived_once(self) -> None:
        tx = self.chain.payment(account(0), account(1), COIN)
        self.chain.interim([tx])
        with self.assertRaises(errors.BadTransaction) as caught:
            self.chain.assemble([tx])
        self.assertIsInstance(caught.exception.cause, errors.MissingInputs)


class KindTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = Chain(network(4))

    def test_interim_keeps_the_epoch(self) -> None:
        chain = self.chain
        opening, slot = chain.state.opening, chain.state.last_closing_slot
        block = chain.interim([chain.payment(account(0), account(1), COIN)])
        self.assertFalse(block.header.closing)
        self.assertEqual((block.header.epoch, block.header.slot_time), (1, slot))
        self.assertEqual(block.header.state_hash, chain.blocks[0].header.state_hash)
        self.assertIs(chain.state.opening, opening)
        self.assertEqual(chain.state.epoch_fees, FEE)

    def test_closing_opens_the_next(self) -> None:
        chain = self.chain
        chain.close()
        self.assertEqual((chain.state.epoch, chain.state.height), (2, 1))
        self.assertEqual((chain.state.epoch_fees, chain.state.closing_signers), (0, None))
        block = chain.close()
        self.assertEqual((block.header.epoch, chain.state.epoch), (2, 3))

    def test_missed_slots_are_skipped(self) -> None:
        chain = self.chain
        chain.close(slot_time=chain.next_slot + 7 * 600)
        self.assertEqual(chain.state.epoch, 2)

    def test_slots(self) -> None:
        chain = self.chain
        last = chain.state.last_closing_slot
        for slot in (last, last - 600, last + 1, last + 599, 0):
            with self.assertRaises(errors.BadSlotTime):
                chain.assemble(slot_time=slot)
        tx = chain.payment(account(0), account(1), COIN)
        for slot in (last + 600, last - 600, 0):
            with self.assertRaises(errors.BadSlotTime):
                chain.assemble([tx], closing=False, slot_time=slot)

    def test_interim_holds_something(self) -> None:
        with self.assertRaises(errors.EmptyInterim):
            self.chain.assemble(closing=False)


class RewardTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = Chain(network(4))

    def paid(self) -> list[int]:
        return [output.value for output in self.chain.blocks[-1].transactions[0].outputs]

    def test_first_epoch_pays_all(self) -> None:
        self.chain.close(signers=(0, 1, 2))
        self.assertEqual(self.paid(), [reward(4, 100 * COIN) // 4] * 4)

    def test_commit_of_the_previous_closing_block_pays(self) -> None:
        chain = self.chain
        chain.close(signers=(0, 1, 3))
        chain.interim([chain.payment(account(0), account(1), COIN)], signers=(1, 2, 3))
        pot = reward(3, 100 * COIN) + FEE
        self.assertEqual(len(chain.state.closing_signers or ()), 3)
        chain.close()
        self.assertEqual(self.paid(), [pot // 4] * 3)
        scripts = [output.script for output in chain.blocks[-1].transactions[0].outputs]
        absent = chain.state.current.members[2].payout
        self.assertEqual(len(scripts), 3)
        self.assertNotIn(absent, scripts)

    def test_commit_in_the_closing_block_itself(self) -> None:
        self.chain.close(signers=(0, 1, 3))
        self.chain.close()
        self.assertEqual(len(self.paid()), 3)

    def test_all_blocks_of_the_epoch_pay_their_fees(self) -> None:
        chain = self.chain
        supply = chain.state.supply
        for number in range(3):
            chain.interim([chain.payment(account(number), account(3), COIN)])
        self.assertEqual((chain.state.epoch_fees, chain.state.supply), (3 * FEE, supply))
        chain.close([chain.payment(account(3), account(0), COIN)])
        pot = reward(4, 100 * COIN) + 4 * FEE
        self.assertEqual(self.paid(), [pot // 4] * 4)
        self.assertEqual(chain.state.supply, supply + sum(self.paid()) - 4 * FEE)
        self.assertEqual(chain.state.supply, sum(coin.value for coin in chain.coins.values()))

    def test_what_nobody_earns_is_not_created(self) -> None:
        chain = self.chain
        chain.close(signers=(0, 1, 3))
        supply = chain.state.supply
        chain.close([chain.payment(account(0), account(1), COIN)])
        pot = reward(3, 100 * COIN) + FEE
        self.assertEqual(chain.state.supply, supply + 3 * (pot // 4) - FEE)

    def test_never_more_than_max_money(self) -> None:
        params = Parameters()
        chain = Chain(network(4))
        room = reward(4, params.base_reward) + 7
        tight = Parameters(max_money=chain.state.supply + room)
        chain = Chain(network(4, parameters=tight))
        for _ in range(4):
            chain.close()
            self.assertLessEqual(chain.state.supply, tight.max_money)
        self.assertGreater(chain.state.supply, tight.max_money - 8)
        self.assertEqual(self.state_sum(chain), chain.state.supply)

    def state_sum(self, chain: Chain) -> int:
        return sum(coin.value for coin in chain.coins.values())


class LimitTests(SynchronousTestCase):
    def test_count(self) -> None:
        params = Parameters(max_block_txs=3, interim_txs=1)
        chain = Chain(network(4, parameters=params))
        txs = [chain.payment(account(number), account(0), COIN) for number in range(4)]
        chain.assemble(txs[:3])
        with self.assertRaises(errors.TooManyTransactions):
            chain.assemble(txs)

    def test_bytes(self) -> None:
        chain = Chain(network(4))
        resolved = chain.resolve([chain.payment(account(n), account(0), COIN) for n in range(4)])
        size = sum(item.tx.size for item in resolved)
        _assemble(chain, resolved, params=Parameters(max_block_bytes=size))
        with self.assertRaises(errors.BlockTooLarge):
            _assemble(chain, resolved, params=Parameters(max_block_bytes=size - 1))

    def test_fees_together(self) -> None:
        chain = Chain(network(4))
        tx = chain.payment(account(0), account(1), COIN)
        resolved = [item._replace(fee=chain.params.max_money + 1) for item in chain.resolve([tx])]
        with self.assertRaises(errors.FeesOutOfRange):
            _assemble(chain, resolved)

    def test_evidence(self) -> None:
        chain = Chain(network(4))
        for evidence in ((b"",), (b"\x01",), (b"",) * 17, (bytes(256 * 1024 + 1),)):
            with self.assertRaises(errors.BadEvidence):
                _assemble(chain, (), evidence=evidence)
