"""Descriptors: the vectors of BIP 380, 382, 383 and 389, what is refused, and embit and bdk as second opinions."""

from __future__ import annotations

import copy
import pickle
import traceback
from typing import Any

import bdkpython as bdk
from embit.descriptor import Descriptor as TheirDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.vectors.files import load
from timecoin.ledger.networks import DEVNET, MAINNET
from timecoin.primitives import address
from timecoin.primitives.hashes import sha256
from timecoin.primitives.script import multisig, op_return, p2wsh
from timecoin.primitives.signing import get_backend
from timecoin.wallet.checksums import checked, checksum, with_checksum
from timecoin.wallet.descriptors import Descriptor, account_descriptors, multisig_descriptor, parse_all
from timecoin.wallet.errors import BadDescriptor, NotPrivate, UnsupportedDescriptor
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.keys import HARDENED, Account

VECTORS = load("descriptors")
BACKEND = get_backend()
MASTERS = [ExtendedSecretKey.from_seed(bytes([n]) * 32) for n in range(16)]
BOUNDED = settings(deadline=None, derandomize=True, max_examples=30, database=None)
#: The points that end the names of vectors which are right for Bitcoin, and which no wallet of ours can use.
UNUSABLE = ("Uncompressed", "uncompressed", "Extended public key with hardened", "hardened derivation and children")


def parse(text: str) -> Descriptor:
    return Descriptor.parse(text, MAINNET)


class Checksums(SynchronousTestCase):
    def test_published(self) -> None:
        good, bare, *bad = [case["text"] for case in VECTORS["checksums"]]
        self.assertEqual(checked(good, required=True), "raw(deadbeef)")
        self.assertEqual(with_checksum("raw(deadbeef)"), good)
        self.assertEqual(checked(bare), bare)
        self.assertRaises(BadDescriptor, checked, bare, required=True)
        self.assertEqual(len(bad), 6)
        for text in bad:
            self.assertRaises(BadDescriptor, checked, text)

    def test_each_changed_letter_is_seen(self) -> None:
        good = Account.of_master(MASTERS[0], MAINNET).public_expression
        text = with_checksum(f"wpkh({good})")
        for at in range(len(text)):
            other = "0" if text[at] != "0" else "1"
            self.assertRaises(BadDescriptor, checked, text[:at] + other + text[at + 1 :], True)

    def test_a_text_without_end(self) -> None:
        self.assertRaises(BadDescriptor, checked, "a" * 10_001)
        self.assertRaises(BadDescriptor, checksum, "raw(00)#")


class Published(SynchronousTestCase):
    def test_key_expressions(self) -> None:
        usable = 0
        for case in VECTORS["keys"]:
            text = f"wpkh({case['text']})"
            if any(part in case["case"] for part in UNUSABLE):
                self.assertRaises(UnsupportedDescriptor, parse, text)
            else:
                found = parse(text)
                self.assertEqual(found.is_private, "rivate" in case["case"])
                usable += 1
        self.assertEqual(usable, 14)

    def test_invalid_key_expressions(self) -> None:
        self.assertEqual(len(VECTORS["invalid_keys"]), 16)
        for case in VECTORS["invalid_keys"]:
            self.assertRaises(BadDescriptor, parse, f"wpkh({case['text']})")

    def test_scripts(self) -> None:
        held = 0
        for case in VECTORS["scripts"]:
            text = case["text"]
            if not text.startswith("wpkh(") or "*'" in text:
                self.assertRaises(UnsupportedDescriptor, parse, text)
                continue
            found = parse(text)
            self.assertEqual([found.script(n).hex() for n in range(len(case["scripts"]))], case["scripts"])
            held += 1
        self.assertEqual(held, 4)

    def test_multisig_scripts(self) -> None:
        case = next(each for each in VECTORS["scripts"] if each["text"].startswith("sortedmulti(2"))
        found = parse(f"wsh({case['text']})")
        for index, text in enumerate(case["scripts"]):
            expansion = found.expand(index)
            witness = bytes.fromhex(text)
            self.assertEqual(expansion.witness_script, witness)
            self.assertEqual(expansion.script, p2wsh(sha256(witness)))
            self.assertEqual(multisig(2, [key.public_key for key in expansion.keys]), witness)

    def test_invalid(self) -> None:
        self.assertEqual(len(VECTORS["invalid"]), 23)
        for case in VECTORS["invalid"]:
            self.assertRaises(BadDescriptor, parse_all, case["text"], MAINNET)

    def test_multipath(self) -> None:
        held = 0
        for case in VECTORS["multipath"]:
            # One text of the BIP lacks its last parenthesis.
            text = case["text"] + ")" * (case["text"].count("(") - case["text"].count(")"))
            wrap = "wsh({})" if text.startswith("multi") else "{}"
            if text.startswith(("pk", "sh")):
                self.assertRaises(UnsupportedDescriptor, parse_all, text, MAINNET)
                continue
            found = parse_all(wrap.format(text), MAINNET)
            self.assertEqual(found, tuple(parse(wrap.format(each)) for each in case["texts"]))
            self.assertNotEqual(found[0].script(), found[1].script())
            held += 1
        self.assertEqual(held, 2)


class Refused(SynchronousTestCase):
    KEY = "03a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd"
    XPUB = MASTERS[1].public().text(MAINNET.keys)

    def refused(self, kind: type[BadDescriptor], *texts: str) -> None:
        for text in texts:
            error = self.assertRaises(BadDescriptor, parse_all, text, MAINNET)
            self.assertIs(type(error), kind, f"{text}: {error}")
            self.assertNotIn(self.XPUB[10:30], str(error))

    def test_what_the_ledger_cannot_hold(self) -> None:
        key = self.KEY
        others = (f"{name}({key})" for name in ("pk", "pkh", "sh", "combo", "tr", "rawtr"))
        self.refused(UnsupportedDescriptor, *others, f"sh(wpkh({key}))", f"wsh(pk({key}))", f"multi(1,{key})")
        self.refused(UnsupportedDescriptor, f"wsh({key})", "wsh(and_v(v:pk(a),older(5)))", f"wsh(wpkh({key}))")
        self.refused(UnsupportedDescriptor, f"wpkh(04{key[2:]}{key[2:]})", f"wpkh(06{key[2:]}{key[2:]})")

    def test_what_cannot_be_watched(self) -> None:
        self.refused(UnsupportedDescriptor, f"wpkh({self.XPUB}/84h/0/*)", f"wpkh({self.XPUB}/<0h;1h>/*)")
        self.refused(UnsupportedDescriptor, f"wpkh({self.XPUB}/0/*h)", f"wpkh({self.XPUB}/0/*')")
        self.refused(UnsupportedDescriptor, f"wpkh({self.XPUB}/<0;1;2>/*)", f"wpkh({self.XPUB}/<0>/*)")
        op = op_return(b"x").hex()
        self.refused(UnsupportedDescriptor, f"raw({op})", "raw()", "raw(51)", "raw(00140000)", "raw(0014 00)")

    def test_malformed(self) -> None:
        key, xpub = self.KEY, self.XPUB
        self.refused(BadDescriptor, "", "wpkh", f"wpkh({key}", f"wpkh{key})", f"wpkh({key}))", f" wpkh({key})", "x(y)")
        self.refused(BadDescriptor, f"wpkh({key}/0)", f"wpkh({xpub}/)", f"wpkh({xpub}//*)", f"wpkh({xpub}/*/0)")
        self.refused(BadDescriptor, f"wpkh({xpub}/m/0)", f"wpkh({xpub}/+1)", f"wpkh({xpub}/1_0)", f"wpkh({xpub}/01)")
        self.refused(BadDescriptor, f"wpkh({xpub}/<0;0>/*)", f"wpkh({xpub}/<0;1>/<0;1>)", f"wpkh({xpub}/a<0;1>/*)")
        self.refused(BadDescriptor, "wpkh()", "wpkh(02" + "00" * 31 + "07)", "wpkh(" + "00" * 33 + ")", "raw(xy)")
        self.refused(BadDescriptor, f"wpkh([00000000/m/1]{xpub})", f"wpkh([00000000]{xpub}[])", f"wpkh([]{xpub})")

    def test_multisig_of_impossible_numbers(self) -> None:
        keys = [BACKEND.public_key(sha256(bytes([n]))).hex() for n in range(16)]
        self.refused(UnsupportedDescriptor, f"wsh(multi(1,{','.join(keys)}))", f"wsh(sortedmulti(16,{','.join(keys)}))")
        listed = ",".join(keys[:3])
        self.refused(BadDescriptor, *(f"wsh(multi({m},{listed}))" for m in ("0", "4", "-1", "a", "", "01", "1 ")))
        self.refused(BadDescriptor, "wsh(multi(1))", "wsh(multi())", "wsh(multi(1,))", f"wsh(multi(1,{keys[0]},))")
        self.refused(BadDescriptor, f"wsh(multi(2,{keys[0]},{keys[1]},{keys[0]}))")
        self.assertEqual(parse(f"wsh(multi(15,{','.join(keys[:15])}))").threshold, 15)

    def test_alternatives_of_different_numbers(self) -> None:
        second = MASTERS[2].public().text(MAINNET.keys)
        mixed = parse_all(f"wsh(multi(2,{self.XPUB}/<0;1>/*,{second}/*))", MAINNET)
        self.assertEqual(len(mixed), 2)
        self.refused(UnsupportedDescriptor, f"wsh(multi(2,{self.XPUB}/<0;1>/*,{second}/<0;1;2>/*))")

    def test_keys_and_addresses_of_another_network(self) -> None:
        foreign = Account.of_master(MASTERS[0], DEVNET)
        self.refused(BadDescriptor, f"wpkh({foreign.public_expression}/0/*)")
        text = address.encode(foreign.script(0, 0), DEVNET.hrp)
        self.refused(BadDescriptor, f"addr({text})", "addr()", "addr(1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2)")
        self.assertEqual(Descriptor.parse(f"addr({text})", DEVNET).script(), foreign.script(0, 0))

    def test_one_where_two_are_said(self) -> None:
        self.assertRaises(BadDescriptor, parse, f"wpkh({self.XPUB}/<0;1>/*)")

    def test_indexes(self) -> None:
        found = parse(f"wpkh({self.XPUB}/*)")
        self.assertEqual(len(found.script(HARDENED - 1)), 22)
        for index in (-1, HARDENED):
            for ask in (found.script, found.expand, found.secrets):
                self.assertRaises(BadDescriptor, ask, index)


class Forms(SynchronousTestCase):
    def test_public_form_takes_hardened_steps_into_the_origin(self) -> None:
        master = MASTERS[3]
        private = parse(f"wpkh({master.reveal(MAINNET.keys)}/84'/24100h/0h/0/*)")
        account = Account.of_master(master, MAINNET)
        self.assertEqual(private.public_text, with_checksum(f"wpkh({account.public_expression}/0/*)"))
        again = Descriptor.parse(private.public_text, MAINNET, checksum_required=True)
        self.assertEqual(again, private)
        self.assertEqual(again.descriptor_id, private.descriptor_id)
        self.assertEqual(again.expand(4), private.expand(4))
        self.assertEqual(private.script(4), account.script(0, 4))

    def test_secrets(self) -> None:
        account = Account.of_master(MASTERS[3], MAINNET)
        private = account_descriptors(account.reveal_expression(), MAINNET)[1]
        self.assertEqual(private.secrets(7), {account.public_key(1, 7): account.secret(1, 7)})
        self.assertEqual(private.public().secrets(7), {})
        self.assertEqual(parse(private.reveal()), private)
        self.assertRaises(NotPrivate, private.public().reveal)

    def test_derivations_start_at_the_master(self) -> None:
        account = Account.of_master(MASTERS[4], MAINNET)
        (key,) = account_descriptors(account.public_expression, MAINNET)[0].expand(9).keys
        self.assertEqual(key.public_key, account.public_key(0, 9))
        self.assertEqual((key.fingerprint, key.path), (MASTERS[4].fingerprint, (*account.path, 0, 9)))
        (bare,) = account_descriptors(account.xpub, MAINNET)[0].expand(9).keys
        self.assertEqual((bare.fingerprint, bare.path), (account.public.fingerprint, (0, 9)))

    def test_a_single_key_is_its_own_origin(self) -> None:
        secret = sha256(b"single")
        key = BACKEND.public_key(secret)
        found = parse(f"wpkh({key.hex()})")
        self.assertEqual(found.expand().keys[0].path, ())
        self.assertFalse(found.is_ranged)
        self.assertEqual(found.script(0), found.script(5))

    def test_address_and_raw_are_watched_alone(self) -> None:
        output = Account.of_master(MASTERS[0], MAINNET).script(0, 0)
        for text in (f"addr({address.encode(output, MAINNET.hrp)})", f"raw({output.hex()})"):
            found = parse(text)
            self.assertEqual(found.expand(), (output, None, ()))
            self.assertFalse(found.is_solvable or found.is_ranged or found.is_private)
            self.assertEqual(found.public_text, with_checksum(text))

    def test_a_wallet_of_several_owners(self) -> None:
        owners = [Account.cosigner(master, MAINNET) for master in MASTERS[:3]]
        expressions = [owner.public_expression for owner in owners]
        shared = multisig_descriptor(2, expressions, MAINNET)
        other = multisig_descriptor(2, expressions[::-1], MAINNET)
        unsorted = multisig_descriptor(2, expressions[::-1], MAINNET, sort=False)
        for chain in (0, 1):
            expected = multisig(2, sorted(owner.public_key(chain, 5) for owner in owners))
            self.assertEqual(shared[chain].expand(5).witness_script, expected)
            self.assertEqual(other[chain].script(5), shared[chain].script(5))
            self.assertNotEqual(unsorted[chain].script(5), unsorted[chain].script(6))
        mine = multisig_descriptor(2, [owners[0].reveal_expression(), *expressions[1:]], MAINNET)[0]
        self.assertEqual(mine, shared[0])
        self.assertEqual(mine.secrets(5), {owners[0].public_key(0, 5): owners[0].secret(0, 5)})

    def test_two_keys_of_one_owner_brought_one_after_the_other(self) -> None:
        owners = [Account.cosigner(master, MAINNET) for master in MASTERS[:2]]
        first, second = (owner.reveal_expression() for owner in owners)
        one = multisig_descriptor(2, [first, owners[1].public_expression], MAINNET)[0]
        two = multisig_descriptor(2, [owners[0].public_expression, second], MAINNET)[0]
        for both in (one.joined(two), two.joined(one)):
            self.assertEqual(len(both.secrets(3)), 2)
            self.assertEqual(both, one)
        self.assertEqual(one.joined(two.public()).secrets(3), one.secrets(3))
        self.assertRaises(BadDescriptor, one.joined, multisig_descriptor(1, [first, second], MAINNET)[0])

    def test_order_of_keys_in_an_expansion_is_that_of_the_script(self) -> None:
        owners = [Account.cosigner(master, MAINNET).public_expression for master in MASTERS[:5]]
        for sort in (True, False):
            for index in range(4):
                found = multisig_descriptor(3, owners, MAINNET, sort=sort)[0].expand(index)
                self.assertEqual(multisig(3, [key.public_key for key in found.keys]), found.witness_script)

    def test_no_secret_in_repr_str_or_pickle(self) -> None:
        account = Account.of_master(MASTERS[5], MAINNET)
        wif = "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1"
        for found in (account_descriptors(account.reveal_expression(), MAINNET)[0], parse(f"wpkh({wif})")):
            self.assertTrue(found.is_private)
            for text in (repr(found), str(found), f"{found}", found.public_text, repr(found.keys), repr([found])):
                self.assertNotIn("xprv9", text)
                self.assertNotIn("xprvA", text)
                self.assertNotIn(wif[:20], text)
            for take in (pickle.dumps, copy.copy, copy.deepcopy):
                self.assertRaises(TypeError, take, found)
            for key in found.keys:
                self.assertRaises(NotPrivate, key.text)

    def test_no_secret_in_errors(self) -> None:
        xprv = MASTERS[6].reveal(MAINNET.keys)
        for text in (
            f"wpkh({xprv}x)",
            f"wpkh({xprv}/x)",
            f"pkh({xprv})",
            f"wsh(multi(9,{xprv}))",
            f"wpkh({xprv[:-1]}1)",
        ):
            error = self.assertRaises(BadDescriptor, parse_all, text, MAINNET)
            self.assertNotIn(xprv[8:30], repr(error))
            self.assertNotIn(xprv[8:30], "".join(traceback.format_exception(error)))


steps = st.lists(st.integers(0, HARDENED - 1), max_size=3)
hardened = st.lists(st.integers(HARDENED, 2**32 - 1), max_size=2)


@st.composite
def keys(draw: Any) -> str:
    master = MASTERS[draw(st.integers(0, 15))]
    inner = "".join(f"/{n}" for n in draw(steps))
    kind = draw(st.integers(0, 2))
    deep = "".join(f"/{n - HARDENED}h" for n in draw(hardened))
    if kind == 0:
        return master.reveal(MAINNET.keys) + deep + inner + "/*"
    if kind == 1:
        below = master.derive((48 + HARDENED, 7))
        return f"[{master.fingerprint.hex()}/48h/7]{below.reveal(MAINNET.keys)}{deep}{inner}/*"
    return f"[{master.fingerprint.hex()}/48/0]{master.derive((48, 0)).public().text(MAINNET.keys)}{inner}/*"


class SecondOpinions(SynchronousTestCase):
    @BOUNDED
    @given(keys(), st.integers(0, HARDENED - 1))
    def test_embit_on_single_keys(self, key: str, index: int) -> None:
        ours = parse(f"wpkh({key})")
        theirs = TheirDescriptor.from_string(f"wpkh({key})").derive(index)
        self.assertEqual(ours.script(index), theirs.script_pubkey().data)
        self.assertEqual(parse(ours.public_text).script(index), ours.script(index))
        if ours.is_private:
            self.assertEqual(list(ours.secrets(index).values()), [theirs.keys[0].secret])

    @BOUNDED
    @given(keys(), st.integers(0, HARDENED - 1))
    def test_origins_lead_from_the_master_to_the_key(self, key: str, index: int) -> None:
        masters = {master.fingerprint: master for master in MASTERS}
        (found,) = parse(f"wpkh({key})").expand(index).keys
        self.assertEqual(masters[found.fingerprint].derive(found.path).public_key, found.public_key)

    @BOUNDED
    @given(st.lists(keys(), min_size=1, max_size=6, unique=True), st.data())
    def test_embit_on_multisig(self, expressions: list[str], data: st.DataObject) -> None:
        m = data.draw(st.integers(1, len(expressions)))
        kind = data.draw(st.sampled_from(("multi", "sortedmulti")))
        text = f"wsh({kind}({m},{','.join(expressions)}))"
        ours = parse(text)
        theirs = TheirDescriptor.from_string(text).derive(3)
        self.assertEqual(ours.script(3), theirs.script_pubkey().data)
        self.assertEqual(ours.expand(3).witness_script, theirs.witness_script().data)
        self.assertEqual(parse(ours.public_text).expand(3), ours.expand(3))

    def test_bdk_on_an_account_and_a_shared_wallet(self) -> None:
        account = Account.of_master(MASTERS[7], DEVNET)
        owners = [Account.cosigner(master, DEVNET).public_expression for master in MASTERS[:3]]
        ours = account_descriptors(account.public_expression, DEVNET), multisig_descriptor(2, owners, DEVNET)
        for receive, change in ours:
            texts = [bdk.Descriptor(each.public_text, bdk.NetworkKind.TEST) for each in (receive, change)]
            wallet = bdk.Wallet(*texts, bdk.Network.TESTNET, bdk.Persister.new_in_memory())
            for chain, kind in enumerate((bdk.KeychainKind.EXTERNAL, bdk.KeychainKind.INTERNAL)):
                theirs = bytes(wallet.peek_address(kind, 11).address.script_pubkey().to_bytes())
                self.assertEqual((receive, change)[chain].script(11), theirs)
