"""BIP 174's published cases (tests/vectors/bip174.json names the source), all of them."""

from __future__ import annotations

import base64
from dataclasses import replace

from embit.psbt import PSBT
from twisted.trial.unittest import SynchronousTestCase

from tests.wallet.psbt_cases import BACKEND, VECTORS
from timecoin.ledger.networks import TEST_KEYS
from timecoin.primitives.amounts import parse_amount
from timecoin.primitives.hashes import display, parse_display
from timecoin.primitives.sighash import Bip143, join_signature
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput, make_outpoint
from timecoin.primitives.wif import decode_wif
from timecoin.wallet.paths import parse_path
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_combine import combine
from timecoin.wallet.psbt_errors import MalformedPsbt, PsbtRefused
from timecoin.wallet.psbt_finalise import extract, finalise
from timecoin.wallet.psbt_origin import KeyOrigin
from timecoin.wallet.psbt_sign import sign
from timecoin.wallet.psbt_spending import spending

FLOW = VECTORS["workflow"]


class FormTests(SynchronousTestCase):
    def test_there_are_as_many_as_were_published(self) -> None:
        sizes = [len(VECTORS[kind]) for kind in ("invalid", "valid", "refused_by_signer")]
        self.assertEqual(sizes, [20, 10, 4])

    def test_invalid_ones_are_refused(self) -> None:
        for each in VECTORS["invalid"]:
            with self.assertRaises(MalformedPsbt, msg=each["case"]):
                Psbt.from_text(each["base64"])

    def test_valid_ones_come_back_byte_for_byte(self) -> None:
        for each in [*VECTORS["valid"], *VECTORS["refused_by_signer"]]:
            self.assertEqual(Psbt.from_text(each["base64"]).text, each["base64"], each["case"])

    def test_embit_reads_the_same_transaction_out_of_those_it_can_read(self) -> None:
        for each in VECTORS["valid"]:
            if "0 inputs" in each["case"]:
                continue
            theirs, ours = PSBT.from_base64(each["base64"]), Psbt.from_text(each["base64"])
            self.assertEqual(theirs.tx.serialize(), ours.tx.raw, each["case"])


class SignerCheckTests(SynchronousTestCase):
    def test_what_a_signer_has_to_refuse_is_refused(self) -> None:
        for each in VECTORS["refused_by_signer"]:
            psbt = Psbt.from_text(each["base64"])
            for index in range(len(psbt.inputs)):
                with self.assertRaises(PsbtRefused, msg=each["case"]):
                    spending(psbt, index, proven=False)


class WorkflowTests(SynchronousTestCase):
    """The BIP's example from creator to extractor. Its coins are P2SH, which this ledger does not have: what is
    independent of that has to come out as published, and nothing of it may be signed."""

    def test_creator(self) -> None:
        inputs = [TxInput(make_outpoint(parse_display(each["txid"]), each["vout"])) for each in FLOW["inputs"]]
        outputs = [TxOutput(parse_amount(each["amount"]), bytes.fromhex(each["script"])) for each in FLOW["outputs"]]
        self.assertEqual(Psbt.create(Transaction(2, tuple(inputs), tuple(outputs))).text, FLOW["created"])

    def test_updater(self) -> None:
        psbt = Psbt.from_text(FLOW["created"])
        previous = {tx.txid: tx for tx in map(Transaction.decode, map(bytes.fromhex, FLOW["previous"]))}
        first, second = (previous[each.outpoint[:32]] for each in psbt.tx.inputs)
        keys = [bytes.fromhex(each["key"]) for each in FLOW["keys"]]
        master = Psbt.from_text(FLOW["updated"]).inputs[0].derivations[keys[0]].fingerprint
        origin = [KeyOrigin(master, parse_path(each["path"])) for each in FLOW["keys"]]
        redeem, witness = (
            [bytes.fromhex(each) for each in FLOW["redeem_scripts"]],
            bytes.fromhex(FLOW["witness_scripts"][0]),
        )
        one = replace(psbt.inputs[0], non_witness_utxo=first, redeem_script=redeem[0])
        one = replace(one, derivations={keys[n]: origin[n] for n in (0, 1)})
        two = replace(psbt.inputs[1], witness_utxo=second.outputs[1], redeem_script=redeem[1], witness_script=witness)
        two = replace(two, derivations={keys[n]: origin[n] for n in (2, 3)})
        psbt = psbt.with_input(0, one).with_input(1, two)
        for n in (0, 1):
            psbt = psbt.with_output(n, replace(psbt.outputs[n], derivations={keys[4 + n]: origin[4 + n]}))
        self.assertEqual(psbt.text, FLOW["updated"])
        for n in (0, 1):
            psbt = psbt.with_input(n, replace(psbt.inputs[n], sighash=1))
        self.assertEqual(psbt.text, FLOW["updated_with_sighash"])

    def test_signer(self) -> None:
        """The witness input is signed as BIP 143 says, with RFC 6979; but not by our signer, because it is in P2SH."""
        psbt = Psbt.from_text(FLOW["updated_with_sighash"])
        known = psbt.inputs[1]
        assert known.witness_utxo is not None and known.witness_script is not None
        digest = Bip143(psbt.tx).digest(1, known.witness_script, known.witness_utxo.value)
        for each in FLOW["signers"]:
            secrets = [decode_wif(wif, TEST_KEYS.wif) for wif in each["keys"]]
            by_key = {BACKEND.public_key(one): one for one in secrets}
            signed = Psbt.from_text(each["signed"]).inputs[1].partial_signatures
            ((key, signature),) = signed.items()
            self.assertEqual(join_signature(BACKEND.sign(by_key[key], digest)), signature)
            self.assertEqual(sign(psbt, by_key, BACKEND), psbt)
            with self.assertRaises(PsbtRefused):
                sign(psbt, by_key, BACKEND, [1])

    def test_combiner(self) -> None:
        """Equal as maps: the BIP orders signatures by the hash of their keys."""
        one, two = (Psbt.from_text(each["signed"]) for each in FLOW["signers"])
        self.assertEqual(combine([one, two]), Psbt.from_text(FLOW["combined"]))
        self.assertEqual(combine([two, one]).text, combine([one, two]).text)

    def test_combiner_of_unknown_pairs(self) -> None:
        one, two = (Psbt.from_text(each) for each in FLOW["unknown"])
        self.assertEqual(combine([one, two]).text, FLOW["unknown_combined"])

    def test_finaliser(self) -> None:
        """P2SH is left alone; the BIP's finalised PSBT is read as such."""
        combined, finalised = Psbt.from_text(FLOW["combined"]), Psbt.from_text(FLOW["finalised"])
        self.assertEqual(finalise(combined, BACKEND), combined)
        self.assertEqual(finalised.text, FLOW["finalised"])
        self.assertTrue(all(each.is_final for each in finalised.inputs))

    def test_extractor(self) -> None:
        tx = extract(Psbt.from_text(FLOW["finalised"]))
        self.assertEqual(tx.raw.hex(), FLOW["extracted"])
        self.assertEqual(display(tx.txid), Transaction.decode(tx.raw).txid[::-1].hex())
        self.assertEqual(base64.b64encode(Psbt.create(tx).encode()).decode(), FLOW["created"])
