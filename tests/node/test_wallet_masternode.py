"""``masternode register`` and what follows with a real wallet: funded, signed, locked, and good for the ledger."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from tests.ledger.builders import BACKEND, key, operator
from tests.node.test_wallet_psbt import OTHER_ADDRESS, PsbtCase
from timecoin.consensus.status import Status
from timecoin.ledger.payload import Register, parse
from timecoin.ledger.payload_record import PayloadRecord
from timecoin.ledger.registry import Registry
from timecoin.ledger.registry_effects import RegistryDraft
from timecoin.primitives.amounts import COIN
from timecoin.primitives.hashes import display, parse_display
from timecoin.primitives.script import op_return_data
from timecoin.primitives.transaction import Transaction, make_outpoint

SERVICE = "10.7.7.7:24300"


class MasternodeTests(PsbtCase):
    def setUp(self) -> None:
        super().setUp()
        self.node.tip = lambda: self.chain.state
        self.node.consensus = lambda: SimpleNamespace(masternode_id=None)

    def register(self, **options: Any) -> dict[str, Any]:
        given = {"service": SERVICE, "operator_secret": operator(9).secret.hex()} | options
        found: dict[str, Any] = self.call("masternode", "register", "", given)
        return found

    def sent(self) -> Transaction:
        return self.chain.submitted[-1]

    def archive(self) -> None:
        """Everything in the pool is archived by a closing block; the registry follows."""
        txs = [tx for tx, _ in self.chain.pool.values()]
        for tx in txs:
            self.chain.reach(tx.txid, Status.FINAL)
        state = self.chain.state
        draft = RegistryDraft(self.chain.parameters, state.epoch, {e.masternode_id: e for e in state.registry.entries})
        for position, tx in enumerate(txs, 1):
            record = PayloadRecord.of(tx, state.height + 1, position)
            if record is not None and state.registry.is_signed(record, state.chain_id, BACKEND):
                draft.apply(record, lambda _: True)
        self.chain.block(closing=True)
        opening = replace(self.chain.state.opening, registry=Registry(draft.entries.values()))
        self.chain.state = replace(self.chain.state, opening=opening)
        self.world.settle()

    def test_the_collateral_stands_alone_and_stays(self) -> None:
        self.give(3_000 * COIN)
        found = self.register()
        tx = self.sent()
        self.assertEqual(display(tx.txid), found["txid"])
        outpoint = make_outpoint(tx.txid, found["collateral"]["vout"])
        self.assertEqual(tx.outputs[found["collateral"]["vout"]].value, 1_000 * COIN)
        data = next(d for each in tx.outputs if (d := op_return_data(each.script)) is not None)
        payload = parse(data)
        assert isinstance(payload, Register)
        self.assertEqual(payload.collateral_index, found["collateral"]["vout"])
        self.archive()
        self.assertTrue(self.wallet.is_collateral(outpoint))
        self.assertEqual(self.refused_to_pay(1_998 * COIN), -4)
        self.again()
        self.context.wallets = self.world.service
        self.assertEqual(self.refused_to_pay(1_998 * COIN), -4)

    def refused_to_pay(self, amount: int) -> int:
        """The code with which a payment of nearly all that is left is refused; one that fits goes through."""
        code, _ = self.refusal("walletcreatefundedpsbt", [], {OTHER_ADDRESS: f"{(amount + 5 * COIN) / COIN:.8f}"})
        made = self.call("walletcreatefundedpsbt", [], {OTHER_ADDRESS: f"{amount / COIN:.8f}"}, 0, {})
        self.assertGreater(made["fee"], 0)
        return code

    def test_before_the_registry_holds_it_the_wallet_does(self) -> None:
        self.give(1_001 * COIN)
        self.register()
        for tx, _ in list(self.chain.pool.values()):
            self.chain.reach(tx.txid, Status.FINAL)
        self.world.settle()
        code, _ = self.refusal("walletcreatefundedpsbt", [], {OTHER_ADDRESS: "500"})
        self.assertEqual(code, -4)

    def test_the_wallet_signs_for_the_owner(self) -> None:
        self.give(1_500 * COIN)
        self.give(10 * COIN)
        masternode_id = self.register()["id"]
        self.archive()
        changed = self.call("masternode", "update", masternode_id, {"service": "10.8.8.8:24300"})
        self.assertEqual(changed["registry_epoch"], self.chain.state.epoch + 1)
        self.archive()
        entry = self.chain.state.registry.get(parse_display(masternode_id))
        assert entry is not None
        self.assertEqual(str(entry.service), "10.8.8.8:24300")
        farewell = self.call("masternode", "unregister", masternode_id)
        self.archive()
        entry = self.chain.state.registry.get(parse_display(masternode_id))
        assert entry is not None
        self.assertEqual((entry.status, entry.release), ("unregistered", farewell["release_epoch"]))

    def test_another_wallet_does_not(self) -> None:
        self.give(1_500 * COIN)
        masternode_id = self.register()["id"]
        self.archive()
        other = self.make("two")
        self.give(10 * COIN, other)
        reply = self.reply("masternode", ["update", masternode_id, {"service": "10.8.8.8:24300"}], "two")
        code, text = reply["error"]["code"], reply["error"]["message"]
        self.assertEqual(code, -4)
        self.assertIn("not in this wallet", text)

    def test_a_locked_wallet_is_asked_for_its_passphrase(self) -> None:
        self.give(1_500 * COIN)
        self.wait(self.wallet.encrypt("correct horse"))
        code, _ = self.refusal(
            "masternode", "register", "", {"service": SERVICE, "operator_secret": key("x").secret.hex()}
        )
        self.assertEqual(code, -13)
        self.wait(self.wallet.unlock("correct horse", 60))
        self.register()

    def test_too_little_leaves_nothing_behind(self) -> None:
        self.give(999 * COIN)
        code, _ = self.refusal(
            "masternode", "register", "", {"service": SERVICE, "operator_secret": key("x").secret.hex()}
        )
        self.assertEqual(code, -6)
        self.assertEqual(self.chain.submitted, [])
        self.call("walletcreatefundedpsbt", [], {OTHER_ADDRESS: "998"}, 0, {})
