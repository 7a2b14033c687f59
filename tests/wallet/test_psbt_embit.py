"""Why embit's PSBT object carries nothing here: each of these would make us sign something else than was shown.

When one of these fails, embit has become better, and the reason in ``timecoin/wallet/psbt.py`` has to be looked at.
"""

from __future__ import annotations

from dataclasses import replace

from embit.psbt import PSBT
from twisted.trial.unittest import SynchronousTestCase

from tests.wallet.psbt_cases import COIN, FIRST, VECTORS, key_script, ready, spend
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_errors import MalformedPsbt
from timecoin.wallet.psbt_maps import write


class EmbitTests(SynchronousTestCase):
    def test_a_sequence_of_0_becomes_another(self) -> None:
        psbt = spend((FIRST, 0), sequence=0)
        self.assertEqual(PSBT.parse(psbt.encode()).tx.vin[0].sequence, 0xFFFFFFFF)
        self.assertEqual(Psbt.decode(psbt.encode()).tx.inputs[0].sequence, 0)

    def test_a_version_of_0_becomes_2(self) -> None:
        tx = spend((FIRST, 0)).tx
        psbt = Psbt.create(Transaction(0, tx.inputs, tx.outputs))
        self.assertEqual(PSBT.parse(psbt.encode()).tx.version, 2)
        self.assertEqual(Psbt.decode(psbt.encode()).tx.version, 0)

    def test_a_field_of_version_2_moves_the_money_elsewhere(self) -> None:
        psbt = ready()
        foreign = {**psbt.outputs[0].pairs(), b"\x04": key_script(7), b"\x03": (COIN).to_bytes(8, "little")}
        data = write([psbt.pairs(), *(each.pairs() for each in psbt.inputs), foreign])
        theirs = PSBT.parse(data).tx.vout[0]
        self.assertEqual((theirs.value, theirs.script_pubkey.data), (COIN, key_script(7)))
        with self.assertRaisesRegex(MalformedPsbt, "version 2"):
            Psbt.decode(data)

    def test_a_field_of_version_2_makes_it_spend_another_coin(self) -> None:
        psbt = ready()
        foreign = {**psbt.inputs[0].pairs(), b"\x0e": bytes(32), b"\x0f": bytes(4)}
        data = write([psbt.pairs(), foreign, psbt.inputs[1].pairs(), psbt.outputs[0].pairs()])
        self.assertEqual(PSBT.parse(data).tx.vin[0].txid, bytes(32))
        with self.assertRaisesRegex(MalformedPsbt, "version 2"):
            Psbt.decode(data)

    def test_a_false_previous_transaction_is_taken(self) -> None:
        psbt = ready()
        other = Transaction(2, FIRST.inputs, (TxOutput(9 * COIN, FIRST.outputs[0].script), FIRST.outputs[1]))
        lying = psbt.with_input(0, replace(psbt.inputs[0], non_witness_utxo=other))
        self.assertEqual(PSBT.parse(lying.encode()).inputs[0].non_witness_utxo.vout[0].value, 9 * COIN)
        with self.assertRaisesRegex(MalformedPsbt, "does not match"):
            Psbt.decode(lying.encode())

    def test_an_unknown_version_is_taken(self) -> None:
        psbt = ready()
        data = write([{**psbt.pairs(), b"\xfb": (7).to_bytes(4, "little")}, *_maps(psbt)])
        PSBT.parse(data)
        with self.assertRaisesRegex(MalformedPsbt, "version"):
            Psbt.decode(data)

    def test_published_cases_that_it_gets_wrong(self) -> None:
        taken = [each["case"] for each in VECTORS["invalid"] if _reads(each["base64"])]
        refused = [each["case"] for each in VECTORS["valid"] if not _reads(each["base64"])]
        self.assertEqual(len(taken), 2, taken)
        self.assertEqual(len(refused), 2, refused)


def _maps(psbt: Psbt) -> list[dict[bytes, bytes]]:
    return [*(each.pairs() for each in psbt.inputs), *(each.pairs() for each in psbt.outputs)]


def _reads(text: str) -> bool:
    try:
        PSBT.from_base64(text)
    except Exception:
        return False
    return True
