"""What registering and changing does to the wallet, also when something goes wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import Chain, account, network, operator, owner
from tests.rpc.cases import call
from tests.rpc.fake_node import FakeNode
from tests.rpc.fake_wallets import FakeWallet, carry
from timecoin.ledger import networks
from timecoin.ledger.payload import Unregister, parse
from timecoin.ledger.tiers import Tier
from timecoin.primitives.amounts import COIN
from timecoin.primitives.hashes import display, parse_display
from timecoin.primitives.script import op_return_data
from timecoin.primitives.transaction import make_outpoint
from timecoin.rpc.errors import RpcError
from timecoin.rpc.masternode_options import read_secret, read_service
from timecoin.rpc.methods import all_methods
from timecoin.rpc.table import Context

SERVICE = "10.7.7.7:24300"


class ChangeCase(SynchronousTestCase):
    """A node whose ledger is that of a chain of four silver masternodes; the wallet knows their owner keys."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.node = FakeNode(self.clock)
        self.chain = Chain(network(4, tiers=[Tier.SILVER] * 4, accounts=6, funds=20_000 * COIN))
        self.node.tip = lambda: self.chain.state  # type: ignore[method-assign]
        self.node.parameters = self.chain.params
        self.context = Context(self.node, all_methods())
        self.wallet = FakeWallet()
        self.wallet.keys += [owner(n) for n in range(4)]
        carry(self.context, self.wallet)
        self.ids = [display(each.masternode_id) for each in self.chain.state.registry.entries]

    def masternode(self, command: str, id: str = "", **options: Any) -> dict[str, Any]:
        answer = call(self.clock, self.context, "masternode", [command, id, options or None])
        self.assertIsNone(answer["error"])
        found: dict[str, Any] = answer["result"]
        return found

    def refused(self, command: str, id: str = "", **options: Any) -> tuple[int, str]:
        answer = call(self.clock, self.context, "masternode", [command, id, options or None])
        self.assertIsNotNone(answer["error"])
        return answer["error"]["code"], answer["error"]["message"]

    def carried(self) -> Any:
        """The payload of the transaction that was sent last."""
        data = [op_return_data(each.script) for each in self.wallet.sent[-1].outputs]
        return parse(next(each for each in data if each is not None))


class RegisterTests(ChangeCase):
    def register(self, **options: Any) -> dict[str, Any]:
        return self.masternode("register", service=SERVICE, operator_secret=operator(9).secret.hex(), **options)

    def test_the_collateral_is_where_the_payload_says_and_locked(self) -> None:
        found = self.register()
        (sent,) = self.wallet.sent
        payload = self.carried()
        self.assertEqual(payload.collateral_index, found["collateral"]["vout"])
        self.assertEqual(sent.outputs[payload.collateral_index].value, self.chain.params.bronze_collateral)
        self.assertEqual(self.wallet.locked, [make_outpoint(sent.txid, payload.collateral_index)])
        self.assertEqual(self.wallet.labels, ["masternode owner", "masternode payout", "masternode collateral"])
        self.assertTrue(sent.has_witness)
        self.assertEqual(self.wallet.released, [])

    def test_the_chain_takes_it(self) -> None:
        """The same payload, funded by a coin of this chain: the registry holds it an epoch later."""
        coin = self.chain.coins_of(account(0))[0]
        self.wallet.coin = replace(self.wallet.coin, outpoint=coin[0], value=coin[1].value)
        found = self.register()
        payload, sent = self.carried(), self.wallet.sent[-1]
        tx = self.chain.carrier(account(0), payload, operator=operator(9), outputs=sent.outputs[2:])
        self.assertEqual(sent.outputs[2].value, self.chain.params.bronze_collateral)
        self.chain.close([tx])
        self.assertEqual(found["registry_epoch"], self.chain.state.epoch)

    def test_free_locks_nothing(self) -> None:
        self.register(tier="free")
        self.assertEqual((self.wallet.locked, self.wallet.labels[:2]), ([], ["masternode owner", "masternode payout"]))

    def test_what_was_refused_leaves_nothing_locked(self) -> None:
        self.wallet.refuses = RpcError(-26, "min relay fee not met")
        self.assertEqual(self.refused("register", service=SERVICE, operator_secret=operator(9).secret.hex())[0], -26)
        self.assertEqual((self.wallet.locked, self.wallet.sent, len(self.wallet.released)), ([], [], 1))

    def test_coins_come_back_when_it_cannot_sign(self) -> None:
        self.wallet.is_blind = True
        self.assertEqual(self.refused("register", service=SERVICE, operator_secret=operator(9).secret.hex())[0], -4)
        self.assertEqual(len(self.wallet.released), 1)

    def test_a_wallet_that_is_locked(self) -> None:
        self.wallet.is_locked = True
        self.assertEqual(self.refused("register", service=SERVICE, operator_secret=operator(9).secret.hex())[0], -13)

    def test_too_little_money(self) -> None:
        refusal = self.refused("register", service=SERVICE, operator_secret=operator(9).secret.hex(), tier="gold")
        self.assertEqual(refusal[0], -6)

    def test_an_operator_key_that_this_epoch_registered(self) -> None:
        self.chain.interim([self.chain.registration(account(0), 9)])
        code, text = self.refused("register", service=SERVICE, operator_secret=operator(9).secret.hex())
        self.assertEqual(code, -26)
        self.assertIn("the operator key is that of masternode", text)

    def test_no_secret_in_errors(self) -> None:
        secret = operator(1).secret.hex()
        for text in (secret, secret + "0", "x" + secret):
            _, said = self.refused("register", service=SERVICE, operator_secret=text)
            self.assertNotIn(secret, said)
        self.assertNotIn(secret, repr(read_secret(secret, "operator_secret", networks.DEVNET)))


class UpdateTests(ChangeCase):
    def test_the_owner_key_of_the_wallet_signs(self) -> None:
        self.masternode("update", self.ids[1], service=SERVICE)
        payload = self.carried()
        self.assertEqual((payload.masternode_id, str(payload.service)), (parse_display(self.ids[1]), SERVICE))

    def test_unregistering_ends_the_lock_in_the_wallet(self) -> None:
        entry = self.chain.state.registry.entries[0]
        assert entry.collateral is not None
        self.wallet.locked = [entry.collateral, b"\2" * 36]
        found = self.masternode("unregister", self.ids[0])
        self.assertEqual(self.carried().masternode_id, entry.masternode_id)
        self.assertEqual(found["release_epoch"], 1 + 2 + self.chain.params.unbonding_epochs)
        self.assertEqual(self.wallet.locked, [b"\2" * 36])

    def test_return_after_a_suspension(self) -> None:
        entries = [replace(each, suspended=True) for each in self.chain.state.registry.entries]
        registry = type(self.chain.state.registry)(entries)
        state = replace(self.chain.state, opening=replace(self.chain.state.opening, registry=registry))
        self.node.tip = lambda: state  # type: ignore[method-assign]
        self.assertEqual(self.masternode("return", self.ids[2])["set_epoch"], 3)

    def test_registered_in_this_epoch(self) -> None:
        tx = self.chain.registration(account(0), 9)
        self.chain.interim([tx])
        code, text = self.refused("update", display(tx.txid), service=SERVICE)
        self.assertEqual(code, -8)
        self.assertIn("can be changed in the next", text)

    def test_who_is_gone(self) -> None:
        tx = self.chain.carrier(account(0), Unregister(parse_display(self.ids[0])), owner=owner(0))
        self.chain.close([tx])
        self.assertEqual(self.refused("update", self.ids[0], service=SERVICE)[0], -26)


class ServiceTests(SynchronousTestCase):
    def test_private_addresses_where_others_cannot_reach_them(self) -> None:
        for text in ("10.1.2.3:1", "127.0.0.1:1", "[::1]:1", "[fd00::1]:1", "192.168.0.1:24100"):
            self.assertRaises(RpcError, read_service, text, networks.MAINNET)
            self.assertEqual(str(read_service(text, networks.DEVNET)), text)
        for text in ("8.8.8.8:24100", "[2001:4860:4860::8888]:1"):
            self.assertEqual(str(read_service(text, networks.MAINNET)), text)

    def test_other_forms(self) -> None:
        for text in ("8.8.8.8", "8.8.8.8:", "8.8.8.8:70000", "host.example:1", "", "[::ffff:8.8.8.8]:1"):
            self.assertRaises(RpcError, read_service, text, networks.DEVNET)
