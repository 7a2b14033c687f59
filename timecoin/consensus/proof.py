"""One vote or ack, provable on its own: the head of its bundle and a path (protocol.md 3, 4 and 11)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from timecoin.consensus.bundle import HEAD_SIZE, Bundle, BundleHead, MalformedBundle
from timecoin.primitives import tree16

_PLACE = Struct("<B32sI")
_VOTE, _ACK = 0, 1


@dataclass(frozen=True, slots=True)
class StatementProof:
    """That the signer of ``head`` voted for (or, with ``ack``, acked) ``txid``, number ``index`` of the list.

    The signature is checked apart, by ``head.check(members)``; ``holds`` checks the path.
    """

    head: BundleHead
    ack: bool
    txid: bytes
    index: int
    path: tree16.Path

    def holds(self) -> bool:
        """Tell whether the path leads from the txid to the signed root."""
        head = self.head
        count, root = (head.acks, head.ack_root) if self.ack else (head.votes, head.vote_root)
        return tree16.verify16(self.txid, self.index, count, self.path, root)

    def encode(self) -> bytes:
        """Return head 211 ‖ kind u8 ‖ txid 32 ‖ index u32 ‖ siblings, whose number follows from the count."""
        kind = _ACK if self.ack else _VOTE
        siblings = b"".join(node for level in self.path for node in level)
        return self.head.encode() + _PLACE.pack(kind, self.txid, self.index) + siblings

    @classmethod
    def decode(cls, data: bytes) -> StatementProof:
        """Read what ``encode`` wrote (MalformedBundle); says nothing about path or signature."""
        start = HEAD_SIZE + _PLACE.size
        if len(data) < start:
            raise MalformedBundle("truncated")
        head = BundleHead.decode(data[:HEAD_SIZE])
        kind, txid, index = _PLACE.unpack_from(data, HEAD_SIZE)
        if kind not in (_VOTE, _ACK):
            raise MalformedBundle("unknown kind")
        count = head.acks if kind == _ACK else head.votes
        return cls(head, kind == _ACK, txid, index, _split(data[start:], index, count))


def prove(bundle: Bundle, txid: bytes, *, ack: bool) -> StatementProof:
    """Prove one statement of a bundle (ValueError when it is not in it)."""
    listed = bundle.acks if ack else bundle.votes
    index = listed.index(txid)
    return StatementProof(bundle.head(), ack, txid, index, tree16.path16(listed, index))


def _split(data: bytes, index: int, count: int) -> tree16.Path:
    if index >= count:
        raise MalformedBundle("index outside of the list")
    lengths = tree16.path_lengths(index, count)
    if len(data) != 32 * sum(lengths):
        raise MalformedBundle("wrong number of siblings")
    path, at = [], 0
    for length in lengths:
        path.append(tuple(bytes(data[at + 32 * n : at + 32 * n + 32]) for n in range(length)))
        at += 32 * length
    return tuple(path)
