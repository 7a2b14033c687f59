"""bdkpython and bitcoin-utils as the other party of a PSBT. Both know Bitcoin's networks only, so that they get
descriptors, keys and scripts, with test network version bytes, and never see an address of ours."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

import bdkpython as bdk

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from bitcoinutils import keys as bu_keys
    from bitcoinutils import psbt as bu_psbt
    from bitcoinutils import script as bu_script
    from bitcoinutils import setup as bu_setup
    from bitcoinutils import transactions as bu_tx

from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.wallet.psbt import Psbt

bu_setup.setup("regtest")

_SIGN = bdk.SignOptions(
    trust_witness_utxo=False,
    assume_height=None,
    allow_all_sighashes=False,
    try_finalize=False,
    sign_with_tap_internal_key=False,
    allow_grinding=False,
)


class BdkWallet:
    """A wallet of bdkpython in memory, of two descriptors (receiving, change)."""

    def __init__(self, receiving: str, change: str) -> None:
        parts = [bdk.Descriptor(text, bdk.NetworkKind.TEST) for text in (receiving, change)]
        self.wallet = bdk.Wallet(*parts, bdk.Network.REGTEST, bdk.Persister.new_in_memory())

    def script(self, index: int) -> bytes:
        """Its receiving script."""
        found = self.wallet.peek_address(bdk.KeychainKind.EXTERNAL, index)
        return bytes(found.address.script_pubkey().to_bytes())

    def sign(self, psbt: Psbt) -> Psbt:
        """With all the keys that it has."""
        theirs = bdk.Psbt(psbt.text)
        self.wallet.sign(theirs, _SIGN)
        return Psbt.from_text(theirs.serialize())

    def pay(self, coins: Sequence[Transaction], script: bytes, value: int, rate: int = 120) -> Psbt:
        """A PSBT of its own making, out of the coins that ``coins`` pay it; ``rate`` in units per vbyte."""
        self.wallet.reveal_addresses_to(bdk.KeychainKind.EXTERNAL, 20)
        seen = [bdk.UnconfirmedTx(tx=bdk.Transaction(each.raw), last_seen=1) for each in coins]
        self.wallet.apply_unconfirmed_txs(seen)
        paying = bdk.TxBuilder().add_recipient(bdk.Script(script), bdk.Amount.from_sat(value))
        made = paying.fee_rate(bdk.FeeRate.from_sat_per_vb(rate)).finish(self.wallet)
        return Psbt.from_text(made.serialize())


def bdk_finalised(psbt: Psbt) -> tuple[Psbt, Transaction]:
    """Finalised and extracted by bdkpython."""
    result = bdk.Psbt(psbt.text).finalize()
    assert result.could_finalize, result.errors
    extracted = result.psbt.extract_tx_unchecked_fee_rate().serialize()
    return Psbt.from_text(result.psbt.serialize()), Transaction.decode(bytes(extracted))


def utils_create(
    coins: Sequence[tuple[Transaction, int]], outputs: Sequence[TxOutput], witness_scripts: Mapping[int, bytes]
) -> Psbt:
    """A PSBT made by bitcoin-utils: coins are (transaction, output), ``witness_scripts`` by input."""
    spent = [bu_tx.TxInput(display(tx.txid), n) for tx, n in coins]
    paid = [bu_tx.TxOutput(each.value, bu_script.Script.from_raw(each.script.hex())) for each in outputs]
    made = bu_psbt.PSBT(bu_tx.Transaction(spent, paid, has_segwit=False))
    for index, (tx, n) in enumerate(coins):
        coin, script = tx.outputs[n], witness_scripts.get(index)
        made.update_input(
            index,
            non_witness_utxo=bu_tx.Transaction.from_raw(tx.raw.hex()),
            witness_utxo=bu_tx.TxOutput(coin.value, bu_script.Script.from_raw(coin.script.hex())),
            witness_script=None if script is None else bu_script.Script.from_raw(script.hex()),
        )
    return Psbt.from_text(made.to_base64())


def utils_sign(psbt: Psbt, index: int, secret: bytes) -> Psbt:
    """Signed by bitcoin-utils with one key; the padding that it sometimes leaves in S is taken off."""
    signed = utils_sign_padded(psbt, index, secret)
    known = signed.inputs[index]
    strict = {key: _unpadded(each) for key, each in known.partial_signatures.items()}
    return signed.with_input(index, replace(known, partial_signatures=strict))


def utils_sign_padded(psbt: Psbt, index: int, secret: bytes) -> Psbt:
    """As bitcoin-utils gives it: it writes S in 32 bytes always, which once in 256 times is not the DER of BIP 66, and
    no Bitcoin node takes it either."""
    theirs = bu_psbt.PSBT.from_base64(psbt.text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.sign_input(index, bu_keys.PrivateKey.from_bytes(secret))
    return Psbt.from_text(theirs.to_base64())


def _unpadded(signature: bytes) -> bytes:
    place = 4 + signature[3]
    r, s = signature[4:place], signature[place + 2 : -1]
    s = s.lstrip(b"\0")
    s = s if s[0] < 0x80 else b"\0" + s
    body = b"\x02%c%b\x02%c%b" % (len(r), r, len(s), s)
    return b"\x30%c%b" % (len(body), body) + signature[-1:]


def utils_combined(psbts: Sequence[Psbt]) -> Psbt:
    """Combined by bitcoin-utils."""
    first, *rest = [bu_psbt.PSBT.from_base64(each.text) for each in psbts]
    for each in rest:
        first = first.combine(each)
    return Psbt.from_text(first.to_base64())


def utils_finalised(psbt: Psbt) -> tuple[Psbt, Transaction]:
    """Finalised and extracted by bitcoin-utils."""
    theirs = bu_psbt.PSBT.from_base64(psbt.text)
    theirs.finalize()
    return Psbt.from_text(theirs.to_base64()), Transaction.decode(
        bytes.fromhex(theirs.extract_transaction().serialize())
    )
