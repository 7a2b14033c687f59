"""The file: read as it was written, in one way only, and no byte of it can be changed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.proofs.story import BACKEND, STORY
from timecoin.ledger.closing_chain import Anchor
from timecoin.proofs.errors import BadProof, MalformedProof, UnknownVersion
from timecoin.proofs.proof_file import MAX_BYTES, decode, encode, to_json
from timecoin.proofs.values import Proof
from timecoin.proofs.verifying import verify

FINAL: tuple[Proof, Anchor] = (STORY.finality(), STORY.anchor)
SIGNED: tuple[Proof, Anchor] = (STORY.signed(3, 0), STORY.anchor)
LINKED: tuple[Proof, Anchor] = (STORY.linked(1, 0, 2), STORY.anchor_of(2))
ALL = (FINAL, SIGNED, LINKED)
CHAIN_ID = STORY.chain.genesis.chain_id


def check(data: bytes | str, anchor: Anchor) -> None:
    verify(decode(data), anchor, BACKEND, chain_id=CHAIN_ID)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value that is no container, with the way to it."""
    if isinstance(value, dict | list):
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, step))
    else:
        yield path, value


def put(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = deepcopy(tree)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed


def is_hex(path: tuple[Any, ...]) -> bool:
    return path[-1] in ("chain_id", "txid", "hash", "transaction") or path[:1] == ("branch",)


def flips(path: tuple[Any, ...], value: Any, every: int) -> Iterator[Any]:
    """The value with one bit of one byte changed, of every so many bytes."""
    if isinstance(value, int):
        yield from (value + 1, value ^ 2)
    elif is_hex(path) or path[-1] in ("format", "kind"):
        for at in range(0, len(value), every):
            yield value[:at] + ("1" if value[at] == "0" else "0") + value[at + 1 :]
    else:
        raw = base64.b64decode(value)
        for at in range(0, len(raw), every):
            bit = 1 << (at * 5 + len(raw)) % 8
            yield base64.b64encode(raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :]).decode()


class FormTest(SynchronousTestCase):
    def test_round_trip(self) -> None:
        for proof, anchor in ALL:
            self.assertEqual(decode(encode(proof)), proof)
            self.assertEqual(json.loads(encode(proof)), to_json(proof))
            check(json.dumps(to_json(proof), indent=2), anchor)

    def test_what_it_shows(self) -> None:
        shown = to_json(STORY.finality())
        self.assertEqual((shown["format"], shown["version"], shown["kind"]), ("timecoin-proof", 1, "finality"))
        self.assertEqual(shown["txid"], STORY.open.txid[::-1].hex())
        self.assertEqual(shown["transaction"], STORY.open.stripped.hex())
        self.assertEqual(shown["anchor"]["height"], 0)
        self.assertNotIn("set", shown["links"][0])

    def test_no_proof(self) -> None:
        good = to_json(STORY.signed(3, 0))
        self.assertRaises(UnknownVersion, decode, json.dumps(good | {"version": 2}))
        wrong = [
            b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000, json.dumps({}), json.dumps(good | {"format": "x"}),
            json.dumps(good | {"more": 1}), json.dumps(good | {"kind": "other"}), json.dumps(good | {"headers": []}),
            json.dumps(good | {"position": -1}), json.dumps(good | {"position": 1.5}),
            json.dumps(good | {"links": None}),
            json.dumps(good | {"txid": good["txid"].upper()}), json.dumps(good | {"txid": good["txid"][2:]}),
            json.dumps(good | {"txid": "g" * 64}), json.dumps(good | {"transaction": good["transaction"] + "0"}),
            json.dumps(good | {"transaction": good["transaction"].upper()}), json.dumps(good | {"transaction": None}),
            json.dumps({name: value for name, value in good.items() if name != "block"}),
            json.dumps(good | {"chain_id": "00" * 32}),
            json.dumps(good | {"anchor": good["anchor"] | {"height": 1}}),
        ]  # fmt: skip
        for text in wrong:
            self.assertRaises(MalformedProof, decode, text)

    def test_base64_in_another_way(self) -> None:
        good = to_json(STORY.signed(3, 0))
        header = good["block"]["header"]
        self.assertEqual(len(base64.b64decode(header)) % 3, 0)
        commit = good["block"]["commit"]
        self.assertTrue(commit.endswith("="))
        at = len(commit.rstrip("=")) - 1
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        again = commit[:at] + alphabet[alphabet.index(commit[at]) ^ 1] + commit[at + 1 :]
        self.assertRaises(MalformedProof, decode, json.dumps(put(good, ("block", "commit"), again)))

    def test_bounded(self) -> None:
        self.assertRaises(MalformedProof, decode, b" " * (MAX_BYTES + 1))


class FlipTest(SynchronousTestCase):
    def test_no_byte_can_be_changed(self) -> None:
        for proof, anchor in ALL:
            good = to_json(proof)
            check(json.dumps(good), anchor)
            count = 0
            for path, value in leaves(good):
                for other in flips(path, value, 7):
                    try:
                        check(json.dumps(put(good, path, other)), anchor)
                    except BadProof:
                        count += 1
                    else:
                        self.fail(f"{path}: a changed value passed")
            self.assertGreater(count, 200)

    def test_nothing_can_be_left_out(self) -> None:
        for proof, anchor in ALL:
            good = to_json(proof)
            for name in good:
                if name == "transaction":
                    continue
                cut = {key: value for key, value in good.items() if key != name}
                self.assertRaises(BadProof, check, json.dumps(cut), anchor)

    @settings(deadline=None, derandomize=True, max_examples=150, database=None)
    @given(st.data())
    def test_any_bit(self, data: st.DataObject) -> None:
        proof, anchor = data.draw(st.sampled_from(ALL))
        raw = bytearray(encode(proof))
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] ^= 1 << data.draw(st.integers(0, 7))
        try:
            check(bytes(raw), anchor)
        except BadProof:
            return
        raise AssertionError(f"byte {at} does not count")

    @settings(deadline=None, derandomize=True, max_examples=60, database=None)
    @given(st.binary(max_size=200))
    def test_garbage(self, data: bytes) -> None:
        try:
            decode(data)
        except BadProof:
            return
        raise AssertionError(data)
