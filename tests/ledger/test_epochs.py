"""Several epochs in a row: registrations, absences and what becomes of the sets and the collateral."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import (
    BACKEND,
    COIN,
    FEE,
    Chain,
    Key,
    account,
    data_output,
    network,
    operator,
    owner,
    payout,
    spend,
)
from timecoin.ledger import errors
from timecoin.ledger.archived import Archived
from timecoin.ledger.assembly import assemble
from timecoin.ledger.coins import Coin
from timecoin.ledger.params import Parameters
from timecoin.ledger.payload import Return, Unregister, Update
from timecoin.ledger.state import LedgerState
from timecoin.ledger.tiers import Tier
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import OutPoint, Transaction, TxOutput

_FUNDS = 5_000 * COIN
_NEW = 50


def _ids(chain: Chain) -> set[bytes]:
    return {member.masternode_id for member in chain.state.current.members}


class EpochCase(SynchronousTestCase):
    params = Parameters()

    def setUp(self) -> None:
        self.chain = Chain(network(4, funds=_FUNDS, parameters=self.params))
        self.chain.close()

    def spend_outpoint(self, outpoint: OutPoint, holder: Key) -> Transaction:
        coin = self.chain.coins[outpoint]
        return spend([(outpoint, coin, holder)], [TxOutput(coin.value - FEE, holder.script)])


class RegistrationTests(EpochCase):
    def register(self, interim: bool = True) -> Transaction:
        tx = self.chain.registration(account(0), _NEW)
        if interim:
            self.chain.interim([tx])
            self.chain.close()
        else:
            self.chain.close([tx])
        return tx

    def test_from_archive_to_vote(self) -> None:
        for interim in (True, False):
            self.setUp()
            chain = self.chain
            epoch = chain.state.epoch
            tx = self.register(interim)
            self.assertIsNotNone(chain.state.registry.get(tx.txid))
            self.assertNotIn(tx.txid, _ids(chain))
            self.assertIsNotNone(chain.state.following.index_of_key(operator(_NEW).public))
            chain.close()
            self.assertEqual(chain.state.epoch, epoch + 2)
            self.assertIn(tx.txid, _ids(chain))
            self.assertEqual(len(chain.state.priorities), 5)
            chain.close()
            chain.close()
            self.assertGreater(chain.balance(payout(_NEW)), 0)

    def test_collateral_is_locked_from_the_next_epoch(self) -> None:
        tx = self.register()
        with self.assertRaises(errors.BadTransaction) as caught:
            self.chain.resolve([self.spend_outpoint(tx.outpoint(0), owner(_NEW))])
        self.assertIsInstance(caught.exception.cause, errors.CollateralLocked)

    def test_collateral_spent_before_the_epoch_closes(self) -> None:
        chain = self.chain
        tx = chain.registration(account(0), _NEW)
        chain.interim([tx])
        self.assertEqual(chain.state.archived.collateral, (tx.outpoint(0),))
        chain.interim([self.spend_outpoint(tx.outpoint(0), owner(_NEW))])
        self.assertEqual(chain.state.archived.collateral, ())
        self.assertEqual(len(chain.state.epoch_payloads), 1)
        chain.close()
        self.assertIsNone(chain.state.registry.get(tx.txid))

    def test_collateral_spent_in_the_same_block(self) -> None:
        chain = self.chain
        tx = chain.registration(account(0), _NEW)
        coin = Coin(0, tx.outputs[0].value, tx.outputs[0].script)
        child = spend([(tx.outpoint(0), coin, owner(_NEW))], [TxOutput(coin.value - FEE, owner(_NEW).script)])
        chain.close([tx, child])
        self.assertIsNone(chain.state.registry.get(tx.txid))

    def test_forged_payloads_do_not_reach_the_closing_block(self) -> None:
        chain = self.chain
        target = chain.state.current.members[0].masternode_id
        forged = chain.carrier(account(0), Unregister(target), owner=account(0))
        unknown = chain.carrier(account(1), Unregister(bytes(32)), owner=account(0))
        noise = chain.payment(account(2), account(3), COIN, extra=[data_output(b"TCMN but no payload")])
        chain.interim([forged, unknown, noise])
        self.assertEqual(chain.state.archived, Archived())
        chain.close()
        self.assertIn(target, {member.masternode_id for member in chain.state.following.members})

    def test_stored_form_with_payloads(self) -> None:
        self.chain.interim([self.chain.registration(account(0), _NEW)])
        self.assertEqual(len(self.chain.state.epoch_payloads), 1)
        self.assertEqual(LedgerState.decode(self.chain.state.encode()), self.chain.state)

    def test_chain_order_decides_collisions(self) -> None:
        chain = self.chain
        first = chain.registration(account(0), _NEW)
        chain.interim([first])
        second = chain.registration(account(1), _NEW)
        chain.close([second])
        self.assertIsNotNone(chain.state.registry.get(first.txid))
        self.assertIsNone(chain.state.registry.get(second.txid))

    def test_both_backends_agree(self) -> None:
        chain = self.chain
        txs = chain.resolve([chain.registration(account(0), _NEW)])
        built = [
            assemble(
                chain.params,
                chain.state,
                closing=True,
                slot_time=chain.next_slot,
                proposer_index=0,
                round=0,
                txs=txs,
                last_commit=chain.tip_commit,
                backend=backend,
            )
            for backend in (BACKEND, get_backend("ecdsa"), None)
        ]
        self.assertEqual(len({each.block.header.hash for each in built}), 1)


class OwnerTests(EpochCase):
    params = Parameters(unbonding_epochs=2)

    def id_of(self, number: int) -> bytes:
        index = self.chain.state.current.index_of_key(operator(number).public)
        assert index is not None
        return self.chain.state.current.members[index].masternode_id

    def test_unregistered_leaves_the_set_then_gets_its_collateral(self) -> None:
        chain = self.chain
        target = self.id_of(0)
        (collateral, _), *_ = chain.coins_of(owner(0))
        chain.close([chain.carrier(account(0), Unregister(target), owner=owner(0))])
        self.assertIn(target, _ids(chain))
        chain.close()
        self.assertNotIn(target, _ids(chain))
        released = chain.state.epoch - 3 + 1 + 2 + 2
        while chain.state.epoch < released:
            with self.assertRaises(errors.BadTransaction):
                chain.resolve([self.spend_outpoint(collateral, owner(0))])
            chain.close()
        chain.close([self.spend_outpoint(collateral, owner(0))])
        self.assertNotIn(collateral, chain.coins)

    def test_updated_key_signs_two_epochs_later(self) -> None:
        chain = self.chain
        fresh = operator(60)
        update = Update(self.id_of(0), operator_key=fresh.public, payout=account(9).script)
        chain.interim([chain.carrier(account(0), update, owner=owner(0), operator=fresh)])
        chain.close()
        self.assertIsNone(chain.state.current.index_of_key(fresh.public))
        chain.close()
        self.assertIsNotNone(chain.state.current.index_of_key(fresh.public))
        chain.close()
        chain.close()
        self.assertGreater(chain.balance(account(9)), 0)


class AbsenceTests(EpochCase):
    params = Parameters(absent_epochs=3)

    def absent(self, times: int) -> bytes:
        """Member 3 signs none of ``times`` closing commits; its id."""
        member = self.chain.state.current.members[3]
        for _ in range(times):
            self.chain.close(signers=(0, 1, 2))
        return member.masternode_id

    def count(self, masternode_id: bytes) -> int:
        entry = self.chain.state.registry.get(masternode_id)
        assert entry is not None
        return -1 if entry.suspended else entry.absent

    def test_counted_when_the_next_epoch_closes(self) -> None:
        target = self.absent(1)
        self.assertEqual(self.count(target), 0)
        self.chain.close()
        self.assertEqual(self.count(target), 1)
        self.chain.close()
        self.assertEqual(self.count(target), 0)

    def test_interim_commits_do_not_count(self) -> None:
        chain = self.chain
        target = self.absent(0)
        for number in range(3):
            chain.interim([chain.payment(account(number), account(3), COIN)], signers=(0, 1, 2))
        chain.close()
        chain.close()
        self.assertEqual(self.count(target), 0)

    def test_suspended_and_back(self) -> None:
        chain = self.chain
        target = self.absent(3)
        self.assertEqual(self.count(target), 2)
        chain.close(signers=(0, 1, 2))
        self.assertEqual(self.count(target), -1)
        self.assertIn(target, _ids(chain))
        chain.close(signers=(0, 1, 2))
        self.assertNotIn(target, _ids(chain))
        number = next(n for n in range(4) if chain.genesis.registration_id(n) == target)
        chain.close([chain.carrier(account(0), Return(target), owner=owner(number))])
        chain.close()
        self.assertIn(target, _ids(chain))

    def test_whose_turn_it_was_not_is_not_absent(self) -> None:
        """The set changes between a closing block and the end of the next epoch: the old one counts."""
        chain = self.chain
        tx = chain.registration(account(0), _NEW)
        chain.close([tx])
        absent = self.absent(1)
        self.assertIn(tx.txid, _ids(chain))
        chain.interim([chain.payment(account(1), account(2), COIN)])
        chain.close()
        self.assertEqual((self.count(absent), self.count(tx.txid)), (1, 0))

    def test_first_epoch_counts_nobody(self) -> None:
        self.chain = Chain(network(4, parameters=self.params))
        self.chain.close(signers=(0, 1, 2))
        self.assertEqual({entry.absent for entry in self.chain.state.registry.entries}, {0})


class FreeModeTests(SynchronousTestCase):
    def test_ends_when_enough_paid_ones_registered(self) -> None:
        chain = Chain(network(tiers=[Tier.FREE] * 3, accounts=4, funds=_FUNDS))
        chain.close()
        self.assertTrue(chain.state.free_mode)
        chain.close([chain.registration(account(n), _NEW + n) for n in range(4)])
        self.assertFalse(chain.state.free_mode)
        self.assertEqual([m.power for m in chain.state.following.members], [10] * 4 + [1] * 3)
        chain.close()
        chain.close()
        self.assertEqual(len(chain.state.current), 7)
