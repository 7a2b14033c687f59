"""Transactions, PSBTs, keys and descriptors that cases of several modules use. No cases."""

from __future__ import annotations

from typing import Any

from tests.rpc.fake_node import NETWORK
from timecoin.ledger.first import first_state
from timecoin.ledger.networks import DEVNET
from timecoin.primitives import address
from timecoin.primitives.hashes import display, hash160, sha256
from timecoin.primitives.script import multisig, p2wpkh, p2wsh
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput
from timecoin.primitives.wif import encode_wif
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_finalise import finalise
from timecoin.wallet.psbt_sign import sign
from timecoin.wallet.psbt_update import add_previous

CASES: list[Any] = []

BACKEND = get_backend()
FUND = NETWORK.funds[0]
FUND_KEY = BACKEND.public_key(FUND.secret)
FUND_WIF = encode_wif(FUND.secret, DEVNET.keys.wif)
FUND_TXID = display(FUND.txid)
SECRETS = {BACKEND.public_key(one): one for one in (sha256(b"case %d" % n) for n in range(3))}
KEYS = sorted(SECRETS)
WIFS = [encode_wif(SECRETS[key], DEVNET.keys.wif) for key in KEYS]
VAULT = multisig(2, KEYS)
VAULT_SCRIPT = p2wsh(sha256(VAULT))
VAULT_ADDRESS = address.encode(VAULT_SCRIPT, "timed")
KEY_ADDRESS = address.encode(p2wpkh(hash160(KEYS[0])), "timed")
MAIN_ADDRESS = address.encode(p2wpkh(hash160(KEYS[0])), "time")
INPUT = {"txid": FUND_TXID, "vout": FUND.vout}
FEE = 20_000

#: The coinbase of block 0, which made the funds.
FIRST = first_state(NETWORK.genesis)[0].transactions[0]

#: Pays the first fund to the vault.
PAYMENT = Transaction(2, (TxInput(FIRST.outpoint(FUND.vout)),), (TxOutput(FUND.amount - FEE, VAULT_SCRIPT),))
CREATED = Psbt.create(PAYMENT)
UPDATED = add_previous(CREATED, 0, FIRST)
SIGNED = sign(UPDATED, {FUND_KEY: FUND.secret}, BACKEND)
FINAL = finalise(SIGNED, BACKEND)

#: Spends the vault's coin in that.
VAULT_SPEND = Transaction(
    2, (TxInput(PAYMENT.outpoint(0)),), (TxOutput(FUND.amount - 2 * FEE, p2wpkh(hash160(KEYS[0]))),)
)
VAULT_PREVTX = {
    "txid": display(PAYMENT.txid),
    "vout": 0,
    "scriptPubKey": VAULT_SCRIPT.hex(),
    "witnessScript": VAULT.hex(),
    "amount": f"{(FUND.amount - FEE) / 10**8:.8f}",
}
