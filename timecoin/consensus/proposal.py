"""Proposals: a signed head that names a block, and the block's contents without bodies (protocol.md 4 and 6).

Only the head is signed. Everything else is bound to the head's block hash through the header, and these links
are checked when a proposal is decoded: so nobody who relays one can change what it says. For the roots over
the transactions this takes the coinbase's txid, which therefore travels along (coinbase wtxid = txid).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from timecoin.ledger.params import MAX_FRAME
from timecoin.ledger.powerset import PowerSet
from timecoin.ledger.statement import (
    CLOSING,
    PREFIX,
    PROPOSAL_TAIL,
    SIGNATURE_SIZE,
    body_prefix,
    check_statement,
    statement_digest,
)
from timecoin.primitives.block import HEADER_SIZE, Block, Commit, Header, evidence_hash
from timecoin.primitives.codec import DecodeError, Reader, compact_size, var_bytes
from timecoin.primitives.hashes import HASH_SIZE, Hash
from timecoin.primitives.merkle import merkle_root
from timecoin.primitives.signing import SignatureCheck

NO_ROUND = -1
"""The valid round of a fresh proposal."""

_BODY_SIZE = PREFIX.size + PROPOSAL_TAIL.size
HEAD_SIZE = _BODY_SIZE + SIGNATURE_SIZE

_ITEM_SIZE = 2 * HASH_SIZE

# Only bounds the work of decoding: how much evidence a block may hold is a parameter, checked with the block.
_MAX_EVIDENCE = 1_024


class MalformedProposal(DecodeError):
    """Bytes that are no proposal, or parts of one that do not belong together."""


@dataclass(frozen=True, slots=True)
class ProposalHead:
    """The signed part of a proposal with its signature: enough to prove that somebody proposed twice in one
    round.

    ``valid_round`` is the round whose POL the proposer names, ``NO_ROUND`` when the block is fresh.
    """

    chain_id: bytes
    epoch: int
    set_hash: Hash
    signer: int
    height: int
    round: int
    valid_round: int
    closing: bool
    block_hash: Hash
    signature: bytes = bytes(SIGNATURE_SIZE)

    @property
    def is_fresh(self) -> bool:
        """Whether the proposer claims no POL."""
        return self.valid_round == NO_ROUND

    def body(self) -> bytes:
        """The signed bytes: prefix 70 ‖ height, round u32 ‖ valid round i32 ‖ flags u8 ‖ hash
        (``struct.error`` out of range).
        """
        prefix = body_prefix(self.chain_id, self.epoch, self.set_hash, self.signer)
        flags = CLOSING if self.closing else 0
        return prefix + PROPOSAL_TAIL.pack(self.height, self.round, self.valid_round, flags, self.block_hash)

    @property
    def digest(self) -> bytes:
        """The 32 bytes under the signature."""
        return statement_digest("proposal", self.body())

    def check(self, members: PowerSet) -> SignatureCheck:
        """The signature check (``WrongSet``, ``NotAMember``)."""
        return check_statement(members, self.set_hash, self.signer, self.digest, self.signature)

    def encode(self) -> bytes:
        """Body ‖ signature, 179 bytes."""
        return self.body() + self.signature

    @classmethod
    def decode(cls, data: bytes) -> ProposalHead:
        """Read the head at the front of ``data``, an encoded head or proposal (MalformedProposal); the rest
        is not looked at.
        """
        if len(data) < HEAD_SIZE:
            raise MalformedProposal("truncated")
        chain_id, epoch, set_hash, signer = PREFIX.unpack_from(data)
        height, round_, valid_round, flags, block_hash = PROPOSAL_TAIL.unpack_from(data, PREFIX.size)
        if flags not in (0, CLOSING):
            raise MalformedProposal("unknown flags")
        if not NO_ROUND <= valid_round < round_:
            raise MalformedProposal("the valid round is not an earlier one")
        signature = bytes(data[_BODY_SIZE:HEAD_SIZE])
        closing = flags == CLOSING
        return cls(
            chain_id, epoch, set_hash, signer, height, round_, valid_round, closing, block_hash, signature
        )


@dataclass(frozen=True, slots=True)
class Content:
    """The unsigned part: a block whose transactions are named by (txid, wtxid), in block order, ``coinbase``
    (its txid) apart.
    """

    header: Header
    last_commit: Commit
    evidence: tuple[bytes, ...]
    coinbase: Hash
    txs: tuple[tuple[Hash, Hash], ...]

    @classmethod
    def of(cls, block: Block) -> Content:
        """The content that proposes ``block``."""
        coinbase, *others = block.transactions
        txs = tuple([(tx.txid, tx.wtxid) for tx in others])
        return cls(block.header, block.last_commit, block.evidence, coinbase.txid, txs)

    def check_links(self) -> None:
        """Check that commit, evidence and transaction ids are those of the header (MalformedProposal). A few
        µs a transaction.
        """
        header = self.header
        _require(header.last_commit_hash == self.last_commit.hash, "last commit")
        _require(header.evidence_hash == evidence_hash(self.evidence), "evidence")
        _require(header.tx_count == len(self.txs) + 1, "transaction count")
        _require(header.tx_root == self._root(0), "transaction root")
        _require(header.wtx_root == self._root(1), "witness root")

    def _root(self, column: int) -> Hash:
        try:
            return merkle_root([self.coinbase, *[ids[column] for ids in self.txs]])
        except ValueError as error:
            raise MalformedProposal(str(error)) from error

    def encode(self) -> bytes:
        """Header ‖ last commit ‖ compact count, evidence with sizes ‖ coinbase txid ‖ compact count, (txid,
        wtxid) each.
        """
        return b"".join((
            self.header.encode(),
            self.last_commit.encode(),
            compact_size(len(self.evidence)),
            *map(var_bytes, self.evidence),
            self.coinbase,
            compact_size(len(self.txs)),
            *[txid + wtxid for txid, wtxid in self.txs],
        ))

    @classmethod
    def decode(cls, data: bytes) -> Content:
        """Read what ``encode`` wrote and check its links (DecodeError)."""
        reader = Reader(data)
        header = Header.decode(reader.take(HEADER_SIZE))
        last_commit = Commit.read(reader)
        evidence = _read_evidence(reader)
        coinbase = reader.take(HASH_SIZE)
        txs = _split(reader.take(reader.count(_ITEM_SIZE) * _ITEM_SIZE))
        reader.finish()
        content = cls(header, last_commit, evidence, coinbase, txs)
        content.check_links()
        return content


@dataclass(frozen=True, slots=True)
class Proposal:
    """A head and the content it names. Immutable; the pieces of both are at hand as attributes."""

    head: ProposalHead
    content: Content

    @property
    def epoch(self) -> int:
        """The epoch in which it was proposed."""
        return self.head.epoch

    @property
    def signer(self) -> int:
        """Signer index of the proposer."""
        return self.head.signer

    @property
    def height(self) -> int:
        """The height for which it was proposed."""
        return self.head.height

    @property
    def round(self) -> int:
        """The round in which it was proposed; that of its creation is ``header.round``."""
        return self.head.round

    @property
    def valid_round(self) -> int:
        """The round of its POL, or ``NO_ROUND``."""
        return self.head.valid_round

    @property
    def closing(self) -> bool:
        """Whether its block closes the epoch."""
        return self.head.closing

    @property
    def block_hash(self) -> Hash:
        """The hash of its block."""
        return self.head.block_hash

    @property
    def signature(self) -> bytes:
        """The proposer's signature over the head."""
        return self.head.signature

    @property
    def header(self) -> Header:
        """The block's header."""
        return self.content.header

    @property
    def last_commit(self) -> Commit:
        """The block's last commit."""
        return self.content.last_commit

    @property
    def evidence(self) -> tuple[bytes, ...]:
        """The block's evidence."""
        return self.content.evidence

    @property
    def txs(self) -> tuple[tuple[Hash, Hash], ...]:
        """(txid, wtxid) of each transaction but the coinbase, in block order."""
        return self.content.txs

    @property
    def digest(self) -> bytes:
        """The 32 bytes under the signature."""
        return self.head.digest

    def body(self) -> bytes:
        """The signed bytes."""
        return self.head.body()

    def signed(self, signature: bytes) -> Proposal:
        """The same proposal with a 64-byte compact signature."""
        return Proposal(replace(self.head, signature=signature), self.content)

    def sharing(self, content: Content) -> Proposal:
        """The same proposal on an equal content that is already in memory."""
        return Proposal(self.head, content)

    def check(self, members: PowerSet) -> SignatureCheck:
        """The signature check (``WrongSet``, ``NotAMember``)."""
        return self.head.check(members)

    def check_shape(self) -> None:
        """Check that the head belongs to the header, and the rounds to each other (MalformedProposal).

        Fresh: the header was made for this round. Else: it was made no later than the round of the POL
        (protocol.md 6).
        """
        head, header = self.head, self.header
        _require(header.hash == head.block_hash, "block hash")
        _require(header.closing == head.closing, "kind")
        _require(header.height == head.height, "height")
        _require(header.epoch == head.epoch, "epoch")
        _require(header.chain_id == head.chain_id, "chain id")
        _require(header.set_hash == head.set_hash, "set hash")
        _require(NO_ROUND <= head.valid_round < head.round, "valid round")
        _require(header.round == head.round if head.is_fresh else header.round <= head.valid_round, "round")

    def encode(self) -> bytes:
        """Head 179 ‖ content."""
        return self.head.encode() + self.content.encode()

    @classmethod
    def decode(cls, data: bytes) -> Proposal:
        """Read what ``encode`` wrote and check all links between the parts (DecodeError); the signature is
        checked apart.
        """
        if len(data) > MAX_FRAME:
            raise MalformedProposal("larger than a frame")
        proposal = cls(ProposalHead.decode(data), Content.decode(data[HEAD_SIZE:]))
        proposal.check_shape()
        return proposal


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise MalformedProposal(f"{what}: does not fit the rest of the proposal")


def _read_evidence(reader: Reader) -> tuple[bytes, ...]:
    count = reader.count(1)
    _require(count <= _MAX_EVIDENCE, "amount of evidence")
    return tuple([reader.var_bytes(reader.remaining) for _ in range(count)])


def _split(data: bytes) -> tuple[tuple[Hash, Hash], ...]:
    items = [data[at : at + _ITEM_SIZE] for at in range(0, len(data), _ITEM_SIZE)]
    return tuple([(item[:HASH_SIZE], item[HASH_SIZE:]) for item in items])
