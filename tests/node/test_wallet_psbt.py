"""PSBTs and signed messages of a node's wallets, through RPC, over a fake chain: alone, among cosigners, and with
bdkpython and bitcoin-utils as other parties."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred

from tests.node.test_wallet_service import OTHER, WalletCase
from tests.node.wallet_world import COIN, FakeChain
from tests.wallet.psbt_others import BdkWallet, utils_sign
from timecoin.consensus.status import Status
from timecoin.ledger.coins import Coin
from timecoin.ledger.networks import DEVNET
from timecoin.ledger.state import LedgerState
from timecoin.primitives import address
from timecoin.primitives.hashes import Hash, display, sha256
from timecoin.primitives.transaction import OutPoint, Transaction, TxInput, TxOutput
from timecoin.rpc.auth import Grant
from timecoin.rpc.caller import Caller
from timecoin.rpc.dispatch import Dispatcher, Reply
from timecoin.rpc.facade import PoolEntry
from timecoin.rpc.face_wallet import Import
from timecoin.rpc.methods import all_methods
from timecoin.rpc.table import Context
from timecoin.wallet.descriptors import Descriptor
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.keys import Account
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_combine import combine

OTHER_ADDRESS = address.encode(OTHER, "timed")
MASTERS = [ExtendedSecretKey.from_seed(sha256(b"cosigner %d" % n)) for n in range(3)]


class ChainNode:
    """As much of a node as these methods ask for."""

    network, hrp = "devnet", "timed"

    def __init__(self, chain: FakeChain) -> None:
        self.source = chain
        self.parameters = chain.parameters

    def warming_up(self) -> None:
        return None

    def now_ms(self) -> int:
        return self.source.now_ms()

    def tip(self) -> LedgerState:
        return self.source.tip

    def chain(self) -> Any:
        return SimpleNamespace(base=self.source.base)

    def coin(self, outpoint: OutPoint, include_mempool: bool) -> Coin | None:
        return self.source.coins.get(outpoint)

    def pool_entry(self, txid: Hash) -> PoolEntry | None:
        tx = self.source.pool_tx(txid)
        return None if tx is None else PoolEntry(tx, 0, 0, 0, self.source.pool[txid][1])

    def location(self, txid: Hash) -> tuple[int, int] | None:
        for height, block in enumerate(self.source.blocks):
            for position, tx in enumerate(block.transactions):
                if tx.txid == txid:
                    return height, position
        return None

    async def block_at(self, height: int) -> Any:
        return self.source.read_block(height)


def descriptor(party: int | None, chain: int) -> str:
    """Two of three; with the secrets of one party (None: of nobody)."""
    accounts = [Account.cosigner(master, DEVNET) for master in MASTERS]
    keys = [
        (each.reveal_expression() if n == party else each.public_expression) + f"/{chain}/*"
        for n, each in enumerate(accounts)
    ]
    return f"wsh(sortedmulti(2,{','.join(keys)}))"


class PsbtCase(WalletCase):
    def setUp(self) -> None:
        super().setUp()
        self.node: Any = ChainNode(self.chain)
        self.context = Context(self.node, all_methods(), wallets=self.world.service)

    def reply(self, name: str, params: Any, wallet: str | None = None) -> Any:
        body = json.dumps({"method": name, "params": params, "id": 1}).encode()
        grant = Grant(Caller(wallet=wallet))
        answer = Dispatcher(self.world.clock, self.context).answer(body, grant)
        reply = self.wait(answer) if isinstance(answer, Deferred) else answer
        assert isinstance(reply, Reply)
        return json.loads(reply.body, parse_float=Decimal)

    def call(self, name: str, *params: Any, wallet: str | None = None) -> Any:
        found = self.reply(name, list(params), wallet)
        self.assertIsNone(found["error"], found["error"])
        return found["result"]

    def refusal(self, name: str, *params: Any, wallet: str | None = None) -> tuple[int, str]:
        found = self.reply(name, list(params), wallet)
        self.assertIsNotNone(found["error"], found["result"])
        return found["error"]["code"], found["error"]["message"]

    def fund(self, value: int = COIN, wallet: str | None = None, **options: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.call(
            "walletcreatefundedpsbt", [], {OTHER_ADDRESS: f"{value / COIN:.8f}"}, 0, options, wallet=wallet
        )
        return found

    def send(self, text: str) -> Transaction:
        tx = Transaction.decode(bytes.fromhex(text))
        self.chain.admit(tx)
        return tx


class OneWalletTests(PsbtCase):
    def test_from_funding_to_the_pool(self) -> None:
        given = self.give(3 * COIN)
        made = self.fund()
        psbt = Psbt.from_text(made["psbt"])
        known = psbt.inputs[0]
        self.assertEqual((known.non_witness_utxo, known.witness_utxo), (given, given.outputs[0]))
        self.assertEqual(len(known.derivations), 1)
        self.assertEqual(len(psbt.outputs[made["changepos"]].derivations), 1)
        self.assertEqual(self.call("analyzepsbt", made["psbt"])["next"], "signer")
        self.assertEqual(self.call("decodepsbt", made["psbt"])["fee"], made["fee"])
        done = self.call("walletprocesspsbt", made["psbt"])
        self.assertTrue(done["complete"])
        self.assertEqual(self.send(done["hex"]).txid, psbt.tx.txid)
        self.assertEqual(self.call("finalizepsbt", done["psbt"])["hex"], done["hex"])

    def test_step_by_step(self) -> None:
        self.give(3 * COIN)
        bare = Psbt.create(Psbt.from_text(self.fund()["psbt"]).tx).text
        told = self.call("walletprocesspsbt", bare, False)
        self.assertEqual((told["complete"], self.call("analyzepsbt", told["psbt"])["next"]), (False, "signer"))
        quiet = self.call("walletprocesspsbt", bare, False, "ALL", False)
        self.assertEqual(Psbt.from_text(quiet["psbt"]).inputs[0].derivations, {})
        signed = self.call("walletprocesspsbt", bare, True, "ALL", True, False)
        self.assertEqual((signed["complete"], "hex" in signed), (True, False))
        self.assertEqual(self.call("analyzepsbt", signed["psbt"])["next"], "finalizer")

    def test_a_coin_of_the_pool_and_one_that_only_the_wallet_remembers(self) -> None:
        tx = self.chain.take(self.chain.gift(self.address()), Status.FINAL)
        self.world.settle()
        psbt = Psbt.create(Transaction(2, (), ())).text
        self.assertEqual(self.call("walletprocesspsbt", psbt)["complete"], False)
        made = self.fund(COIN // 2)["psbt"]
        self.assertEqual(Psbt.from_text(made).inputs[0].non_witness_utxo, tx)
        del self.chain.pool[tx.txid]
        bare = Psbt.create(Psbt.from_text(made).tx).text
        self.assertTrue(self.call("walletprocesspsbt", bare)["complete"])

    def test_change_options(self) -> None:
        self.give(3 * COIN)
        made = self.fund(changePosition=0, changeAddress=OTHER_ADDRESS.upper(), fee_rate=150, lockUnspents=True)
        psbt = Psbt.from_text(made["psbt"])
        self.assertEqual((made["changepos"], psbt.tx.outputs[0].script), (0, OTHER))
        self.assertIn(psbt.tx.inputs[0].outpoint, self.wallet.state.locks)
        self.assertEqual(self.refusal("walletcreatefundedpsbt", [], {OTHER_ADDRESS: 1})[0], -4)

    def test_the_fee_out_of_the_payment(self) -> None:
        self.give(3 * COIN)
        made = self.fund(3 * COIN, subtractFeeFromOutputs=[0])
        self.assertEqual(made["changepos"], -1)
        self.assertEqual(Psbt.from_text(made["psbt"]).tx.outputs[0].value, 3 * COIN - int(made["fee"] * COIN))


class GuardTests(PsbtCase):
    def test_a_psbt_signature_is_a_signature(self) -> None:
        """Neither another PSBT nor a payment may spend the coin in this epoch; the same one may be signed again."""
        self.give(3 * COIN)
        one, two = self.fund()["psbt"], self.fund(2 * COIN)["psbt"]
        done = self.call("walletprocesspsbt", one)
        code, says = self.refusal("walletprocesspsbt", two)
        self.assertEqual(code, -4)
        self.assertIn("a second spend could block it", says)
        self.fails(-4, self.wallet.sign(Psbt.from_text(two).tx))
        self.assertEqual(self.call("walletprocesspsbt", one), done)
        self.assertEqual(self.refusal("walletcreatefundedpsbt", [], {OTHER_ADDRESS: 1})[0], -4)

    def test_told_in_plain_words_it_signs(self) -> None:
        self.give(3 * COIN)
        one, two = self.fund()["psbt"], self.fund(2 * COIN)["psbt"]
        self.call("walletprocesspsbt", one)
        self.assertTrue(self.call("walletprocesspsbt", two, True, "ALL", True, True, True)["complete"])

    def test_a_payment_first(self) -> None:
        self.give(3 * COIN)
        made = self.fund()["psbt"]
        self.pay(COIN)
        self.assertEqual(self.refusal("walletprocesspsbt", made)[0], -4)

    def test_it_is_on_disk_before_the_signature_is_out(self) -> None:
        self.give(3 * COIN)
        one, two = self.fund()["psbt"], self.fund(2 * COIN)["psbt"]
        self.call("walletprocesspsbt", one)
        self.wait(self.world.service.unload("one", None))
        self.wait(self.world.service.load("one", None))
        self.assertEqual(self.refusal("walletprocesspsbt", two)[0], -4)

    def test_only_looking_is_no_signature(self) -> None:
        self.give(3 * COIN)
        one, two = self.fund()["psbt"], self.fund(2 * COIN)["psbt"]
        self.call("walletprocesspsbt", one, False)
        self.assertTrue(self.call("walletprocesspsbt", two)["complete"])

    def test_a_node_that_is_behind_signs_nothing(self) -> None:
        self.give(3 * COIN)
        made = self.fund()["psbt"]
        self.chain.syncing = True
        self.assertEqual(self.refusal("walletprocesspsbt", made)[0], -10)


class RefusalTests(PsbtCase):
    def test_other_hash_types(self) -> None:
        self.give(3 * COIN)
        psbt = Psbt.from_text(self.fund()["psbt"])
        for kind in (2, 3, 0x81):
            asked = psbt.with_input(0, replace(psbt.inputs[0], sighash=kind)).text
            code, says = self.refusal("walletprocesspsbt", asked)
            self.assertEqual((code, says), (-22, "Specified sighash value does not match value stored in PSBT"))
        self.assertEqual(self.refusal("walletprocesspsbt", psbt.text, True, "NONE")[0], -8)

    def test_a_lying_amount_of_an_own_coin_is_put_right_or_not_signed(self) -> None:
        given = self.give(3 * COIN)
        psbt = Psbt.from_text(self.fund()["psbt"])
        lie = TxOutput(9 * COIN, given.outputs[0].script)
        lying = psbt.with_input(0, replace(psbt.inputs[0], non_witness_utxo=None, witness_utxo=lie))
        self.assertTrue(self.call("walletprocesspsbt", lying.text)["complete"])
        self.chain.coins.clear()
        unproven = psbt.with_input(0, replace(psbt.inputs[0], witness_utxo=lie))
        self.assertFalse(self.call("walletprocesspsbt", unproven.text)["complete"])

    def test_a_version_that_the_ledger_does_not_have(self) -> None:
        """So no message is signed unseen, as BIP 322's PSBTs would have it."""
        self.give(3 * COIN)
        tx = Psbt.from_text(self.fund()["psbt"]).tx
        odd = Psbt.create(Transaction(0, tx.inputs, tx.outputs)).text
        self.assertEqual(self.refusal("walletprocesspsbt", odd)[0], -22)
        self.assertTrue(self.call("walletprocesspsbt", Psbt.create(tx).text)["complete"])

    def test_foreign_coins_are_left_alone(self) -> None:
        gift = self.chain.gift(OTHER)
        self.chain.block(gift)
        spent = replace(Psbt.create(Transaction(2, (_spend(gift),), (TxOutput(COIN // 2, OTHER),))))
        done = self.call("walletprocesspsbt", spent.text)
        self.assertEqual((done["complete"], Psbt.from_text(done["psbt"]).inputs[0].partial_signatures), (False, {}))

    def test_locked(self) -> None:
        self.give(3 * COIN)
        made = self.fund()["psbt"]
        self.wait(self.wallet.encrypt("pass"))
        self.assertEqual(self.refusal("walletprocesspsbt", made)[0], -13)
        self.assertFalse(self.call("walletprocesspsbt", made, False)["complete"])
        self.assertEqual(self.refusal("signmessage", self.own_address(), "m")[0], -13)

    def own_address(self) -> str:
        return address.encode(self.address(), "timed")

    def test_which_wallet(self) -> None:
        self.make("two")
        self.assertEqual(self.refusal("walletprocesspsbt", "")[0], -19)
        self.assertEqual(self.refusal("walletprocesspsbt", "", wallet="none")[0], -18)
        self.context.wallets = None
        self.assertEqual(self.refusal("walletprocesspsbt", "")[0], -18)


def _spend(tx: Transaction) -> TxInput:
    return TxInput(tx.outpoint(0))


class MessageTests(PsbtCase):
    def test_signed_and_verified(self) -> None:
        own = address.encode(self.address(), "timed")
        text = self.call("signmessage", own, "hello")
        self.assertTrue(self.call("verifymessage", own, text, "hello"))
        self.assertFalse(self.call("verifymessage", own, text, "hello!"))

    def test_what_cannot_be_signed(self) -> None:
        self.assertEqual(self.refusal("signmessage", OTHER_ADDRESS, "m"), (-4, "Private key not available"))
        self.assertEqual(self.refusal("signmessage", "x", "m"), (-5, "Invalid address"))
        own = address.encode(self.address(), "timed")
        self.assertEqual(self.refusal("signmessage", own, "x" * 100_001)[0], -8)


class CosignerTests(PsbtCase):
    """Three wallets that share coins: two of three sign."""

    def setUp(self) -> None:
        super().setUp()
        self.parties: list[Any] = [self.cosigner(n) for n in range(3)]
        self.watcher = self.cosigner(None)

    def cosigner(self, party: int | None) -> Any:
        wallet = self.make(f"party {party}", blank=True, watch_only=party is None)
        imports = [
            Import(Descriptor.parse(descriptor(party, chain), DEVNET), chain, True, None, 0, None, 0, "")
            for chain in (0, 1)
        ]
        self.wait(wallet.import_descriptors(imports))
        return wallet

    def paid(self) -> Transaction:
        return self.give(5 * COIN, self.parties[0])

    def sign(self, text: str, *parties: int) -> list[str]:
        return [self.call("walletprocesspsbt", text, wallet=f"party {n}")["psbt"] for n in parties]

    def test_two_of_three(self) -> None:
        self.paid()
        made = self.fund(wallet="party 0")["psbt"]
        known = Psbt.from_text(made).inputs[0]
        self.assertEqual((len(known.derivations), known.witness_script is not None), (3, True))
        for pair in ((0, 1), (2, 0), (1, 2)):
            signed = self.sign(made, *pair)
            self.assertFalse(any(self.call("finalizepsbt", each)["complete"] for each in signed))
            done = self.call("finalizepsbt", self.call("combinepsbt", signed))
            self.assertTrue(done["complete"])
        self.send(done["hex"])

    def test_one_after_the_other_made_by_one_that_only_watches(self) -> None:
        self.paid()
        made = self.fund(wallet="party None")["psbt"]
        self.assertEqual(Psbt.from_text(self.sign(made, 0)[0]).inputs[0].partial_signatures.keys() & set(), set())
        (once,) = self.sign(made, 1)
        self.assertEqual(len(self.call("analyzepsbt", once)["inputs"][0]["missing"]["signatures"]), 2)
        done = self.call("walletprocesspsbt", once, wallet="party 2")
        self.assertTrue(done["complete"])
        self.send(done["hex"])

    def test_each_cosigner_guards_its_own_signature(self) -> None:
        self.paid()
        one, two = self.fund(wallet="party 0")["psbt"], self.fund(2 * COIN, wallet="party 0")["psbt"]
        self.sign(one, 0)
        self.assertEqual(self.refusal("walletprocesspsbt", two, wallet="party 0")[0], -4)
        self.sign(two, 1)
        self.assertEqual(self.refusal("walletprocesspsbt", one, wallet="party 1")[0], -4)

    def test_with_bdk_and_bitcoin_utils_as_the_others(self) -> None:
        self.paid()
        made = self.fund(wallet="party 0")["psbt"]
        by_us = Psbt.from_text(self.sign(made, 0)[0])
        by_bdk = BdkWallet(descriptor(1, 0), descriptor(1, 1)).sign(Psbt.from_text(made))
        place = self.parties[0].state.book.find(Psbt.from_text(made).inputs[0].witness_utxo.script)
        (secret,) = Descriptor.parse(descriptor(2, 0), DEVNET).secrets(place.index).values()
        by_utils = utils_sign(Psbt.from_text(made), 0, secret)
        for pair in ((by_us, by_bdk), (by_us, by_utils), (by_bdk, by_utils)):
            done = self.call("finalizepsbt", combine(pair).text)
            self.assertTrue(done["complete"])
        self.send(done["hex"])

    def test_bdk_pays_and_the_wallet_cosigns(self) -> None:
        paid = self.paid()
        made = BdkWallet(descriptor(1, 0), descriptor(1, 1)).pay([paid], OTHER, COIN)
        both = [BdkWallet(descriptor(1, 0), descriptor(1, 1)).sign(made), Psbt.from_text(self.sign(made.text, 2)[0])]
        done = self.call("finalizepsbt", combine(both).text)
        self.assertEqual(display(self.send(done["hex"]).txid), display(made.tx.txid))

    def test_messages_need_enough_keys(self) -> None:
        own = address.encode(self.address(self.parties[0]), "timed")
        code, says = self.refusal("signmessage", own, "m", wallet="party 0")
        self.assertEqual(code, -4)
        self.assertIn("1 of the 2 private keys", says)
        self.assertEqual(self.refusal("signmessage", own, "m", wallet="party None")[0], -4)


class SharedWalletTests(PsbtCase):
    """Three wallets with words of their own make a shared one, each for itself."""

    def setUp(self) -> None:
        super().setUp()
        for name in ("two", "three"):
            self.make(name)
        self.keys = [self.call("getcosignerkey", wallet=name)["key"] for name in ("one", "two", "three")]

    def share(self, name: str, *more: Any) -> Any:
        """With the keys in another order than the others."""
        keys = sorted(self.keys, key=lambda key: sha256((name + key).encode()))
        return self.call("createmultisigwallet", f"shared {name}", 2, keys, *more, wallet=name)

    def test_from_keys_to_a_payment(self) -> None:
        made = [self.share(name) for name in ("one", "two", "three")]
        self.assertEqual(len({tuple(each["descriptors"]) for each in made}), 1)
        self.assertTrue(made[0]["descriptors"][0].startswith("wsh(sortedmulti(2,["))
        self.give(5 * COIN, self.world.service.get("shared one"))
        made_psbt = self.fund(wallet="shared one")["psbt"]
        signed = [
            self.call("walletprocesspsbt", made_psbt, wallet=f"shared {name}")["psbt"] for name in ("one", "three")
        ]
        done = self.call("finalizepsbt", self.call("combinepsbt", signed))
        self.assertTrue(done["complete"])
        self.send(done["hex"])

    def test_encrypted_and_found_again_by_a_rescan(self) -> None:
        self.share("one")
        self.give(5 * COIN, self.world.service.get("shared one"))
        self.share("two", "passphrase", 0, True)
        late: Any = self.world.service.get("shared two")
        self.assertEqual(len(late.state.history.unspent()), 1)
        made = self.fund(wallet="shared two")["psbt"]
        self.assertEqual(self.refusal("walletprocesspsbt", made, wallet="shared two")[0], -13)
        self.wait(late.unlock("passphrase", 60))
        half = self.call("walletprocesspsbt", made, wallet="shared two")["psbt"]
        self.assertTrue(self.call("walletprocesspsbt", half, wallet="shared one")["complete"])

    def test_each_account_has_another_key(self) -> None:
        self.assertNotEqual(self.call("getcosignerkey", 1, wallet="one")["key"], self.keys[0])
        keys = [self.call("getcosignerkey", 7, wallet=name)["key"] for name in ("one", "two")]
        self.assertEqual(self.refusal("createmultisigwallet", "x", 1, keys, wallet="one")[0], -8)
        made = self.call("createmultisigwallet", "x", 1, keys, "", 7, wallet="one")
        self.assertIn("/48h/1h/7h/2h]", made["descriptors"][0])

    def test_what_is_refused(self) -> None:
        private = Account.cosigner(MASTERS[0], DEVNET).reveal_expression()
        for keys, code, says in (
            (self.keys[1:], -8, "is not among the keys"),
            ([self.keys[0], self.keys[0]], -5, "twice"),
            ([self.keys[0], private], -5, "a key is private"),
            ([self.keys[0], "nonsense"], -5, ""),
            (self.keys * 6, -8, "of 1 to 15 keys"),
        ):
            found = self.refusal("createmultisigwallet", "x", 2, keys, wallet="one")
            self.assertEqual((found[0], says in found[1]), (code, True), found)
            self.assertNotIn("prv", found[1])
        self.assertNotIn("x", self.world.service.loaded())
