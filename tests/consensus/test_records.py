"""Journal records there and back; nothing cut short is read."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.participants import Network
from tests.consensus.payments import genesis_outpoint, spend
from tests.consensus.scenarios import payments
from tests.ledger.accusations import Culprit
from timecoin.consensus.bundle import Bundle
from timecoin.consensus.proposal import Proposal
from timecoin.consensus.records import (
    PendingTransaction,
    Record,
    RecordKind,
    decode_final,
    decode_list,
    decode_pending,
    decode_record,
    encode_final,
    encode_list,
)
from timecoin.consensus.restoring import Restored
from timecoin.consensus.votes import Precommit, Prevote
from timecoin.primitives.codec import DecodeError


def real_journal() -> list[bytes]:
    """Every kind of record, as a network wrote them."""
    network = Network(4, seed=5).start()
    network[0].submit(*payments(network, 2))
    node, journal = network[0], network[0].disk.journal
    piece = Culprit(node.participant.ledger, 1).double_prevote()
    node.feed(lambda: node.participant.accuse(piece, node.now_ms()))
    network.run_to_height(1)
    return journal


JOURNAL = real_journal()


class RecordTest(SynchronousTestCase):
    def test_round_trip(self) -> None:
        record = Record(RecordKind.FINAL, b"abc")
        self.assertEqual(record.encode(), b"\x08abc")
        self.assertEqual(decode_record(record.encode()), record)

    def test_unknown(self) -> None:
        for data in (b"", b"\x00", b"\x0aabc", b"\xff"):
            self.assertRaises(DecodeError, decode_record, data)

    def test_pending(self) -> None:
        tx = spend([genesis_outpoint(1)])
        pending = PendingTransaction(3, 1_700_000_000_123, tx.raw)
        self.assertEqual(decode_pending(pending.encode()), pending)
        for length in range(12):
            self.assertRaises(DecodeError, decode_pending, pending.encode()[:length])

    def test_final(self) -> None:
        data = encode_final(b"\x07" * 32, 42)
        self.assertEqual(decode_final(data), (b"\x07" * 32, 42))
        for length in range(len(data)):
            self.assertRaises(DecodeError, decode_final, data[:length])
        self.assertRaises(DecodeError, decode_final, data + b"\x00")

    @settings(deadline=None, derandomize=True, max_examples=50, database=None)
    @given(st.lists(st.binary(max_size=300), max_size=8), st.data())
    def test_list(self, items: list[bytes], data: st.DataObject) -> None:
        encoded = encode_list(items)
        self.assertEqual(decode_list(encoded, 300), items)
        length = data.draw(st.integers(0, len(encoded) - 1))
        self.assertRaises(DecodeError, decode_list, encoded[:length], 300)
        self.assertRaises(DecodeError, decode_list, encoded + b"\x00", 300)

    def test_list_limits(self) -> None:
        self.assertRaises(DecodeError, decode_list, encode_list([bytes(301)]), 300)
        self.assertRaises(DecodeError, decode_list, b"\xfe\xff\xff\xff\x7f", 300)


class RestoredTest(SynchronousTestCase):
    def test_every_kind_was_written(self) -> None:
        kinds = {decode_record(record).kind for record in JOURNAL}
        self.assertEqual(kinds, set(RecordKind))

    def test_sorted_by_what_they_are_for(self) -> None:
        restored = Restored(JOURNAL, 0)
        (body, other) = restored.transactions()
        assert body.pending is not None and other.pending is not None
        self.assertEqual(body.pending.raw, body.tx.raw)
        self.assertEqual(set(restored.pending), {body.tx.txid, other.tx.txid})
        self.assertEqual(set(restored.finals), set(restored.pending))
        kinds = {type(message) for message in restored.messages(1)}
        self.assertEqual(kinds, {Proposal, Prevote, Precommit})
        self.assertEqual(restored.messages(2), [])

    def test_bundles_of_the_open_epoch_only(self) -> None:
        restored = Restored(JOURNAL, 0)
        first = next(decode_record(r) for r in JOURNAL if decode_record(r).kind is RecordKind.BUNDLE)
        bundle = Bundle.decode(first.payload)
        self.assertEqual(next(restored.bundles(1, bundle.set_hash)), bundle)
        self.assertEqual(list(restored.bundles(2, bundle.set_hash)), [])
        self.assertEqual(list(restored.bundles(1, bytes(32))), [])

    def test_every_truncation_is_rejected(self) -> None:
        """A record cut anywhere is never taken for a shorter one."""
        seen: set[RecordKind] = set()
        for record in JOURNAL:
            kind = decode_record(record).kind
            if kind in seen:
                continue
            seen.add(kind)
            Restored([record], 0)
            for length in range(len(record)):
                self.assertRaises(DecodeError, Restored, [record[:length]], 0)
        self.assertEqual(seen, set(RecordKind))

    def test_pending_without_body_comes_last(self) -> None:
        one, two = spend([genesis_outpoint(1)]), spend([genesis_outpoint(2)])
        records = [
            Record(RecordKind.PENDING, PendingTransaction(1, 5, one.raw).encode()).encode(),
            Record(RecordKind.BODY, two.raw).encode(),
        ]
        found = list(Restored(records, 0).transactions())
        self.assertEqual([body.tx.txid for body in found], [two.txid, one.txid])
        self.assertIsNone(found[0].pending)
        assert found[1].pending is not None
        self.assertEqual(found[1].pending.openings, 1)
