"""Every role on PSBTs of this ledger, up to transactions that the ledger takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.wallet.psbt_cases import (
    BACKEND,
    COIN,
    FEE,
    FIRST,
    VAULT,
    VAULT_KEYS,
    VAULT_SCRIPT,
    coins_of,
    key_script,
    previous,
    public,
    ready,
    secrets,
    spend,
)
from timecoin.ledger.params import Parameters
from timecoin.ledger.validation import check_transaction, verify_transaction
from timecoin.primitives.hashes import hash160, sha256
from timecoin.primitives.script import multisig, op_return, p2wsh
from timecoin.primitives.sighash import Bip143, join_signature
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_analyse import Role, analyse
from timecoin.wallet.psbt_combine import combine, join
from timecoin.wallet.psbt_errors import MalformedPsbt, MissingCoin, NotComplete, PsbtError, PsbtMismatch, PsbtRefused
from timecoin.wallet.psbt_finalise import extract, finalise, is_valid
from timecoin.wallet.psbt_maps import MAX_PSBT_BYTES, write
from timecoin.wallet.psbt_origin import KeyOrigin
from timecoin.wallet.psbt_sign import sign, signable
from timecoin.wallet.psbt_spending import fee, proven_coin
from timecoin.wallet.psbt_update import ScriptFacts, add_previous, describe_input, describe_output

PARAMS = Parameters()
QUIET = settings(deadline=None, derandomize=True, max_examples=60, database=None)


def look(psbt: Psbt) -> Any:
    return analyse(psbt, BACKEND, PARAMS.max_money)


class WholeWayTests(SynchronousTestCase):
    def test_a_key_and_two_of_three(self) -> None:
        one, two = sign(ready(), secrets(0, 1), BACKEND), sign(ready(), secrets(3), BACKEND)
        done = finalise(combine([one, two]), BACKEND)
        tx = extract(done)
        check_transaction(PARAMS, tx)
        verify_transaction(BACKEND, tx, coins_of(ready()))
        self.assertTrue(is_valid(done, BACKEND))
        self.assertEqual(tx.stripped, ready().tx.stripped)

    def test_any_two_in_any_order(self) -> None:
        for pair in ((1, 2), (2, 1), (1, 3), (3, 2)):
            signed = [sign(ready(), secrets(0, n), BACKEND) for n in pair]
            verify_transaction(BACKEND, extract(finalise(combine(signed), BACKEND)), coins_of(ready()))

    def test_three_signatures_are_cut_to_two(self) -> None:
        tx = extract(finalise(sign(ready(), secrets(0, 1, 2, 3), BACKEND), BACKEND))
        self.assertEqual(len(tx.inputs[1].witness), 4)
        verify_transaction(BACKEND, tx, coins_of(ready()))

    def test_a_final_input_keeps_its_coin_and_what_nobody_understands(self) -> None:
        psbt = ready()
        odd = psbt.with_input(
            0, replace(psbt.inputs[0], other={b"\x77x": b"y"}, derivations={public(0): KeyOrigin(bytes(4))})
        )
        known = finalise(sign(odd, secrets(0), BACKEND), BACKEND).inputs[0]
        self.assertEqual((known.other, known.derivations, known.partial_signatures), ({b"\x77x": b"y"}, {}, {}))
        self.assertEqual(known.non_witness_utxo, FIRST)

    def test_signing_again_changes_nothing(self) -> None:
        once = sign(ready(), secrets(0, 1), BACKEND)
        self.assertEqual(sign(once, secrets(0, 1), BACKEND), once)
        done = finalise(once, BACKEND)
        self.assertEqual(sign(done, secrets(0), BACKEND), done)


class LargestTests(SynchronousTestCase):
    def test_fifteen_of_fifteen(self) -> None:
        keys = [public(n) for n in range(20, 35)]
        script = multisig(15, keys)
        paid = previous(TxOutput(COIN, p2wsh(sha256(script))))
        psbt = describe_input(add_previous(spend((paid, 0), fee=100_000), 0, paid), 0, ScriptFacts(script))
        foreseen = look(psbt).vsize
        done = finalise(combine([sign(psbt, secrets(n), BACKEND) for n in range(34, 19, -1)]), BACKEND)
        verify_transaction(BACKEND, extract(done), coins_of(psbt))
        self.assertLess(abs(foreseen - extract(done).vsize), 6)


class UpdateTests(SynchronousTestCase):
    def test_a_coin_goes_in_twice(self) -> None:
        known = add_previous(spend((FIRST, 0)), 0, FIRST).inputs[0]
        self.assertEqual((known.non_witness_utxo, known.witness_utxo), (FIRST, FIRST.outputs[0]))

    def test_another_transaction_or_output_is_refused(self) -> None:
        with self.assertRaisesRegex(PsbtRefused, "spends an output of"):
            add_previous(spend((FIRST, 0)), 0, previous(FIRST.outputs[0], n=5))
        beyond = Psbt.create(Transaction(2, (spend((FIRST, 0)).tx.inputs[0]._replace(outpoint=FIRST.outpoint(2)),), ()))
        with self.assertRaisesRegex(PsbtRefused, "no output 2"):
            add_previous(beyond, 0, FIRST)
        data = previous(TxOutput(0, op_return(b"x")))
        with self.assertRaisesRegex(PsbtRefused, "script"):
            add_previous(spend((data, 0), fee=0), 0, data)

    def test_a_witness_script_of_another_coin_is_refused(self) -> None:
        psbt = add_previous(spend((FIRST, 1)), 0, FIRST)
        with self.assertRaisesRegex(PsbtRefused, "witness script"):
            describe_input(psbt, 0, ScriptFacts(multisig(1, [public(1)])))
        with self.assertRaises(PsbtRefused):
            describe_input(spend((FIRST, 1)), 0, ScriptFacts(VAULT))
        with self.assertRaises(PsbtRefused):
            describe_output(psbt, 0, ScriptFacts(VAULT))

    def test_change_is_described(self) -> None:
        origin = {public(1): KeyOrigin(b"abcd", (0x80000054, 1))}
        psbt = describe_output(spend((FIRST, 0), pay=VAULT_SCRIPT), 0, ScriptFacts(VAULT, origin))
        self.assertEqual(Psbt.from_text(psbt.text).outputs[0].derivations, origin)
        self.assertEqual(origin[public(1)].shown, "m/84h/1")
        self.assertEqual(KeyOrigin(b"abcd").shown, "m")


class SignerRefusesTests(SynchronousTestCase):
    def check(self, psbt: Psbt, index: int, reason: str, kind: type[PsbtRefused] = PsbtRefused) -> None:
        self.assertEqual(sign(psbt, secrets(0, 1), BACKEND).inputs[index], psbt.inputs[index])
        with self.assertRaisesRegex(kind, reason):
            sign(psbt, secrets(0, 1), BACKEND, [index])

    def test_an_amount_that_nothing_proves(self) -> None:
        psbt = ready()
        self.check(psbt.with_input(0, replace(psbt.inputs[0], non_witness_utxo=None)), 0, "proves", MissingCoin)

    def test_two_statements_about_one_coin(self) -> None:
        psbt = ready()
        lying = replace(psbt.inputs[0], witness_utxo=TxOutput(4 * COIN, key_script(0)))
        self.check(psbt.with_input(0, lying), 0, "not what the previous")

    def test_a_previous_transaction_of_another_input(self) -> None:
        other = previous(FIRST.outputs[0], n=1)
        psbt = ready()
        self.check(psbt.with_input(0, replace(psbt.inputs[0], non_witness_utxo=other)), 0, "another one")

    def test_every_other_hash_type(self) -> None:
        psbt = ready()
        for kind in (0, 2, 3, 0x81, 0x82, 0x83, 0x101):
            self.check(psbt.with_input(0, replace(psbt.inputs[0], sighash=kind)), 0, "hash type")
        named = psbt.with_input(0, replace(psbt.inputs[0], sighash=1))
        self.assertEqual(len(sign(named, secrets(0), BACKEND).inputs[0].partial_signatures), 1)

    def test_scripts_that_do_not_fit(self) -> None:
        psbt = ready()
        self.check(psbt.with_input(0, replace(psbt.inputs[0], witness_script=VAULT)), 0, "belongs to a key")
        self.check(psbt.with_input(0, replace(psbt.inputs[0], redeem_script=b"x")), 0, "P2SH")
        self.check(psbt.with_input(1, replace(psbt.inputs[1], witness_script=None)), 1, "missing")
        self.check(psbt.with_input(1, replace(psbt.inputs[1], witness_script=VAULT + b"\x51")), 1, "not the coin's")

    def test_scripts_that_this_ledger_does_not_have(self) -> None:
        odd = b"\x51"
        for script in (b"\x51\x20" + bytes(32), b"\xa9\x14" + bytes(20) + b"\x87", p2wsh(sha256(odd))):
            paid = previous(TxOutput(COIN, script))
            known = replace(
                spend((paid, 0)).inputs[0], non_witness_utxo=paid, witness_script=odd if script[0] == 0 else None
            )
            self.check(spend((paid, 0)).with_input(0, known), 0, "of this ledger")

    def test_a_version_that_the_ledger_does_not_have(self) -> None:
        """As the transaction of a BIP 322 message, which would otherwise be signed unseen."""
        tx = ready().tx
        for version in (0, 3):
            with self.assertRaisesRegex(PsbtError, "version"):
                sign(Psbt.create(Transaction(version, tx.inputs, tx.outputs)), secrets(0), BACKEND)

    def test_who_could_sign_what(self) -> None:
        psbt = ready()
        self.assertEqual(signable(psbt, [public(0)]), [0])
        self.assertEqual(signable(psbt, [public(0), public(2)]), [0, 1])
        self.assertEqual(signable(finalise(sign(psbt, secrets(0), BACKEND), BACKEND), [public(0), public(7)]), [])
        self.assertEqual(signable(psbt.with_input(0, replace(psbt.inputs[0], sighash=2)), [public(0)]), [])


class CombineTests(SynchronousTestCase):
    def test_other_transactions_and_contradictions_are_refused(self) -> None:
        psbt = ready()
        with self.assertRaisesRegex(PsbtMismatch, "different transactions"):
            combine([psbt, spend((FIRST, 0))])
        with self.assertRaises(PsbtMismatch):
            combine([])
        lying = replace(psbt.inputs[0], witness_utxo=TxOutput(1, key_script(0)))
        with self.assertRaisesRegex(PsbtMismatch, "contradict"):
            combine([psbt, psbt.with_input(0, lying)])
        with self.assertRaisesRegex(PsbtMismatch, "contradict"):
            combine([psbt.with_input(0, replace(psbt.inputs[0], sighash=n)) for n in (1, 3)])

    def test_the_empty_learns_from_the_full(self) -> None:
        full = sign(ready(), secrets(0, 1), BACKEND)
        self.assertEqual(combine([Psbt.create(full.tx), full]), full)

    def test_a_false_signature_never_takes_the_place_of_a_true_one(self) -> None:
        """Else one cosigner could keep the others' signatures out of what is combined."""
        psbt = ready()
        bad = psbt.with_input(0, replace(psbt.inputs[0], partial_signatures={public(0): b"\x30" * 71}))
        good = sign(psbt, secrets(0), BACKEND)
        for parts in ([bad, good], [good, bad], [bad, bad, good]):
            self.assertEqual(combine(parts, BACKEND), good)
        unknown = [replace(each.inputs[0], non_witness_utxo=None, witness_utxo=None) for each in (bad, good)]
        bare = [psbt.with_input(0, each) for each in unknown]
        self.assertEqual(combine(bare, BACKEND), bare[0])
        both = combine([bad, good])
        self.assertFalse(finalise(both, BACKEND).inputs[0].is_final)
        self.assertTrue(finalise(sign(both, secrets(0), BACKEND), BACKEND).inputs[0].is_final)


class JoinTests(SynchronousTestCase):
    def test_inputs_and_outputs_of_both_without_signatures(self) -> None:
        one = sign(ready(), secrets(0), BACKEND)
        second = previous(TxOutput(COIN, key_script(4)), n=2)
        two = add_previous(spend((second, 0), pay=key_script(5)), 0, second)
        joined = join([one, two], lambda items: items.reverse())
        self.assertEqual(
            [each.outpoint for each in joined.tx.inputs], [second.outpoint(0), FIRST.outpoint(1), FIRST.outpoint(0)]
        )
        self.assertEqual(joined.tx.outputs, (*two.tx.outputs, *one.tx.outputs))
        self.assertFalse(any(each.partial_signatures for each in joined.inputs))
        self.assertEqual([proven_coin(joined, n).value for n in range(3)], [COIN, 5 * COIN, 3 * COIN])
        self.assertEqual(fee(joined), 2 * FEE)

    def test_what_cannot_be_joined(self) -> None:
        for psbts, reason in (
            ([ready()], "At least two"),
            ([ready(), spend((FIRST, 1))], "exists in multiple"),
            ([_with_note(FIRST), _with_note(previous(TxOutput(COIN, key_script(4)), n=2))], "OP_RETURN"),
        ):
            with self.assertRaisesRegex(PsbtMismatch, reason):
                join(psbts, lambda items: None)


def _with_note(paid: Transaction) -> Psbt:
    psbt = spend((paid, 0))
    return Psbt.create(Transaction(2, psbt.tx.inputs, (TxOutput(0, op_return(b"note")),)))


class FinaliserTests(SynchronousTestCase):
    def test_too_few_or_false_signatures(self) -> None:
        half = sign(ready(), secrets(1), BACKEND)
        self.assertEqual(finalise(half, BACKEND), half)
        with self.assertRaises(NotComplete):
            extract(half)
        for wrong in (_signed_other(), b"", b"\x30" * 71, _signed_other()[:-1] + b"\x02"):
            odd = ready().with_input(0, replace(ready().inputs[0], partial_signatures={public(0): wrong}))
            self.assertFalse(finalise(odd, BACKEND).inputs[0].is_final)

    def test_a_false_witness_of_another_finaliser_is_seen(self) -> None:
        done = finalise(sign(ready(), secrets(0, 1, 2), BACKEND), BACKEND)
        witness = done.inputs[0].final_witness
        assert witness is not None
        for items in ((witness[0], public(8)), (_signed_other(), witness[1]), ()):
            self.assertFalse(is_valid(done.with_input(0, replace(done.inputs[0], final_witness=items)), BACKEND))
        self.assertFalse(is_valid(done.with_input(0, replace(done.inputs[0], final_script_sig=b"\x51")), BACKEND))
        self.assertFalse(is_valid(ready(), BACKEND))


def _signed_other() -> bytes:
    return join_signature(BACKEND.sign(secrets(0)[public(0)], Bip143(spend((FIRST, 0)).tx).digest(0, b"", 1)))


class AnalysisTests(SynchronousTestCase):
    def test_every_step(self) -> None:
        psbt = spend((FIRST, 0))
        self.assertEqual((look(psbt).next, look(psbt).fee), (Role.UPDATER, None))
        psbt = add_previous(psbt, 0, FIRST)
        state = look(psbt).inputs[0]
        self.assertEqual((state.next, state.missing_keys), (Role.UPDATER, (hash160(public(0)),)))
        self.assertEqual(look(psbt).fee, FEE)
        psbt = describe_input(psbt, 0, ScriptFacts(None, {public(0): KeyOrigin(bytes(4))}))
        self.assertEqual(look(psbt).inputs[0].missing_signatures, (hash160(public(0)),))
        self.assertEqual(look(psbt).next, Role.SIGNER)
        psbt = sign(psbt, secrets(0), BACKEND)
        self.assertEqual(look(psbt).next, Role.FINALIZER)
        foreseen = look(psbt).vsize
        psbt = finalise(psbt, BACKEND)
        self.assertEqual((look(psbt).next, look(psbt).inputs[0].is_final), (Role.EXTRACTOR, True))
        self.assertLess(abs(foreseen - extract(psbt).vsize), 2)

    def test_a_vault(self) -> None:
        psbt = add_previous(spend((FIRST, 1)), 0, FIRST)
        self.assertEqual(look(psbt).inputs[0].missing_script, VAULT_SCRIPT[2:])
        psbt = sign(describe_input(psbt, 0, ScriptFacts(VAULT)), secrets(1), BACKEND)
        missing = {hash160(public(n)) for n in VAULT_KEYS if n != 1}
        self.assertEqual(set(look(psbt).inputs[0].missing_signatures), missing)

    def test_what_can_never_be_valid(self) -> None:
        psbt = ready()
        rich = previous(TxOutput(PARAMS.max_money + 1, key_script(0)))
        data = previous(TxOutput(0, op_return(b"x")))
        lying = replace(psbt.inputs[0], witness_utxo=TxOutput(4 * COIN, key_script(0)))
        for bad, reason in (
            (add_previous(spend((rich, 0), fee=0), 0, rich), "invalid value"),
            (
                spend((data, 0), fee=0).with_input(
                    0, replace(psbt.inputs[0], non_witness_utxo=data, witness_utxo=None)
                ),
                "unspendable",
            ),
            (add_previous(spend((FIRST, 0), fee=-1), 0, FIRST), "exceeds"),
            (spend((rich, 0), fee=-1), "Output amount invalid"),
            (psbt.with_input(0, lying), "witness_utxo"),
            (psbt.with_input(0, replace(psbt.inputs[0], sighash=2)), "hash type"),
        ):
            found = look(bad)
            self.assertEqual((found.next, found.inputs), (Role.CREATOR, ()))
            self.assertIn(reason, found.error)
            self.assertTrue(found.error.startswith("PSBT is not valid. "), found.error)


class BoundsTests(SynchronousTestCase):
    def test_sizes(self) -> None:
        for text in ("A" * (MAX_PSBT_BYTES * 2), "cHNidP8B!", "cHNidP8", "", "ÄÖ"):
            with self.assertRaises(MalformedPsbt):
                Psbt.from_text(text)
        with self.assertRaisesRegex(MalformedPsbt, "at most"):
            Psbt.decode(b"psbt\xff" + bytes(MAX_PSBT_BYTES))
        with self.assertRaises(MalformedPsbt):
            Psbt.decode(b"psbt\xff\x01\x00\xfe\xff\xff\xff\x7f")
        many = {**ready().pairs(), **{b"\x50%d" % n: b"" for n in range(5_000)}}
        with self.assertRaisesRegex(MalformedPsbt, "at most 5000 pairs"):
            Psbt.decode(write([many]))
        with self.assertRaisesRegex(MalformedPsbt, "extra data"):
            Psbt.decode(ready().encode() + b"\x00")

    def test_fields_of_a_wrong_size(self) -> None:
        psbt = ready()
        for kind, value in (
            (b"\x03", b"\1\0\0"),
            (b"\x02" + public(0), b"x"),
            (b"\x06" + public(0), b"abc"),
            (b"\x08", b"\x02\0"),
            (b"\x01", b"\xff" * 8 + b"\x00"),
            (b"\x04", bytes(10_001)),
            (b"\x06\x02" + b"\xff" * 32, bytes(4)),
            (b"\xfc\x05ab", b""),
        ):
            pairs = {**psbt.inputs[0].pairs(), kind: value}
            with self.assertRaises(MalformedPsbt, msg=kind.hex()):
                Psbt.of(psbt.pairs(), [pairs, psbt.inputs[1].pairs()], [psbt.outputs[0].pairs()])


class PropertyTests(SynchronousTestCase):
    @QUIET
    @given(st.data())
    def test_a_changed_byte_is_refused_or_read_back_as_it_is(self, data: st.DataObject) -> None:
        raw = bytearray(sign(ready(), secrets(0, 1), BACKEND).encode())
        for _ in range(data.draw(st.integers(1, 3))):
            raw[data.draw(st.integers(5, len(raw) - 1))] = data.draw(st.integers(0, 255))
        try:
            psbt = Psbt.decode(bytes(raw))
        except MalformedPsbt:
            return
        self.assertEqual(Psbt.decode(psbt.encode()), psbt)
        look(psbt)
        sign(psbt, secrets(0, 1), BACKEND) if psbt.tx.version in (1, 2) else None
        finalise(psbt, BACKEND)

    @QUIET
    @given(st.lists(st.sets(st.sampled_from([0, 1, 2, 3])), min_size=1, max_size=4))
    def test_the_order_of_signers_makes_no_difference(self, signers: list[set[int]]) -> None:
        parts = [sign(ready(), secrets(*who), BACKEND) for who in signers]
        together = combine(parts)
        self.assertEqual(combine(parts[::-1]), together)
        in_turn = ready()
        for who in signers:
            in_turn = sign(in_turn, secrets(*who), BACKEND)
        self.assertEqual(in_turn, together)
        who = set().union(*signers)
        self.assertEqual(is_valid(finalise(together, BACKEND), BACKEND), 0 in who and len(who - {0}) > 1)
