"""PSBTs between this wallet, bdkpython and bitcoin-utils, each making, signing, combining and finalising in turn, up to
transactions that this ledger puts into a block."""

from __future__ import annotations

from dataclasses import replace

import bdkpython as bdk
from twisted.trial.unittest import SynchronousTestCase

from tests.known_keys import known_keys
from tests.wallet.psbt_cases import BACKEND, COIN, FEE, key_script, public, secret
from tests.wallet.psbt_others import (
    BdkWallet,
    bdk_finalised,
    utils_combined,
    utils_create,
    utils_finalised,
    utils_sign,
    utils_sign_padded,
)
from timecoin.cli.new_network import Seat, make_network
from timecoin.cli.payment import OwnedCoin, make_payment
from timecoin.ledger.first import first_state
from timecoin.ledger.networks import DEVNET
from timecoin.ledger.params import Parameters
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.tiers import Tier
from timecoin.ledger.validation import check_transaction
from timecoin.ledger.verify import block_signature_checks, resolve
from timecoin.primitives.hashes import display_order, sha256
from timecoin.primitives.signing import check_all
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput, make_outpoint
from timecoin.wallet.descriptors import Descriptor
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.keys import Account
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_combine import combine
from timecoin.wallet.psbt_finalise import extract, finalise, is_valid
from timecoin.wallet.psbt_origin import KeyOrigin
from timecoin.wallet.psbt_sign import sign
from timecoin.wallet.psbt_update import ScriptFacts, add_previous, describe_input

_SEATS = [Seat(Tier.SILVER, ServiceAddress.parse("127.0.0.1:25000"))]
NETWORK = make_network(
    "devnet",
    1_800_000_000,
    _SEATS,
    Parameters.for_epoch_seconds(60),
    fund_count=1,
    fund_amount=100 * COIN,
    draw=known_keys("psbt others"),
)
_, STATE, DELTA = first_state(NETWORK.genesis)
PARAMS = NETWORK.genesis.parameters

MASTERS = [ExtendedSecretKey.from_seed(sha256(b"master %d" % n)) for n in range(3)]
SINGLE = [f"wpkh({Account.of_master(MASTERS[0], DEVNET).reveal_expression()}/{chain}/*)" for chain in (0, 1)]
OURS = Descriptor.parse(SINGLE[0], DEVNET)
SINGLE_SCRIPT = OURS.script(3)


def vault(chain: int, private: int | None) -> str:
    """Two of three, with the secrets of one party (None: of nobody) in it."""
    parties = [Account.cosigner(master, DEVNET) for master in MASTERS]
    keys = [
        (party.reveal_expression() if n == private else party.public_expression) + f"/{chain}/*"
        for n, party in enumerate(parties)
    ]
    return f"wsh(sortedmulti(2,{','.join(keys)}))"


VAULT = Descriptor.parse(vault(0, None), DEVNET)
PLACE = 4


def funding(*scripts: bytes) -> Transaction:
    """A payment of the network's first fund to these scripts, 10 TIME each."""
    fund = NETWORK.funds[0]
    coin = OwnedCoin(make_outpoint(fund.txid, fund.vout), fund.amount, fund.secret)
    first = make_payment(coin, scripts[0], 10 * COIN, 200, BACKEND)
    if len(scripts) == 1:
        return first
    outputs = tuple(TxOutput(10 * COIN, script) for script in scripts)
    psbt = Psbt.create(Transaction(2, (TxInput(coin.outpoint),), outputs))
    genesis = first_state(NETWORK.genesis)[0].transactions[0]
    key = BACKEND.public_key(fund.secret)
    return extract(finalise(sign(add_previous(psbt, 0, genesis), {key: fund.secret}, BACKEND), BACKEND))


def facts(descriptor: Descriptor, index: int) -> ScriptFacts:
    found = descriptor.expand(index)
    return ScriptFacts(found.witness_script, {key: KeyOrigin(top, path) for key, top, path in found.keys})


def ours(paid: Transaction, pay: bytes = key_script(9)) -> Psbt:
    """A PSBT made here, which spends all coins of ``paid`` that belong to the wallets above."""
    known = {SINGLE_SCRIPT: facts(OURS, 3), VAULT.script(PLACE): facts(VAULT, PLACE), key_script(0): ScriptFacts()}
    places = [n for n, each in enumerate(paid.outputs) if each.script in known]
    value = sum(paid.outputs[n].value for n in places) - 2 * FEE
    psbt = Psbt.create(Transaction(2, tuple(TxInput(paid.outpoint(n)) for n in places), (TxOutput(value, pay),)))
    for index, n in enumerate(places):
        psbt = describe_input(add_previous(psbt, index, paid), index, known[paid.outputs[n].script])
    return psbt


class OthersCase(SynchronousTestCase):
    def check(self, paid: Transaction, spent: Transaction) -> None:
        """Both can stand in the next block."""
        txs = sorted((paid, spent), key=lambda tx: display_order(tx.txid))
        for tx in txs:
            check_transaction(PARAMS, tx)
        resolved = resolve(PARAMS, STATE, txs, DELTA.added.get)
        self.assertTrue(check_all(BACKEND, block_signature_checks(resolved)))

    def finish(self, paid: Transaction, psbt: Psbt) -> None:
        """Whoever finalises, it is the same transaction, and valid."""
        done = finalise(psbt, BACKEND)
        self.assertTrue(is_valid(done, BACKEND))
        for theirs, tx in (bdk_finalised(psbt), utils_finalised(psbt)):
            self.assertEqual(tx, extract(done))
            self.assertTrue(is_valid(theirs, BACKEND))
        self.check(paid, extract(done))


class SingleKeyTests(OthersCase):
    def test_made_here_signed_by_bdk(self) -> None:
        paid = funding(SINGLE_SCRIPT)
        signed = BdkWallet(*SINGLE).sign(ours(paid))
        self.assertEqual(signed, sign(ours(paid), OURS.secrets(3), BACKEND))
        self.finish(paid, signed)

    def test_made_by_bdk_signed_here(self) -> None:
        paid = funding(SINGLE_SCRIPT)
        psbt = BdkWallet(*SINGLE).pay([paid], key_script(9), 3 * COIN)
        self.assertEqual(psbt.inputs[0].non_witness_utxo, paid)
        self.assertIsNotNone(psbt.inputs[0].witness_utxo)
        change = next(n for n, each in enumerate(psbt.tx.outputs) if each.script != key_script(9))
        self.assertEqual(psbt.outputs[change].derivations, facts(Descriptor.parse(SINGLE[1], DEVNET), 0).derivations)
        self.finish(paid, sign(psbt, OURS.secrets(3), BACKEND))

    def test_made_here_signed_by_bitcoin_utils(self) -> None:
        paid = funding(key_script(0))
        self.finish(paid, utils_sign(ours(paid), 0, secret(0)))

    def test_made_by_bitcoin_utils_signed_here(self) -> None:
        paid = funding(key_script(0))
        psbt = utils_create([(paid, 0)], [TxOutput(10 * COIN - FEE, key_script(9))], {})
        self.assertEqual(psbt.inputs[0].non_witness_utxo, paid)
        self.finish(paid, sign(psbt, {public(0): secret(0)}, BACKEND))


class MultisigTests(OthersCase):
    def test_one_signature_each_of_bdk_bitcoin_utils_and_us(self) -> None:
        """Any two of them suffice, whoever made the PSBT and whoever combines."""
        paid = funding(VAULT.script(PLACE))
        made_by_bdk = BdkWallet(vault(0, 0), vault(1, 0)).pay([paid], key_script(9), 4 * COIN)
        made_by_utils = utils_create(
            [(paid, 0)], [TxOutput(2 * COIN, key_script(9))], {0: VAULT.expand(PLACE).witness_script or b""}
        )
        for psbt in (ours(paid), made_by_bdk, made_by_utils):
            describe = describe_input(psbt, 0, facts(VAULT, PLACE))
            parts = [
                BdkWallet(vault(0, 0), vault(1, 0)).sign(describe),
                utils_sign(describe, 0, _secret(1)),
                sign(describe, Descriptor.parse(vault(0, 2), DEVNET).secrets(PLACE), BACKEND),
            ]
            self.assertEqual([len(each.inputs[0].partial_signatures) for each in parts], [1, 1, 1])
            for pair in ((0, 1), (1, 2), (2, 0)):
                two = [parts[n] for n in pair]
                self.assertEqual(combine(two), utils_combined(two))
                self.finish(paid, combine(two))

    def test_handed_round(self) -> None:
        paid = funding(VAULT.script(PLACE))
        first = utils_sign(ours(paid), 0, _secret(0))
        self.finish(paid, BdkWallet(vault(0, 1), vault(1, 1)).sign(first))


class TogetherTests(OthersCase):
    def test_coins_of_all_three_in_one_transaction(self) -> None:
        paid = funding(SINGLE_SCRIPT, key_script(0), VAULT.script(PLACE))
        psbt = ours(paid)
        by_bdk = BdkWallet(*SINGLE).sign(psbt)
        by_utils = utils_sign(utils_sign(psbt, 1, secret(0)), 2, _secret(1))
        here = sign(psbt, Descriptor.parse(vault(0, 2), DEVNET).secrets(PLACE), BACKEND)
        self.assertFalse(is_valid(finalise(combine([by_bdk, by_utils]), BACKEND), BACKEND))
        self.finish(paid, combine([by_bdk, by_utils, here]))


class PaddedTests(OthersCase):
    def test_a_padded_s_of_bitcoin_utils_is_no_signature(self) -> None:
        """BIP 66 allows no needless zero byte: every node would refuse the transaction."""
        paid = funding(key_script(0))
        made = (_with_lock_time(ours(paid), n) for n in range(4096))
        padded = next(each for each in made if utils_sign_padded(each, 0, secret(0)) != utils_sign(each, 0, secret(0)))
        self.assertFalse(finalise(utils_sign_padded(padded, 0, secret(0)), BACKEND).inputs[0].is_final)
        self.finish(paid, utils_sign(padded, 0, secret(0)))


class RefusalTests(OthersCase):
    def test_bdk_and_we_refuse_a_coin_that_nothing_proves(self) -> None:
        psbt = ours(funding(SINGLE_SCRIPT))
        bare = psbt.with_input(0, replace(psbt.inputs[0], non_witness_utxo=None))
        self.assertEqual(sign(bare, OURS.secrets(3), BACKEND), bare)
        with self.assertRaises(bdk.SignerError):
            BdkWallet(*SINGLE).sign(bare)


def _with_lock_time(psbt: Psbt, lock_time: int) -> Psbt:
    return replace(psbt, tx=Transaction(psbt.tx.version, psbt.tx.inputs, psbt.tx.outputs, lock_time))


def _secret(party: int) -> bytes:
    (found,) = Descriptor.parse(vault(0, party), DEVNET).secrets(PLACE).values()
    return found
