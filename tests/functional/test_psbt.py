"""PSBTs of a real devnet, signed by bdkpython and by bitcoin-utils: each way really sent, and final."""

from __future__ import annotations

from tests.functional.load import Wallet, script_of
from tests.functional.support import FunctionalCase, Node, reactor
from tests.wallet.psbt_others import BdkWallet, utils_create, utils_sign
from timecoin.ledger.networks import DEVNET
from timecoin.primitives import address
from timecoin.primitives.amounts import COIN, format_amount
from timecoin.primitives.hashes import display, sha256
from timecoin.primitives.transaction import Transaction, TxOutput, split_outpoint
from timecoin.primitives.wif import encode_wif
from timecoin.rpc.async_client import AsyncClient
from timecoin.wallet.checksums import with_checksum
from timecoin.wallet.descriptors import Descriptor
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.keys import Account
from timecoin.wallet.psbt import Psbt

FEE = 50_000
MASTERS = [ExtendedSecretKey.from_seed(sha256(b"functional cosigner %d" % n)) for n in range(3)]
SINGLE_KEY = sha256(b"functional key")
ACCOUNT = Account.of_master(MASTERS[0], DEVNET)
PRIVATE = [f"wpkh({ACCOUNT.reveal_expression()}/{chain}/*)" for chain in (0, 1)]
PUBLIC = f"wpkh({ACCOUNT.public_expression}/<0;1>/*)"


def vault(chain: int, party: int | None) -> str:
    """Two of three; with the secrets of one party (None: of nobody)."""
    accounts = [Account.cosigner(master, DEVNET) for master in MASTERS]
    keys = [
        (each.reveal_expression() if n == party else each.public_expression) + f"/{chain}/*"
        for n, each in enumerate(accounts)
    ]
    return f"wsh(sortedmulti(2,{','.join(keys)}))"


class PsbtTests(FunctionalCase):
    async def final(self, node: Node, raw: str) -> str:
        """Send, and wait until it is final; the txid."""
        txid = str(await node.call("sendrawtransaction", raw))
        status = await node.patiently("waitforfinality", txid, 30_000)
        self.assertIn(status["status"], ("final", "archived"), status)
        return txid

    async def final_at(self, client: AsyncClient, raw: str) -> Transaction:
        """The same by way of a wallet's path."""
        txid = await client.call("sendrawtransaction", raw)
        status = await client.call("waitforfinality", txid, 30_000)
        self.assertIn(status["status"], ("final", "archived"), status)
        return Transaction.decode(bytes.fromhex(raw))

    async def paid(self, node: Node, wallet: Wallet, scripts: list[bytes]) -> Transaction:
        """A fund of the network goes to these scripts, 2 TIME each; signed by the node with the key that it is told."""
        coin = wallet.take()
        txid, n = split_outpoint(coin.outpoint)
        change = coin.value - 2 * COIN * len(scripts) - FEE
        outputs = [{address.encode(script, "timed"): 2} for script in scripts]
        outputs.append({address.encode(script_of(coin.secret), "timed"): format_amount(change)})  # type: ignore[dict-item]
        raw = await node.call("createrawtransaction", [{"txid": display(txid), "vout": n}], outputs)
        wif = encode_wif(coin.secret, DEVNET.keys.wif)
        signed = await node.call("signrawtransactionwithkey", raw, [wif])
        self.assertTrue(signed["complete"])
        await self.final(node, signed["hex"])
        return Transaction.decode(bytes.fromhex(signed["hex"]))

    async def test_signed_by_others_and_for_others(self) -> None:
        net = self.devnet(2, 6)
        await net.up()
        first, second = net.nodes
        bdk = BdkWallet(*PRIVATE)
        place = 3
        share = await self.share(second)
        where = await share.call("getnewaddress")
        coins = [bdk.script(place), script_of(SINGLE_KEY), address.decode(where, "timed")]
        paid = await self.paid(first, Wallet(net), [*coins, bdk.script(place + 1)])
        spent = await self.made_here(first, paid, bdk)
        await self.made_by_bdk(second, [paid, spent], bdk)
        await self.shared(share, paid)

    async def made_here(self, node: Node, paid: Transaction, bdk: BdkWallet) -> Transaction:
        """Two coins in one PSBT of the node's making: bdkpython signs one, bitcoin-utils the other."""
        inputs = [{"txid": display(paid.txid), "vout": n} for n in (0, 1)]
        to = {address.encode(script_of(SINGLE_KEY), "timed"): format_amount(4 * COIN - FEE)}
        bare = await node.call("createpsbt", inputs, to)
        made = Psbt.from_text(await node.call("utxoupdatepsbt", bare, [PUBLIC]))
        self.assertTrue(all(each.non_witness_utxo == paid and each.witness_utxo for each in made.inputs))
        signed = [bdk.sign(made).text, utils_sign(made, 1, SINGLE_KEY).text]
        done = await node.call("finalizepsbt", await node.call("combinepsbt", signed))
        self.assertTrue(done["complete"])
        await self.final(node, done["hex"])
        return Transaction.decode(bytes.fromhex(done["hex"]))

    async def made_by_bdk(self, node: Node, seen: list[Transaction], bdk: BdkWallet) -> None:
        """The node signs what bdkpython made of the coins that ``seen`` leave it."""
        made = bdk.pay(seen, script_of(SINGLE_KEY), COIN)
        done = await node.call("descriptorprocesspsbt", made.text, [{"desc": PRIVATE[0], "range": 10}])
        self.assertTrue(done["complete"])
        await self.final(node, done["hex"])

    async def share(self, node: Node) -> AsyncClient:
        """A wallet of the node that has one of the three keys of the vault."""
        await node.call("createwallet", "share", False, True)
        client = AsyncClient(reactor, f"{node.files.rpc_url}/wallet/share", node.files.cookie)
        self.addCleanup(client.close)
        requests = [
            {"desc": with_checksum(vault(chain, 1)), "timestamp": "now", "active": True, "internal": chain == 1}
            for chain in (0, 1)
        ]
        done = await client.call("importdescriptors", requests)
        self.assertTrue(all(each["success"] for each in done), done)
        return client

    async def shared(self, share: AsyncClient, paid: Transaction) -> None:
        """Two of three: paid by the node's wallet with bdkpython, then by bitcoin-utils with the node's wallet."""
        to = address.encode(script_of(SINGLE_KEY), "timed")
        funded = await share.call("walletcreatefundedpsbt", [], {to: "0.5"}, 0, {"fee_rate": 200})
        here = await share.call("walletprocesspsbt", funded["psbt"])
        self.assertFalse(here["complete"])
        there = BdkWallet(vault(0, 0), vault(1, 0)).sign(Psbt.from_text(funded["psbt"]))
        done = await share.call("finalizepsbt", await share.call("combinepsbt", [here["psbt"], there.text]))
        self.assertTrue(done["complete"])
        spent = await self.final_at(share, done["hex"])

        change = Descriptor.parse(vault(1, 2), DEVNET)
        expansion = change.expand(0)
        place = [each.script for each in spent.outputs].index(expansion.script)
        outputs = [TxOutput(spent.outputs[place].value - FEE, script_of(SINGLE_KEY))]
        made = utils_create([(spent, place)], outputs, {0: expansion.witness_script or b""})
        (secret,) = change.secrets(0).values()
        half = utils_sign(made, 0, secret)
        done = await share.call("walletprocesspsbt", half.text)
        self.assertTrue(done["complete"])
        await self.final_at(share, done["hex"])
