"""Every message: round trip, limits, and what truncation, bit flips and garbage do."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from timecoin.p2p import messages as m
from timecoin.p2p.framing import MAX_PAYLOAD, NO_SUCH_TYPE
from timecoin.p2p.netaddress import NetAddress

fuzz = settings(deadline=None, derandomize=True, max_examples=150, database=None)

u8, u16, u32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF_FFFF)
u64 = st.integers(0, 0xFFFF_FFFF_FFFF_FFFF)
b32, b33, b64 = (st.binary(min_size=n, max_size=n) for n in (32, 33, 64))
raw = st.binary(max_size=40)
raws = st.lists(raw, max_size=5).map(tuple)
ids = st.lists(b32, max_size=5).map(tuple)
mask = st.binary(max_size=13)
net = st.builds(NetAddress, u8, st.binary(max_size=32), u16)

MESSAGES: dict[type[m.Message], st.SearchStrategy[Any]] = {
    m.Hello: st.builds(
        m.Hello,
        magic=u32,
        protocol_min=u16,
        protocol_max=u16,
        chain_id=b32,
        node_key=b33,
        signature=b64,
        services=u64,
        listen=st.none() | net,
        height=u32,
        user_agent=st.text(st.characters(codec="ascii"), max_size=256),
        nonce=u64,
        masternode=st.none() | st.builds(m.MasternodeClaim, b32, b64),
    ),
    m.Reject: st.builds(m.Reject, st.text(max_size=32), st.text(max_size=200)),
    m.Ping: st.builds(m.Ping, u64),
    m.Pong: st.builds(m.Pong, u64, u64),
    m.GetAddr: st.just(m.GetAddr()),
    m.Addr: st.builds(
        m.Addr,
        st.lists(st.builds(m.AddressRecord, u8, st.binary(max_size=32), u16, u64, u32), max_size=5).map(tuple),
    ),
    m.Inv: st.builds(m.Inv, ids),
    m.GetTx: st.builds(m.GetTx, ids, st.booleans()),
    m.Tx: st.builds(m.Tx, raws),
    m.NotFound: st.builds(m.NotFound, ids),
    m.Bundles: st.builds(m.Bundles, raws),
    m.GetBundles: st.builds(m.GetBundles, u32, u16, u32, u16),
    m.Proposal: st.builds(m.Proposal, raw),
    m.GetProposal: st.builds(m.GetProposal, u32, u32, st.none()) | st.builds(m.GetProposal, u32, st.none(), b32),
    m.Votes: st.builds(m.Votes, raws, raws),
    m.Status: st.builds(
        m.Status,
        u32,
        u32,
        u32,
        u8,
        b32,
        mask,
        mask,
        st.lists(st.tuples(u16, u32), max_size=5).map(tuple),
        mask,
    ),
    m.GetPol: st.builds(m.GetPol, u32, u32, b32),
    m.Pol: st.builds(m.Pol, raws),
    m.Evidence: st.builds(m.Evidence, raw),
    m.GetBlocks: st.builds(m.GetBlocks, u32, st.integers(1, m.MAX_BLOCKS)),
    m.Blocks: st.builds(m.Blocks, st.lists(st.builds(m.BlockWithCommit, raw, raw), max_size=3).map(tuple)),
    m.GetClosingHeaders: st.builds(m.GetClosingHeaders, u32, st.integers(1, m.MAX_LINKS)),
    m.ClosingHeaders: st.builds(
        m.ClosingHeaders, u32, st.lists(st.builds(m.ClosingParts, raw, raw, raw), max_size=3).map(tuple)
    ),
    m.GetSnapshots: st.just(m.GetSnapshots()),
    m.Snapshots: st.builds(m.Snapshots, st.lists(st.builds(m.SnapshotHead, b32, raw), max_size=3).map(tuple)),
    m.GetManifest: st.builds(m.GetManifest, b32, u32),
    m.ManifestPage: st.builds(m.ManifestPage, b32, u32, raw),
    m.GetState: st.builds(m.GetState, b32, u32),
    m.StatePart: st.builds(m.StatePart, b32, u32, raw),
    m.GetChunk: st.builds(m.GetChunk, b32, u32),
    m.Chunk: st.builds(m.Chunk, b32, u32, raw),
    m.GetHeaders: st.builds(m.GetHeaders, u32, st.integers(1, m.MAX_HEADERS)),
    m.Headers: st.builds(m.Headers, u32, st.lists(st.binary(min_size=351, max_size=351), max_size=3).map(tuple)),
}
any_message = st.one_of(*MESSAGES.values())


def survives(number: int, payload: bytes) -> m.Message | None:
    """Decode; a refusal is fine, and what is accepted must be a value that encodes and decodes to itself."""
    try:
        message = m.decode(number, payload)
    except m.MessageError:
        return None
    assert m.decode(number, m.encode_payload(message)) == message
    return message


class TableTests(SynchronousTestCase):
    def test_every_message_is_generated_here(self) -> None:
        self.assertEqual({kind.struct for kind in m.KINDS}, set(MESSAGES))

    def test_numbers_are_unique_and_limits_in_range(self) -> None:
        self.assertEqual(len(m.KINDS), len({kind.number for kind in m.KINDS}))
        for kind in m.KINDS:
            self.assertTrue(0 < kind.limit <= MAX_PAYLOAD)

    def test_before_the_hello_only_hello_and_reject(self) -> None:
        allowed = [number for number, limit in enumerate(m.GREETING_LIMITS) if limit != NO_SUCH_TYPE]
        self.assertEqual([m.KIND_OF[m.Hello].number, m.KIND_OF[m.Reject].number], allowed)

    def test_names(self) -> None:
        self.assertEqual("get_blocks", m.NAMES[m.KIND_OF[m.GetBlocks].number])

    def test_the_fullest_messages_fit_their_limits(self) -> None:
        txids = (b"\xff" * 32,) * m.MAX_IDS
        record = m.AddressRecord(4, b"\xff" * 32, 65535, 2**64 - 1, 2**32 - 1)
        full = (
            m.Inv(txids),
            m.GetTx(txids, True),
            m.NotFound(txids),
            m.Ping(2**64 - 1),
            m.Pong(2**64 - 1, 2**64 - 1),
            m.Reject("\N{PILE OF POO}" * 32, "\N{PILE OF POO}" * 200),
            m.Addr((record,) * m.MAX_ADDRESSES),
            m.Votes((b"v" * 200,) * m.MAX_VOTES, (b"v" * 200,) * m.MAX_VOTES),
            m.Pol((b"v" * 200,) * m.MAX_VOTES),
            m.GetBundles(*[2**32 - 1, 65535, 2**32 - 1, 65535]),
            m.GetProposal(2**32 - 1, None, b"h" * 32),
            m.GetPol(2**32 - 1, 2**32 - 1, b"h" * 32),
            m.GetBlocks(2**32 - 1, m.MAX_BLOCKS),
            m.Tx((b"x" * (1 << 20),)),
            m.GetClosingHeaders(2**32 - 1, m.MAX_LINKS),
            m.Snapshots((m.SnapshotHead(b"h" * 32, b"h" * 256),) * m.MAX_SNAPSHOTS),
            m.GetManifest(b"h" * 32, 2**32 - 1),
            m.ManifestPage(b"h" * 32, 2**32 - 1, b"m" * m.MAX_PAGE_BYTES),
            m.GetState(b"h" * 32, 2**32 - 1),
            m.StatePart(b"h" * 32, 2**32 - 1, b"s" * m.MAX_PART_BYTES),
            m.GetChunk(b"h" * 32, 2**32 - 1),
            m.Chunk(b"h" * 32, 2**32 - 1, b"c" * m.MAX_PART_BYTES),
            m.GetHeaders(2**32 - 1, m.MAX_HEADERS),
            m.Headers(2**32 - 1, (b"h" * 351,) * m.MAX_HEADERS),
            m.Status(
                *[2**32 - 1] * 3,
                255,
                b"h" * 32,
                b"\xff" * 512,
                b"\xff" * 512,
                ((65535, 2**32 - 1),) * m.MAX_SIGNERS,
                b"\xff" * 512,
            ),
        )
        for message in full:
            with self.subTest(message=type(message).__name__):
                frame = m.encode_frame(message)
                self.assertEqual(message, m.decode(frame[4], frame[5:]))

    def test_encoding_over_the_limit_is_the_callers_error(self) -> None:
        self.assertRaises(m.MessageError, m.encode_frame, m.Evidence(b"x" * (256 << 10)))


class CodecTests(SynchronousTestCase):
    @fuzz
    @given(any_message)
    def test_round_trip(self, message: m.Message) -> None:
        frame = m.encode_frame(message)
        self.assertEqual(len(frame) - 5, int.from_bytes(frame[:4], "big"))
        self.assertEqual(message, m.decode(frame[4], memoryview(frame)[5:]))

    @fuzz
    @given(any_message)
    def test_every_truncation_is_refused(self, message: m.Message) -> None:
        frame = m.encode_frame(message)
        for end in range(5, len(frame)):
            self.assertRaises(m.MessageError, m.decode, frame[4], frame[5:end])

    @fuzz
    @given(any_message, st.data())
    def test_bit_flips(self, message: m.Message, data: st.DataObject) -> None:
        frame = bytearray(m.encode_frame(message))
        for _ in range(20):
            at = data.draw(st.integers(5, len(frame) - 1))
            flipped = bytearray(frame)
            flipped[at] ^= 1 << data.draw(st.integers(0, 7))
            survives(frame[4], bytes(flipped[5:]))

    @fuzz
    @given(st.sampled_from(m.KINDS), st.binary(max_size=300))
    def test_garbage(self, kind: m.Kind, payload: bytes) -> None:
        survives(kind.number, payload[: kind.limit])

    @fuzz
    @given(any_message, st.binary(min_size=1, max_size=5))
    def test_trailing_bytes_are_refused(self, message: m.Message, more: bytes) -> None:
        frame = m.encode_frame(message)
        self.assertRaises(m.MessageError, m.decode, frame[4], frame[5:] + more)

    def test_hostile_shapes(self) -> None:
        """Deep nesting, huge announced lengths, broken text: refused without exhausting anything."""
        for kind in m.KINDS:
            for payload in (
                b"\x91" * min(kind.limit, 100_000),
                b"\xdd\xff\xff\xff\xff",
                b"\x91\xdd\xff\xff\xff\xff",
                b"\x91\xc6\xff\xff\xff\xff",
                b"\x81\xa1a\x01",
                b"\xc1",
                b"",
                b"\x92\xa2\xff\xfe\xa0",
            ):
                with self.subTest(kind=kind.struct.__name__, payload=payload[:8]):
                    self.assertRaises(m.MessageError, m.decode, kind.number, payload[: kind.limit])

    def test_unknown_type(self) -> None:
        self.assertRaises(m.MessageError, m.decode, 200, b"\x90")
        self.assertRaises(m.MessageError, m.decode, 300, b"\x90")

    def test_bounds_of_fields(self) -> None:
        number = m.KIND_OF[m.Inv].number
        self.assertRaises(m.MessageError, m.decode, number, b"\x91\x91\xc4\x1f" + b"x" * 31)
        self.assertRaises(m.MessageError, m.decode, m.KIND_OF[m.Ping].number, b"\x91\xff")
        self.assertRaises(m.MessageError, m.decode, m.KIND_OF[m.GetBlocks].number, b"\x92\x01\x00")

    def test_proposal_by_round_or_by_hash(self) -> None:
        number = m.KIND_OF[m.GetProposal].number
        self.assertRaises(ValueError, m.GetProposal, 1)
        self.assertRaises(m.MessageError, m.decode, number, b"\x93\x01\xc0\xc0")
        self.assertRaises(m.MessageError, m.decode, number, b"\x93\x01\x02\xc4\x20" + b"x" * 32)
