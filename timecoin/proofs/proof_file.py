"""A proof as a file: one JSON object that brings everything but what is trusted (protocol.md section 11).

Ids and hashes are hexadecimal as displayed, the transaction is hexadecimal without its witness, all else is base64 of
the canonical encodings. Each value can be written in one way only.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from timecoin.consensus.proof import StatementProof
from timecoin.ledger.closing_chain import ClosingLink
from timecoin.ledger.powerset import PowerSet
from timecoin.primitives.block import Commit, Header
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import HASH_SIZE, Hash, display, parse_display
from timecoin.primitives.transaction import Transaction
from timecoin.proofs.errors import MalformedProof, UnknownVersion
from timecoin.proofs.values import FinalityProof, Foundation, InclusionProof, LinkedBlock, Proof, SignedBlock

FORMAT: Final = "timecoin-proof"
VERSION: Final = 1
MAX_BYTES: Final = 16 * 1024 * 1024
"""A longer file is not read; a chain that needs more takes a later anchor."""
MAX_ACKS: Final = 1_000
"""Above the largest sensible set."""


class _Anchor(msgspec.Struct, forbid_unknown_fields=True):
    height: int
    hash: str
    header: bytes
    set: bytes


class _Link(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    header: bytes
    commit: bytes
    set: bytes | None = None


class _Common(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, tag_field="kind"):
    format: str
    version: int
    chain_id: str
    txid: str
    anchor: _Anchor
    links: list[_Link]
    transaction: str | None = None


class FinalityFile(_Common, tag="finality", kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A finality proof: ``acks`` are statement proofs, ``set`` is S(e) unless that is the set before."""

    acks: list[bytes]
    set: bytes | None = None


class InclusionFile(_Common, tag="inclusion", kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An inclusion proof: ``block`` signed by its set, or ``headers`` from the last closing block downwards."""

    position: int
    branch: list[str]
    block: _Link | None = None
    headers: list[bytes] | None = None


class _Envelope(msgspec.Struct):
    format: str
    version: int


_reader: Final = msgspec.json.Decoder(FinalityFile | InclusionFile)


def decode(data: bytes | str) -> Proof:
    """The proof in a file; ``MalformedProof``, ``UnknownVersion``. Says nothing about whether it holds."""
    if len(data) > MAX_BYTES:
        raise MalformedProof(f"longer than {MAX_BYTES} bytes")
    try:
        _check_envelope(msgspec.json.decode(data, type=_Envelope))
        read = _reader.decode(data)
        # Base64 can be written in more ways than one.
        if msgspec.to_builtins(read) != msgspec.json.decode(data):
            raise MalformedProof("not written in its one canonical way")
        return _finality(read) if isinstance(read, FinalityFile) else _inclusion(read)
    except msgspec.MsgspecError as problem:
        raise MalformedProof(str(problem)) from problem
    except (DecodeError, RecursionError, UnicodeError) as problem:
        raise MalformedProof(str(problem)) from problem


def to_json(proof: Proof) -> dict[str, Any]:
    """The members of the JSON object, binary parts as text."""
    members: dict[str, Any] = msgspec.to_builtins(_file_of(proof))
    return members


def encode(proof: Proof) -> bytes:
    """The file, without any white space."""
    return msgspec.json.encode(_file_of(proof))


def _check_envelope(envelope: _Envelope) -> None:
    if envelope.format != FORMAT:
        raise MalformedProof(f"format is not {FORMAT}")
    if envelope.version != VERSION:
        raise UnknownVersion(f"version {envelope.version}; {VERSION} is known here")


# Reading


def _finality(read: FinalityFile) -> FinalityProof:
    if len(read.acks) > MAX_ACKS:
        raise MalformedProof(f"more than {MAX_ACKS} acks")
    acks = tuple([StatementProof.decode(each) for each in read.acks])
    return FinalityProof(_hash(read.txid), _foundation(read), _set(read.set), acks, _transaction(read))


def _inclusion(read: InclusionFile) -> InclusionProof:
    block: SignedBlock | LinkedBlock
    if read.block is not None and read.headers is None:
        block = SignedBlock(*_link(read.block))
    elif read.headers is not None and read.block is None:
        block = LinkedBlock(tuple([Header.decode(each) for each in read.headers]))
    else:
        raise MalformedProof("either block or headers lead to the header")
    if not 0 <= read.position < 2**32:
        raise MalformedProof("position out of range")
    branch = tuple([_hash(each) for each in read.branch])
    return InclusionProof(_hash(read.txid), _foundation(read), block, read.position, branch, _transaction(read))


def _foundation(read: _Common) -> Foundation:
    header, members = Header.decode(read.anchor.header), PowerSet.decode(read.anchor.set)
    if (read.anchor.height, _hash(read.anchor.hash)) != (header.height, header.hash):
        raise MalformedProof("the anchor's height and hash are not its header's")
    if _hash(read.chain_id) != header.chain_id:
        raise MalformedProof("the chain id is not the anchor's")
    return Foundation(header, members, tuple([_link(each) for each in read.links]))


def _link(read: _Link) -> ClosingLink:
    return ClosingLink(Header.decode(read.header), Commit.decode(read.commit), _set(read.set))


def _set(encoded: bytes | None) -> PowerSet | None:
    return None if encoded is None else PowerSet.decode(encoded)


def _transaction(read: _Common) -> Transaction | None:
    if read.transaction is None:
        return None
    try:
        raw = bytes.fromhex(read.transaction)
    except ValueError:
        raise MalformedProof("the transaction is not hexadecimal") from None
    if raw.hex() != read.transaction:
        raise MalformedProof("the transaction is not written in its one canonical way")
    return Transaction.decode(raw)


def _hash(text: str) -> Hash:
    if len(text) != 2 * HASH_SIZE or text != text.lower():
        raise MalformedProof("a hash has 64 hexadecimal digits in lower case")
    try:
        return parse_display(text)
    except ValueError:
        raise MalformedProof("a hash has 64 hexadecimal digits") from None


# Writing


def _file_of(proof: Proof) -> FinalityFile | InclusionFile:
    foundation = proof.foundation
    header = foundation.header
    common: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "chain_id": display(header.chain_id),
        "txid": display(proof.txid),
        "anchor": _Anchor(header.height, display(header.hash), header.encode(), foundation.members.encode()),
        "links": [_link_file(each) for each in foundation.links],
        "transaction": None if proof.transaction is None else proof.transaction.raw.hex(),
    }
    if isinstance(proof, FinalityProof):
        return FinalityFile(**common, acks=[each.encode() for each in proof.acks], set=_encoded(proof.members))
    place: dict[str, Any] = {"position": proof.position, "branch": [display(each) for each in proof.branch]}
    if isinstance(proof.block, LinkedBlock):
        return InclusionFile(**common, **place, headers=[each.encode() for each in proof.block.headers])
    return InclusionFile(**common, **place, block=_link_file(ClosingLink(*_parts(proof.block))))


def _parts(block: SignedBlock) -> tuple[Header, Commit, PowerSet | None]:
    return block.header, block.commit, block.members


def _link_file(link: ClosingLink) -> _Link:
    return _Link(link.header.encode(), link.commit.encode(), _encoded(link.members))


def _encoded(members: PowerSet | None) -> bytes | None:
    return None if members is None else members.encode()
