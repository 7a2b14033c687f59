"""What a payload would do, told before it is sent; and payloads put into funded transactions."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import BACKEND, FEE, Chain, account, key, masternode, network, operator, owner, spend
from timecoin.ledger.carrying import fill, placeholder
from timecoin.ledger.expected import expected_reward, expected_sets
from timecoin.ledger.params import Parameters
from timecoin.ledger.payload import FREE, Payload, Register, Return, Unregister, Update
from timecoin.ledger.registry_preview import NoEffect, check_carried, check_payload, set_epoch
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.tiers import Tier
from timecoin.primitives.amounts import COIN
from timecoin.primitives.script import op_return_data
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput

OTHER = ServiceAddress.parse("10.9.9.9:24300")


def registration(number: int = 9, index: int = FREE) -> Register:
    new = masternode(number, Tier.BRONZE)
    return Register(index, new.operator_key, new.owner_key, new.payout, new.service)


class PreviewCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = Chain(network(4, tiers=[Tier.SILVER] * 4, accounts=6, funds=20_000 * COIN))
        self.params = self.chain.params
        self.ids = [entry.masternode_id for entry in self.chain.state.registry.entries]

    def refused(self, payload: Payload, says: str, collateral: int = 0) -> None:
        caught = self.assertRaises(NoEffect, check_payload, self.params, self.chain.state, payload, collateral)
        self.assertIn(says, str(caught))

    def accepted(self, payload: Payload, collateral: int = 0) -> None:
        check_payload(self.params, self.chain.state, payload, collateral)

    def funded(self, payload: Payload, **signers: object) -> Transaction:
        """As a wallet funds it: first the place, then the payload, then the inputs' signatures."""
        held = placeholder(payload)
        outpoint, coin = self.chain.coins_of(account(0))[0]
        outputs = (held, TxOutput(coin.value - FEE, account(0).script))
        bare = Transaction(2, (TxInput(outpoint),), outputs)
        filled = fill(bare, held, payload, self.chain.state.chain_id, **signers)  # type: ignore[arg-type]
        return spend([(outpoint, coin, account(0))], filled.outputs)


class CheckTests(PreviewCase):
    def test_registrations(self) -> None:
        self.accepted(registration())
        self.accepted(registration(index=0), self.params.bronze_collateral)
        self.refused(registration(index=0), "below 1000.00000000", self.params.bronze_collateral - 1)
        self.refused(registration(2), "the operator key is that of masternode " + self.ids[2][::-1].hex())

    def test_free_places(self) -> None:
        params = Parameters(max_free=0)
        caught = self.assertRaises(NoEffect, check_payload, params, self.chain.state, registration(), 0)
        self.assertIn("Free places", str(caught))

    def test_what_this_epoch_archived_counts(self) -> None:
        self.chain.interim([self.chain.registration(account(0), 9)])
        self.refused(registration(), "the operator key is that of")
        self.assertEqual(set_epoch(self.chain.state), 3)

    def test_changes(self) -> None:
        self.refused(Update(bytes(32), service=OTHER), "no masternode with this id")
        self.accepted(Update(self.ids[0], service=OTHER))
        entry = self.chain.state.registry.entries[0]
        self.refused(Update(self.ids[0], service=entry.service, payout=entry.payout), "holds these values")
        self.refused(Update(self.ids[0], operator_key=operator(1).public), "the operator key is that of")
        self.accepted(Update(self.ids[0], operator_key=operator(0).public, service=OTHER))
        self.refused(Return(self.ids[0]), "not suspended")
        self.accepted(Unregister(self.ids[0]))

    def test_who_is_leaving(self) -> None:
        tx = self.chain.carrier(account(0), Unregister(self.ids[0]), owner=owner(0))
        self.chain.close([tx])
        self.refused(Unregister(self.ids[0]), "unregistered, for good")


class CarryTests(PreviewCase):
    def test_a_registration(self) -> None:
        tx = self.funded(registration(), operator=operator(9).sign_compact)
        entry = check_carried(self.params, self.chain.state, tx, BACKEND)
        self.assertEqual((entry.masternode_id, entry.tier), (tx.txid, Tier.FREE))
        self.chain.close([tx])
        self.assertIsNotNone(self.chain.state.registry.get(tx.txid))

    def test_an_update_with_a_new_operator_key(self) -> None:
        payload = Update(self.ids[0], operator_key=operator(7).public, service=OTHER)
        tx = self.funded(payload, owner=owner(0).sign_compact, operator=operator(7).sign_compact)
        entry = check_carried(self.params, self.chain.state, tx, BACKEND)
        self.assertEqual((entry.operator_key, entry.service), (operator(7).public, OTHER))

    def test_signed_by_somebody_else(self) -> None:
        tx = self.funded(Unregister(self.ids[0]), owner=owner(1).sign_compact)
        caught = self.assertRaises(NoEffect, check_carried, self.params, self.chain.state, tx, BACKEND)
        self.assertIn("not signed", str(caught))

    def test_keys_that_are_none(self) -> None:
        payload = replace(registration(), owner_key=b"\2" + b"\xff" * 32)
        tx = self.funded(payload, operator=operator(9).sign_compact)
        self.assertRaises(NoEffect, check_carried, self.params, self.chain.state, tx, BACKEND)

    def test_no_payload(self) -> None:
        tx = self.chain.payment(account(1), account(2), COIN)
        self.assertRaises(NoEffect, check_carried, self.params, self.chain.state, tx, BACKEND)

    def test_the_place_has_the_size_of_the_payload(self) -> None:
        for payload in (
            registration(),
            Unregister(self.ids[0]),
            Return(self.ids[0]),
            Update(self.ids[0], service=OTHER),
        ):
            signers = {"owner": owner(0).sign_compact, "operator": operator(9).sign_compact}
            tx = self.funded(payload, **signers)
            self.assertNotEqual(op_return_data(tx.outputs[0].script), op_return_data(placeholder(payload).script))

    def test_wrong_places(self) -> None:
        held, chain_id = placeholder(registration()), self.chain.state.chain_id
        bare = Transaction(2, (TxInput(bytes(36)),), (TxOutput(COIN, key("a").script),))
        twice = Transaction(2, bare.inputs, (held, held))
        once = Transaction(2, bare.inputs, (held,))
        sign = operator(9).sign_compact
        self.assertRaises(ValueError, fill, bare, held, registration(), chain_id, operator=sign)
        self.assertRaises(ValueError, fill, twice, held, registration(), chain_id, operator=sign)
        self.assertRaises(ValueError, fill, once, held, registration(), chain_id)
        self.assertRaises(ValueError, fill, once, held, Unregister(self.ids[0]), chain_id, owner=sign)


class ExpectedTests(PreviewCase):
    def test_sets_are_those_that_the_closing_block_makes(self) -> None:
        for epoch in range(1, 5):
            txs = [self.chain.registration(account(0), 9)] if epoch == 2 else []
            self.chain.interim(txs or [self.chain.payment(account(epoch), account(5), COIN)], signers=[0, 1, 2])
            expected = expected_sets(self.params, self.chain.state)
            self.chain.close()
            self.assertEqual(expected.registry, self.chain.state.registry)
            self.assertEqual(expected.members, self.chain.state.following)
        self.assertEqual(len(self.chain.state.following), 5)

    def test_before_any_block_of_the_epoch(self) -> None:
        self.chain.close()
        expected = expected_sets(self.params, self.chain.state)
        self.assertEqual(expected.members, self.chain.state.following)
        self.assertFalse(expected_reward(self.params, self.chain.state).certain)

    def test_rewards(self) -> None:
        for _ in range(3):
            self.chain.interim([self.chain.payment(account(1), account(2), COIN)])
            expected = expected_reward(self.params, self.chain.state)
            self.assertTrue(expected.certain)
            block = self.chain.close(signers=[0, 1, 2])
            self.assertEqual(block.transactions[0].outputs, expected.outputs)
            self.assertEqual(expected.fees, FEE)
        self.assertEqual(expected.present, 3)
