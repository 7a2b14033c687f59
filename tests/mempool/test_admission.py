from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.network import FakeChain
from tests.consensus.payments import FEE, SCRIPT, SIGNATURE, VALUE, genesis_outpoint, spend
from timecoin.ledger import errors
from timecoin.ledger.params import Parameters
from timecoin.mempool.admission import Prepared, prepare
from timecoin.mempool.entry import Entry
from timecoin.mempool.errors import AlreadyKnown, MissingParents, RivalFinal
from timecoin.mempool.pool import Pool
from timecoin.primitives.hashes import sha256
from timecoin.primitives.script import op_return
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput, make_outpoint

COIN = genesis_outpoint(0)
PARAMS = Parameters()


class AdmissionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = FakeChain()
        self.pool = Pool(10_000_000)

    def prepare(self, tx: Transaction) -> Prepared:
        return prepare(PARAMS, self.chain, self.pool, tx, epoch=1, version=7)

    def put(self, tx: Transaction) -> Entry:
        made = self.prepare(tx)
        entry = Entry(tx, made.coins, made.fee, 0)
        self.pool.add(entry, [each for txid in made.parents if (each := self.pool.get(txid)) is not None])
        return entry

    def test_a_payment(self) -> None:
        tx = spend([COIN, genesis_outpoint(1)])
        made = self.prepare(tx)
        self.assertEqual((made.fee, made.parents, made.version), (FEE, (), 7))
        self.assertEqual([coin.value for coin in made.coins], [VALUE, VALUE])
        self.assertEqual(len(made.checks), 2)

    def test_coins_of_the_pool(self) -> None:
        parent = self.put(spend([COIN]))
        made = self.prepare(spend([parent.tx.outpoint(0), parent.tx.outpoint(1)], value=VALUE // 2 - FEE))
        self.assertEqual(made.parents, (parent.txid,))
        self.assertEqual({coin.code for coin in made.coins}, {0})

    def test_known_and_archived(self) -> None:
        tx = spend([COIN])
        self.put(tx)
        self.assertFalse(self.assertRaises(AlreadyKnown, self.prepare, tx).archived)
        self.chain.add([tx], closing=False)
        self.pool = Pool(10_000_000)
        self.assertTrue(self.assertRaises(AlreadyKnown, self.prepare, tx).archived)

    def test_spent_missing_and_never_made(self) -> None:
        tx = spend([COIN])
        unknown = make_outpoint(sha256(b"nobody"), 0)
        self.assertEqual(
            self.assertRaises(MissingParents, self.prepare, spend([unknown, genesis_outpoint(1)])).txids,
            (unknown[:32],),
        )
        self.assertRaises(errors.MissingInputs, self.prepare, spend([make_outpoint(COIN[:32], 5)]))
        self.put(tx)
        self.assertRaises(errors.MissingInputs, self.prepare, spend([tx.outpoint(2)], value=VALUE // 3))
        self.chain.add([tx], closing=False)
        self.assertRaises(errors.MissingInputs, self.prepare, spend([COIN], salt=2))

    def test_a_spent_coin_is_final_even_beside_a_missing_parent(self) -> None:
        self.chain.add([spend([COIN])], closing=False)
        tx = spend([make_outpoint(sha256(b"nobody"), 0), COIN], salt=4)
        self.assertRaises(errors.MissingInputs, self.prepare, tx)

    def test_nothing_spends_data_outputs(self) -> None:
        tx = Transaction(
            2,
            (TxInput(COIN, witness=(SIGNATURE, b"\x02" * 33)),),
            (TxOutput(0, op_return(b"hello")), TxOutput(VALUE // 2, SCRIPT)),
        )
        self.pool.add(Entry(tx, (), FEE, 0), ())
        self.assertRaises(errors.MissingInputs, self.prepare, spend([tx.outpoint(0)], value=VALUE // 3))
        self.prepare(spend([tx.outpoint(1)], value=VALUE // 2))

    def test_rules_of_the_ledger_hold(self) -> None:
        self.assertRaises(errors.FeeTooLow, self.prepare, spend([COIN], fee=10))
        self.assertRaises(errors.OutputsExceedInputs, self.prepare, spend([COIN], fee=-2))
        self.assertRaises(errors.DuplicateInputs, self.prepare, spend([COIN, COIN]))
        self.chain.registry.closed.add(COIN)
        self.assertRaises(errors.CollateralLocked, self.prepare, spend([COIN]))
        bare = Transaction(2, (TxInput(genesis_outpoint(1)),), spend([COIN]).outputs)
        self.assertRaises(errors.TxInvalid, self.prepare, bare)

    def test_rivals_of_final_transactions(self) -> None:
        winner = self.put(spend([COIN]))
        self.prepare(spend([COIN], salt=2))
        winner.final = True
        self.assertRaises(RivalFinal, self.prepare, spend([COIN], salt=2))
