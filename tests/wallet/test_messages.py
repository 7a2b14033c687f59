"""BIP 322: the published cases (tests/vectors/bip322.json names the source), with our prefix in the addresses."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from embit import bech32
from twisted.trial.unittest import SynchronousTestCase

from tests.wallet.psbt_cases import BACKEND, VAULT, VAULT_SCRIPT, key_script, public, secret, secrets
from timecoin.ledger.networks import MAIN_KEYS
from timecoin.primitives import address
from timecoin.primitives.hashes import display, hash160, sha256
from timecoin.primitives.script import p2wpkh, p2wsh
from timecoin.primitives.wif import decode_wif
from timecoin.wallet.messages import (
    CannotSign,
    MalformedSignature,
    MessageError,
    OtherForm,
    message_hash,
    sign_message,
    to_sign,
    to_spend,
    verify_message,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "bip322.json").read_text())
LEDGER_TYPES = ("p2wpkh", "p2wsh-multisig-2of2", "p2wsh-multisig-3of3")


def ours(bitcoin_address: str) -> bytes | None:
    """The script of a published address through the address that it has on our main network; None: it has none."""
    version, program = bech32.decode("bc", bitcoin_address)
    if version != 0 or len(program) not in (20, 32):
        return None
    script = p2wpkh(bytes(program)) if len(program) == 20 else p2wsh(bytes(program))
    return address.decode(address.encode(script, "time"), "time")


class PublishedTests(SynchronousTestCase):
    def test_hashes(self) -> None:
        for each in VECTORS["tx_hashes"]:
            script, message = ours(each["address"]), each["message"].encode()
            assert script is not None
            self.assertEqual(message_hash(message).hex(), each["message_hash"])
            self.assertEqual(display(to_spend(script, message).txid), each["to_spend_tx_hash"])
            self.assertEqual(display(to_sign(script, message).txid), each["to_sign_tx_hash"])

    def test_signatures_hold(self) -> None:
        held = 0
        for each in VECTORS["simple"]:
            script = ours(each["address"])
            for signature in each["bip322_signatures"]:
                if script is not None:
                    self.assertTrue(verify_message(script, each["message"].encode(), signature, BACKEND), each)
                    self.assertTrue(verify_message(script, each["message"].encode(), signature[3:], BACKEND), each)
                    self.assertFalse(verify_message(script, each["message"].encode() + b"!", signature, BACKEND))
                    held += 1
        self.assertEqual(held, 8)

    def test_we_make_the_same_or_as_good_ones(self) -> None:
        """Of two published signatures of a message one has a ground nonce, so that only the other is RFC 6979's."""
        same = 0
        for each in VECTORS["simple"]:
            if each["type"] not in LEDGER_TYPES:
                continue
            script, message = ours(each["address"]), each["message"].encode()
            assert script is not None
            keys = [decode_wif(text, MAIN_KEYS.wif) for text in each["private_keys"]]
            witness_script = bytes.fromhex(each["witness_script"]) or None
            made = sign_message(
                script, message, {BACKEND.public_key(one): one for one in keys}, BACKEND, witness_script
            )
            self.assertTrue(verify_message(script, message, made, BACKEND))
            same += made in each["bip322_signatures"]
        self.assertGreaterEqual(same, 5)

    def test_what_has_to_fail_fails(self) -> None:
        judged = 0
        for each in VECTORS["error"]:
            script = ours(each["address"]) if each["address"].startswith("bc1") else None
            if script is None:
                continue
            judged += 1
            try:
                self.assertFalse(verify_message(script, each["message"].encode(), each["signature"], BACKEND), each)
            except MessageError:
                continue
        self.assertGreater(judged, 12)

    def test_other_forms_are_named(self) -> None:
        for kind in ("full", "proof_of_funds"):
            for each in VECTORS[kind]:
                for signature in each["bip322_signatures"]:
                    with self.assertRaises((OtherForm, MalformedSignature)):
                        verify_message(key_script(0), b"", signature, BACKEND)


class OurOwnTests(SynchronousTestCase):
    def test_a_vault_signs_with_two_of_three(self) -> None:
        text = sign_message(VAULT_SCRIPT, b"hello", secrets(3, 1), BACKEND, VAULT)
        self.assertTrue(verify_message(VAULT_SCRIPT, b"hello", text, BACKEND))
        self.assertFalse(verify_message(key_script(1), b"hello", text, BACKEND))
        with self.assertRaisesRegex(CannotSign, "1 of the 2"):
            sign_message(VAULT_SCRIPT, b"hello", secrets(3, 9), BACKEND, VAULT)

    def test_keys_that_are_not_those_of_the_address(self) -> None:
        for script, witness_script in (
            (key_script(1), None),
            (VAULT_SCRIPT, None),
            (VAULT_SCRIPT, VAULT + b"x"),
            (p2wsh(sha256(b"\x51")), b"\x51"),
            (b"\x6a\x00", None),
        ):
            with self.assertRaises(CannotSign):
                sign_message(script, b"", secrets(0), BACKEND, witness_script)

    def test_old_signatures_are_refused_by_name(self) -> None:
        for head in (27, 31, 39, 42):
            with self.assertRaisesRegex(OtherForm, "old form"):
                verify_message(key_script(0), b"", base64.b64encode(bytes((head,)) + b"\x11" * 64).decode(), BACKEND)

    def test_what_is_no_signature(self) -> None:
        for text in (
            "",
            "smp",
            "smp!",
            "smpAA",
            "x" * 4_097,
            "smpAgE=",
            "Zm9v",
            "smp" + base64.b64encode(b"\x01\xff" * 9).decode(),
        ):
            with self.assertRaises(MalformedSignature, msg=text):
                verify_message(key_script(0), b"", text, BACKEND)
        self.assertFalse(verify_message(key_script(0), b"", "smpAA==", BACKEND))

    def test_it_is_no_payment(self) -> None:
        """A signature of a message never spends: its transaction has a version that the ledger refuses."""
        self.assertEqual(to_sign(key_script(0), b"m").version, 0)
        self.assertEqual(hash160(public(0)), key_script(0)[2:])
        self.assertEqual(len(secret(0)), 32)
