"""Masternodes as the network layer asks for them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from timecoin.ledger.payload import Unregister
from timecoin.ledger.tiers import Tier
from timecoin.node.membership import Membership
from timecoin.primitives.amounts import COIN


class MembershipTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.chain = builders.Chain(builders.network(4, accounts=6, funds=3_000 * COIN))

    def of(self, number: int | None) -> Membership:
        """Masternode ``number``'s view, or that of no masternode."""
        key = None if number is None else builders.operator(number).public
        return Membership(lambda: self.chain.state, key)

    def ids(self) -> dict[bytes, bytes]:
        """Operator key to id."""
        return {entry.operator_key: entry.masternode_id for entry in self.chain.state.registry.entries}

    def register(self, number: int) -> None:
        self.chain.close([self.chain.registration(builders.account(number), number, Tier.BRONZE)])

    def test_members_prove_themselves_by_their_operator_key(self) -> None:
        view = self.of(None)
        for key, masternode_id in self.ids().items():
            self.assertEqual(view.operator_key(masternode_id), key)
        self.assertIsNone(view.operator_key(bytes(32)))

    def test_own_id(self) -> None:
        for number in range(4):
            self.assertEqual(self.of(number).own_id(), self.ids()[builders.operator(number).public])
        self.assertIsNone(self.of(None).own_id())
        self.assertIsNone(self.of(9).own_id())

    def test_addresses_of_all_others(self) -> None:
        found = {str(address) for _, address in self.of(1).addresses()}
        self.assertEqual(found, {f"10.0.0.{n}:24300" for n in (1, 3, 4)})
        self.assertEqual(len(list(self.of(None).addresses())), 4)

    def test_a_registration_counts_when_its_epoch_is_over(self) -> None:
        self.register(5)
        new = self.of(5)
        masternode_id = new.own_id()
        self.assertEqual(masternode_id, self.ids()[builders.operator(5).public])
        self.assertIn("10.0.0.6:24300", [str(address) for _, address in self.of(0).addresses()])
        # Not a member yet, but of the set after this one: it has its place among the connections already.
        assert masternode_id is not None
        self.assertIsNone(self.chain.state.current.index_of_key(builders.operator(5).public))
        self.assertEqual(self.of(0).operator_key(masternode_id), builders.operator(5).public)

    def test_one_that_leaves_is_not_dialled(self) -> None:
        self.register(5)
        masternode_id = self.ids()[builders.operator(5).public]
        payload = Unregister(masternode_id)
        self.chain.close([self.chain.carrier(builders.account(4), payload, owner=builders.owner(5))])
        self.assertNotIn("10.0.0.6:24300", [str(address) for _, address in self.of(0).addresses()])
