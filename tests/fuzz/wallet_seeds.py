"""Real PSBTs, descriptors and signatures, for the targets of the wallet."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from tests.fuzz.wallet_targets import KEY_SCRIPT, KEYS, MESSAGE, SECRETS, VAULT, VAULT_SCRIPT
from timecoin.ledger.networks import DEVNET
from timecoin.primitives import address
from timecoin.primitives.hashes import hash160, sha256
from timecoin.primitives.script import op_return
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput, make_outpoint
from timecoin.primitives.wif import encode_wif
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.keys import Account
from timecoin.wallet.messages import sign_message
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_finalise import finalise
from timecoin.wallet.psbt_origin import KeyOrigin
from timecoin.wallet.psbt_sign import sign
from timecoin.wallet.psbt_update import ScriptFacts, add_previous, describe_input, describe_output
from timecoin.wallet.raw_signing import sign_raw

_BACKEND = get_backend()
_VECTORS = Path(__file__).parents[1] / "vectors" / "bip174.json"


def wallet_seeds() -> dict[str, list[bytes]]:
    """By target."""
    psbts = _psbts()
    published = json.loads(_VECTORS.read_text())["valid"]
    foreign = [base64.b64decode(each["base64"]) for each in published]
    raw = [each.encode() for each in psbts]
    tx = psbts[0].tx
    coins = {each: TxOutput(10_000 + n, (KEY_SCRIPT, VAULT_SCRIPT)[n]) for n, each in enumerate(tx.outpoints())}
    half = sign_raw(tx, coins, {VAULT_SCRIPT: VAULT}, dict(list(SECRETS.items())[:1]), _BACKEND).tx
    by_key = sign_message(KEY_SCRIPT, MESSAGE, SECRETS, _BACKEND)
    by_vault = sign_message(VAULT_SCRIPT, MESSAGE, SECRETS, _BACKEND, VAULT)
    return {
        "psbt": [*raw, *(each for each in foreign if len(each) <= 1_024)],
        "psbt_text": [psbts[0].text.encode(), base64.b64encode(foreign[0])],
        "psbt_roles": raw,
        "descriptor": [text.encode() for text in _descriptors()],
        "message_signature": [by_key.encode(), by_key[3:].encode(), by_vault.encode()],
        "raw_signing": [tx.raw, half.raw],
        "asm": [KEY_SCRIPT, VAULT, op_return(b"note"), bytes.fromhex("76a914") + bytes(20) + bytes.fromhex("88ac")],
    }


def rpc_bodies() -> list[bytes]:
    """Calls of methods that make, sign and read transactions, PSBTs, descriptors and messages."""
    psbts = _psbts()
    tx, texts = psbts[0].tx, [each.text for each in psbts]
    coin = {"txid": tx.inputs[0].outpoint[31::-1].hex(), "vout": 0}
    told = coin | {"scriptPubKey": VAULT_SCRIPT.hex(), "witnessScript": VAULT.hex(), "amount": 0.007}
    wif, where = encode_wif(SECRETS[KEYS[0]], DEVNET.keys.wif), address.encode(KEY_SCRIPT, "timed")
    signature = sign_message(KEY_SCRIPT, MESSAGE, SECRETS, _BACKEND)
    calls: list[tuple[str, object]] = [
        ("createrawtransaction", [[coin], {where: 1.5, "data": "00ff"}, 7, False, 1]),
        ("createpsbt", [[coin | {"sequence": 1}], [{where: "0.1"}]]),
        ("signrawtransactionwithkey", [tx.raw.hex(), [wif], [told], "ALL"]),
        ("combinerawtransaction", [[tx.raw.hex()] * 2]),
        ("decodepsbt", [texts[4]]),
        ("combinepsbt", [texts[:3]]),
        ("finalizepsbt", {"psbt": texts[3], "extract": False}),
        ("analyzepsbt", [texts[2]]),
        ("utxoupdatepsbt", [texts[0], [{"desc": f"wpkh({KEYS[0].hex()})", "range": [0, 3]}]]),
        ("createmultisig", [2, [key.hex() for key in KEYS], "bech32"]),
        ("deriveaddresses", [f"wpkh({KEYS[0].hex()})#00000000", 5]),
        ("verifymessage", [where, signature, MESSAGE.decode()]),
    ]
    return [json.dumps({"method": name, "params": params, "id": 1}).encode() for name, params in calls]


def _psbts() -> list[Psbt]:
    """A spend of a key's coin and a vault's: bare, filled, half signed, final; and one with everything odd."""
    older = TxInput(make_outpoint(sha256(b"older"), 1), witness=(b"\x30" * 70, KEYS[1]))
    paid = Transaction(2, (older,), (TxOutput(500_000, KEY_SCRIPT), TxOutput(700_000, VAULT_SCRIPT)))
    spent = (TxInput(paid.outpoint(0)), TxInput(paid.outpoint(1), sequence=0))
    bare = Psbt.create(Transaction(2, spent, (TxOutput(1_100_000, VAULT_SCRIPT), TxOutput(0, op_return(b"x"))), 7))
    origins = {key: KeyOrigin(hash160(key)[:4], (0x80000054, n)) for n, key in enumerate(KEYS)}
    filled = add_previous(add_previous(bare, 0, paid), 1, paid)
    filled = describe_input(filled, 1, ScriptFacts(VAULT, origins))
    filled = describe_output(filled, 0, ScriptFacts(VAULT, origins))
    half = sign(filled, {KEYS[0]: SECRETS[KEYS[0]]}, _BACKEND)
    final = finalise(sign(filled, SECRETS, _BACKEND), _BACKEND)
    xpub = bytes.fromhex("043587cf") + bytes(41) + KEYS[0]
    odd = Psbt(half.tx, half.inputs, half.outputs, {xpub: origins[KEYS[0]]}, 0, {b"\xfc\x01a\x05": b"v", b"\x77": b"u"})
    return [bare, filled, half, final, odd]


def _descriptors() -> list[str]:
    master = ExtendedSecretKey.from_seed(bytes(range(32)))
    account, cosigner = Account.of_master(master, DEVNET), Account.cosigner(master, DEVNET)
    keys = ",".join(key.hex() for key in KEYS)
    return [
        f"wpkh({account.public_expression}/<0;1>/*)",
        f"wpkh({account.reveal_expression()}/0/*)",
        f"wpkh({encode_wif(SECRETS[KEYS[0]], DEVNET.keys.wif)})",
        f"wsh(multi(2,{keys}))",
        f"wsh(sortedmulti(1,{cosigner.public_expression}/0/*,{KEYS[0].hex()}))",
        f"addr({address.encode(KEY_SCRIPT, 'timed')})",
        f"raw({VAULT_SCRIPT.hex()})",
        f"pkh({KEYS[0].hex()})#00000000",
    ]
