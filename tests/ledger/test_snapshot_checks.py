"""Manifest, chunks, state and linked blocks of a snapshot: every check, and what noise does to them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.ledger.builders import Chain, network
from timecoin.ledger import snapshot_chunk as sc
from timecoin.ledger.coins import Coin, coin_bytes_element, coin_element, encode_coin
from timecoin.ledger.errors import BlockInvalid
from timecoin.ledger.linked import check_linked
from timecoin.ledger.snapshot_chunk import check_chunk, decode_chunk, encode_chunk, range_of
from timecoin.ledger.snapshot_manifest import (
    HEAD_SIZE,
    MAX_CHUNK_BYTES,
    MAX_STATE_BYTES,
    PAGE_RANGES,
    BadManifest,
    BadState,
    CoinRange,
    Manifest,
    check_manifest,
    check_state,
    product,
    read_head,
)
from timecoin.primitives.block import Block, evidence_hash
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import sha256
from timecoin.primitives.muhash import MuHash

fuzz = settings(deadline=None, derandomize=True, max_examples=100, database=None)
RANGE = 4


def closed() -> Chain:
    chain = Chain(network(4, accounts=10))
    for number in range(3):
        chain.interim([chain.payment(chain.account(number), chain.account(number + 1), 10**8)])
        chain.close()
    return chain


CHAIN = closed()
HEADER = CHAIN.state.header
COINS = sorted((outpoint, encode_coin(coin)) for outpoint, coin in CHAIN.coins.items())
PARTS = [COINS[at : at + RANGE] for at in range(0, len(COINS), RANGE)]
CHUNKS = [encode_chunk(part) for part in PARTS]
STATE = CHAIN.state.encode()


def manifest_of(ranges: list[CoinRange] | None = None, **changes: object) -> Manifest:
    found = [range_of(part, data) for part, data in zip(PARTS, CHUNKS, strict=True)]
    whole = Manifest(HEADER.height, HEADER.hash, len(STATE), sha256(STATE), tuple(ranges or found))
    return replace(whole, **changes)  # type: ignore[arg-type]


MANIFEST = manifest_of()


class ManifestTest(SynchronousTestCase):
    def test_the_header_vouches_for_it(self) -> None:
        check_manifest(MANIFEST, HEADER)
        self.assertEqual(product(MANIFEST.ranges), CHAIN.state.muhash)
        self.assertEqual((MANIFEST.coins, len(MANIFEST.ranges)), (len(COINS), len(PARTS)))

    def test_encoding(self) -> None:
        self.assertEqual(Manifest.decode(MANIFEST.encode()), MANIFEST)
        self.assertEqual(read_head(MANIFEST.encode()[:HEAD_SIZE]), MANIFEST.head)
        self.assertEqual((MANIFEST.head.pages, MANIFEST.head.state_parts), (1, 1))

    def test_pages(self) -> None:
        big = manifest_of([CoinRange(n.to_bytes(36), 1, 60, MuHash.empty()) for n in range(2 * PAGE_RANGES + 1)])
        head = big.head.encode()
        pages = [big.page(n) for n in range(4)]
        self.assertEqual((read_head(head).pages, pages[3]), (3, b""))
        self.assertEqual(Manifest.assemble(big.snapshot_id, head, pages), big)
        for wrong in (pages[:2], pages[::-1], [pages[0], pages[0], pages[2]]):
            self.assertRaises(BadManifest, Manifest.assemble, big.snapshot_id, head, wrong)
        self.assertRaises(BadManifest, Manifest.assemble, bytes(32), head, pages)

    def test_of_another_block(self) -> None:
        for changes in ({"height": 2}, {"block_hash": bytes(32)}):
            self.assertRaises(BadManifest, check_manifest, manifest_of(**changes), HEADER)  # type: ignore[arg-type]

    def test_ranges_that_do_not_multiply_up(self) -> None:
        ranges = list(MANIFEST.ranges)
        self.assertRaises(BadManifest, check_manifest, manifest_of(ranges[1:]), HEADER)
        wrong = ranges[0]._replace(muhash=ranges[1].muhash)
        self.assertRaises(BadManifest, check_manifest, manifest_of([wrong, *ranges[1:]]), HEADER)

    def test_ranges_ascend(self) -> None:
        ranges = list(MANIFEST.ranges)
        for wrong in ([ranges[1], ranges[0], *ranges[2:]], [ranges[0], *ranges]):
            self.assertRaises(BadManifest, Manifest.decode, manifest_of(wrong).encode())

    def test_bounds(self) -> None:
        one = MANIFEST.ranges[0]
        for wrong in (one._replace(coins=0), one._replace(size=MAX_CHUNK_BYTES + 1), one._replace(coins=one.size)):
            self.assertRaises(BadManifest, Manifest.decode, manifest_of([wrong]).encode())
        for head in (
            MANIFEST.head._replace(ranges=1 << 31),
            MANIFEST.head._replace(coins=1),
            MANIFEST.head._replace(coins=1 << 60),
            MANIFEST.head._replace(state_size=0),
            MANIFEST.head._replace(state_size=MAX_STATE_BYTES + 1),
        ):
            self.assertRaises(BadManifest, read_head, head.encode())
        self.assertRaises(BadManifest, read_head, b"XXXX" + MANIFEST.head.encode()[4:])
        wrong_total = MANIFEST.head._replace(coins=MANIFEST.coins + 1).encode() + MANIFEST.encode()[HEAD_SIZE:]
        self.assertRaises(BadManifest, Manifest.decode, wrong_total)

    @fuzz
    @given(st.data())
    def test_noise(self, data: st.DataObject) -> None:
        raw = bytearray(MANIFEST.encode())
        for _ in range(data.draw(st.integers(1, 3))):
            raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        noisy = bytes(raw[: data.draw(st.integers(0, len(raw)))]) if data.draw(st.booleans()) else bytes(raw)
        try:
            manifest = Manifest.decode(noisy)
        except BadManifest:
            return
        self.assertEqual(manifest.encode(), noisy)
        if noisy != MANIFEST.encode() and (manifest.height, manifest.block_hash) == (HEADER.height, HEADER.hash):
            same = [each.muhash for each in manifest.ranges] == [each.muhash for each in MANIFEST.ranges]
            if not same:
                self.assertRaises(BadManifest, check_manifest, manifest, HEADER)

    @fuzz
    @given(st.binary(max_size=600))
    def test_garbage(self, data: bytes) -> None:
        for prefix in (b"", MANIFEST.encode()[:5], MANIFEST.head.encode()):
            if prefix + data != MANIFEST.encode():
                self.assertRaises(BadManifest, Manifest.decode, prefix + data)


class ChunkTest(SynchronousTestCase):
    def refused(self, error: type[sc.BadChunk], data: bytes, index: int = 1, manifest: Manifest = MANIFEST) -> None:
        caught = self.assertRaises(error, check_chunk, manifest, index, data)
        self.assertIsInstance(caught, DecodeError)

    def test_good_ones(self) -> None:
        for index, part in enumerate(PARTS):
            self.assertEqual(check_chunk(MANIFEST, index, CHUNKS[index]), part)

    def test_another_range(self) -> None:
        self.refused(sc.ChunkOutside, CHUNKS[0])
        self.refused(sc.ChunkOutside, CHUNKS[2])

    def test_a_coin_of_the_next_range(self) -> None:
        self.refused(sc.ChunkOutside, encode_chunk([*PARTS[1][:-1], PARTS[2][0]]))

    def test_a_missing_and_a_surplus_coin(self) -> None:
        for part in (PARTS[1][:-1], [*PARTS[1], PARTS[2][0]]):
            data = encode_chunk(part)
            self.refused(sc.ChunkMalformed, data)
            resized = MANIFEST.ranges[1]._replace(size=len(data))
            ranges = [MANIFEST.ranges[0], resized, *MANIFEST.ranges[2:]]
            self.refused(sc.ChunkMiscounted, data, manifest=manifest_of(ranges))

    def test_unsorted_and_twice(self) -> None:
        first, second, *rest = PARTS[1]
        for part in ([second, first, *rest], [first, first, *rest]):
            self.refused(sc.ChunkUnsorted, encode_chunk(part))

    def test_another_coin_in_its_place(self) -> None:
        first, (outpoint, coin), *rest = PARTS[1]
        richer = coin[:4] + bytes([coin[4] ^ 1]) + coin[5:]
        beside = outpoint[:-1] + bytes([outpoint[-1] ^ 1])
        for other in ((outpoint, richer), (beside, coin)):
            self.refused(sc.ChunkMismatch, encode_chunk(sorted([first, other, *rest])))

    def test_malformed(self) -> None:
        good = CHUNKS[1]
        for data in (b"", good[:3], good[:-1], good + b"\0", b"\xff" * len(good), bytes(len(good))):
            self.refused(sc.ChunkMalformed, data)

    def test_no_such_range(self) -> None:
        self.assertRaises(IndexError, check_chunk, MANIFEST, len(PARTS), CHUNKS[0])

    def test_empty(self) -> None:
        self.assertEqual(decode_chunk(encode_chunk([])), [])

    @fuzz
    @given(st.lists(st.tuples(st.binary(min_size=36, max_size=36), st.binary(min_size=13, max_size=60)), max_size=20))
    def test_encoding(self, coins: list[tuple[bytes, bytes]]) -> None:
        self.assertEqual(decode_chunk(encode_chunk(coins)), coins)

    @fuzz
    @given(st.data())
    def test_noise(self, data: st.DataObject) -> None:
        raw = bytearray(CHUNKS[1])
        for _ in range(data.draw(st.integers(1, 3))):
            raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        if bytes(raw) != CHUNKS[1]:
            self.refused(sc.BadChunk, bytes(raw))

    @fuzz
    @given(st.binary(max_size=400))
    def test_garbage(self, data: bytes) -> None:
        try:
            coins = decode_chunk(data)
        except sc.ChunkMalformed:
            return
        self.assertEqual(encode_chunk(coins), data)

    def test_elements_of_encoded_coins(self) -> None:
        for script in (b"x", b"x" * 34, b"x" * 300):
            coin = Coin(7, 10**10, script)
            self.assertEqual(coin_bytes_element(bytes(36), encode_coin(coin)), coin_element(bytes(36), coin))


class StateTest(SynchronousTestCase):
    def named(self, blob: bytes) -> Manifest:
        return manifest_of(state_size=len(blob), state_hash=sha256(blob))

    def test_good(self) -> None:
        self.assertEqual(check_state(MANIFEST, STATE, HEADER), CHAIN.state)

    def test_not_what_the_manifest_names(self) -> None:
        for blob in (STATE[:-1], STATE + b"\0", bytes(len(STATE))):
            self.assertRaises(BadState, check_state, MANIFEST, blob, HEADER)

    def test_not_what_the_header_vouches_for(self) -> None:
        state = CHAIN.state
        for wrong in (
            replace(state, epoch_fees=1),
            replace(state, opening=replace(state.opening, supply=state.supply + 1)),
            replace(state, muhash=MuHash.empty()),
            replace(state, closing_signers=()),
            replace(state, header=CHAIN.blocks[-2].header),
        ):
            blob = wrong.encode()
            self.assertRaises(BadState, check_state, self.named(blob), blob, HEADER)

    @fuzz
    @given(st.data())
    def test_noise(self, data: st.DataObject) -> None:
        raw = bytearray(STATE)
        for _ in range(data.draw(st.integers(1, 4))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        blob = bytes(raw)
        if blob != STATE:
            self.assertRaises(BadState, check_state, self.named(blob), blob, HEADER)


class LinkedTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.block = CHAIN.blocks[-2]
        self.data = self.block.encode()

    def refused(self, block: Block) -> None:
        self.assertRaises(BlockInvalid, check_linked, self.block.header.hash, block.encode())

    def test_every_block(self) -> None:
        for block in CHAIN.blocks:
            self.assertEqual(check_linked(block.header.hash, block.encode()), block)

    def test_another_block(self) -> None:
        self.refused(CHAIN.blocks[-1])
        self.refused(replace(self.block, header=replace(self.block.header, round=1)))

    def test_other_content(self) -> None:
        block, other = self.block, CHAIN.blocks[-4]
        coinbase, *payments = block.transactions
        bare = replace(payments[0], inputs=(payments[0].inputs[0]._replace(witness=(b"x",)),))
        for wrong in (
            replace(block, transactions=block.transactions[:1]),
            replace(block, transactions=(coinbase, *payments, *payments)),
            replace(block, transactions=(coinbase, other.transactions[1])),
            replace(block, transactions=(coinbase, bare)),
            replace(block, last_commit=other.last_commit),
            replace(block, evidence=(b"evidence",)),
        ):
            self.refused(wrong)
        self.assertNotEqual(evidence_hash((b"evidence",)), block.header.evidence_hash)

    def test_no_block(self) -> None:
        for data in (b"", self.data[:-1], self.data + b"\0", self.data[:351]):
            self.assertRaises(DecodeError, check_linked, self.block.header.hash, data)


class OrderTest(SynchronousTestCase):
    def test_ranges_hold_all_coins_in_order(self) -> None:
        self.assertTrue(all(left.first < right.first for left, right in pairwise(MANIFEST.ranges)))
        self.assertEqual([MANIFEST.below(n) for n in range(len(PARTS) - 1)], [part[0][0] for part in PARTS[1:]])
        self.assertIsNone(MANIFEST.below(len(PARTS) - 1))
