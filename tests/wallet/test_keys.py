"""Accounts: the vectors of BIP 84, and the paths of our networks."""

from __future__ import annotations

from embit import bip32, script
from embit.networks import NETWORKS
from twisted.trial.unittest import SynchronousTestCase

from timecoin.ledger.networks import DEVNET, MAINNET, TESTNET
from timecoin.primitives import address
from timecoin.primitives.wif import encode_wif
from timecoin.wallet.errors import BadKey, NotPrivate
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.keys import CHANGE, RECEIVE, Account, account_path, format_path, multisig_path
from timecoin.wallet.words import seed

# BIP 84, section Test vectors: phrase, account m/84'/0'/0', (chain, index, private key, public key, address).
PHRASE = "abandon " * 11 + "about"
PUBLISHED = (
    (
        RECEIVE,
        0,
        "KyZpNDKnfs94vbrwhJneDi77V6jF64PWPF8x5cdJb8ifgg2DUc9d",
        "0330d54fd0dd420a6e5f8d3624f5f3482cae350f79d5f0753bf5beef9c2d91af3c",
        "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu",
    ),
    (
        RECEIVE,
        1,
        "Kxpf5b8p3qX56DKEe5NqWbNUP9MnqoRFzZwHRtsFqhzuvUJsYZCy",
        "03e775fd51f0dfb8cd865d9ff1cca2a158cf651fe997fdc9fee9c1d3b5e995ea77",
        "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g",
    ),
    (
        CHANGE,
        0,
        "KxuoxufJL5csa1Wieb2kp29VNdn92Us8CoaUG3aGtPtcF3AzeXvF",
        "03025324888e429ab8e3dbaf1f7802648b9cd01e9b418485c5fa4c1b9b5700e1a6",
        "bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el",
    ),
)
ZPRV_ROOT = (
    "zprvAWgYBBk7JR8Gjrh4UJQ2uJdG1r3WNRRfURiABBE3RvMXYSrRJL62XuezvGdPvG6GFBZduosCc1YP5wixPox7zhZLfiUm8aunE96BBa4Kei5"
)
ZPRV_ACCOUNT = (
    "zprvAdG4iTXWBoARxkkzNpNh8r6Qag3irQB8PzEMkAFeTRXxHpbF9z4QgEvBRmfvqWvGp42t42nvgGpNgYSJA9iefm1yYNZKEm7z6qUWCroSQnE"
)
BITCOIN = MAINNET._replace(name="bitcoin", hrp="bc", coin_type=0)
MASTER = ExtendedSecretKey.from_seed(seed(PHRASE))


class Published(SynchronousTestCase):
    def test_bip_84(self) -> None:
        account = Account.of_master(MASTER, BITCOIN)
        for chain, index, wif, key, text in PUBLISHED:
            self.assertEqual(account.public_key(chain, index).hex(), key)
            self.assertEqual(address.encode(account.script(chain, index), "bc"), text)
            self.assertEqual(encode_wif(account.secret(chain, index), 0x80), wif)

    def test_bip_84_with_its_version_bytes(self) -> None:
        versions = BITCOIN.keys._replace(xprv=NETWORKS["main"]["zprv"], xpub=NETWORKS["main"]["zpub"])
        self.assertEqual(MASTER.reveal(versions), ZPRV_ROOT)
        account = Account.of_master(MASTER, BITCOIN._replace(keys=versions))
        self.assertEqual(account.reveal_xprv(), ZPRV_ACCOUNT)


class Networks(SynchronousTestCase):
    def test_paths(self) -> None:
        self.assertEqual(format_path(account_path(MAINNET)), "84h/24100h/0h")
        self.assertEqual(format_path(account_path(TESTNET, 7)), "84h/1h/7h")
        self.assertEqual(format_path(multisig_path(MAINNET, 1)), "48h/24100h/1h/2h")
        self.assertEqual(format_path(multisig_path(DEVNET)), "48h/1h/0h/2h")
        for number in (-1, 1 << 31):
            self.assertRaises(BadKey, account_path, MAINNET, number)

    def test_texts(self) -> None:
        for network, prefix in ((MAINNET, "xp"), (TESTNET, "tp"), (DEVNET, "tp")):
            account = Account.of_master(MASTER, network)
            self.assertTrue(account.xpub.startswith(prefix + "ub"))
            self.assertTrue(account.reveal_xprv().startswith(prefix + "rv"))
            self.assertTrue(account.public_expression.startswith("[73c5da0a/84h/"))

    def test_as_embit_derives_it(self) -> None:
        theirs = bip32.HDKey.from_seed(seed(PHRASE)).derive("m/84h/24100h/3h/1/9")
        account = Account.of_master(MASTER, MAINNET, 3)
        self.assertEqual(account.script(CHANGE, 9), script.p2wpkh(theirs).data)
        self.assertEqual(account.secret(CHANGE, 9), theirs.secret)

    def test_an_account_to_watch_has_no_secrets(self) -> None:
        account = Account.of_master(MASTER, MAINNET)
        watching = account._replace(key=account.public)
        self.assertEqual(watching.script(RECEIVE, 5), account.script(RECEIVE, 5))
        self.assertEqual(watching.xpub, account.xpub)
        for ask in (watching.reveal_xprv, watching.reveal_expression, lambda: watching.secret(0, 0)):
            self.assertRaises(NotPrivate, ask)
        for text in (repr(account), str(account)):
            self.assertNotIn("prv'", text.replace("xprv=b", ""))
            self.assertNotIn(account.reveal_xprv()[4:40], text)
