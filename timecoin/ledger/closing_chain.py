"""From a trusted closing block to a later one by their headers alone (protocol.md sections 10 and 11).

Each closing header names the set of the next epoch, and a quorum of that set signs the next closing block: so
whoever trusts one closing header follows the chain with one header, one commit and one set per epoch, and
neither blocks nor coins. Joining nodes and light clients both do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from timecoin.ledger.commits import commit_checks
from timecoin.ledger.errors import BadCommit
from timecoin.ledger.first import first_block
from timecoin.ledger.genesis import Genesis
from timecoin.ledger.powerset import PowerSet
from timecoin.primitives.block import Commit, Header
from timecoin.primitives.hashes import Hash, display
from timecoin.primitives.signing import SignatureCheck


class BadClosingLink(Exception):
    """A closing header that does not follow from the one before; ``.code`` names the rule."""

    code: ClassVar[str] = "bad-closing-link"

    def __init__(self, detail: str) -> None:
        super().__init__(f"{self.code}: {detail}")


class NotTheAnchor(BadClosingLink):
    """The first link is not the block that is trusted."""

    code = "closing-anchor"


class WrongNetwork(BadClosingLink):
    """The header belongs to another network."""

    code = "closing-network"


class NotClosing(BadClosingLink):
    """The header is that of an interim block."""

    code = "closing-flag"


class EpochGap(BadClosingLink):
    """The header is not of the epoch after the one before."""

    code = "closing-epoch"


class NotLater(BadClosingLink):
    """Height or slot time does not ascend, or the block right after the one before names another as its parent."""

    code = "closing-order"


class WrongSet(BadClosingLink):
    """The set is missing, or not the one that the closing header before promised."""

    code = "closing-set"


class UnprovenClosing(BadClosingLink):
    """The commit is for another block, or its signers are no quorum of the set."""

    code = "closing-commit"


class Anchor(NamedTuple):
    """A block that is trusted from outside, for what is here a closing one or block 0: height and hash (wire order)."""

    height: int
    block_hash: Hash


def genesis_anchor(genesis: Genesis) -> Anchor:
    """Block 0, which everybody who has the genesis file can trust."""
    return Anchor(0, first_block(genesis).block.header.hash)


class ClosingLink(NamedTuple):
    """A closing block's header, a commit for it, and the set S(e) of its epoch; None when that is the same set as
    the link's before."""

    header: Header
    commit: Commit
    members: PowerSet | None

    @classmethod
    def decode(cls, header: bytes, commit: bytes, members: bytes) -> ClosingLink:
        """The link in three encodings, ``b""`` for no set; ``DecodeError`` for anything else."""
        return cls(Header.decode(header), Commit.decode(commit), PowerSet.decode(members) if members else None)

    def encode(self) -> tuple[bytes, bytes, bytes]:
        """The three encodings that :meth:`decode` takes."""
        members = b"" if self.members is None else self.members.encode()
        return self.header.encode(), self.commit.encode(), members


class Trusted(NamedTuple):
    """A closing header that is followed so far and ``members``, S(e) of its epoch.

    ``header.next_set_hash`` is the set hash of S(e+1). It is as good as the anchor that it was followed from.
    """

    header: Header
    members: PowerSet


def start(chain_id: Hash, anchor: Anchor, link: ClosingLink) -> Trusted:
    """Begin with the trusted block itself: its hash vouches for all of it, so that its commit is not looked at.

    Raises ``NotTheAnchor``, ``WrongNetwork``, ``NotClosing``, ``WrongSet``.
    """
    header = link.header
    if (header.height, header.hash) != anchor:
        raise NotTheAnchor(f"block {header.height} {display(header.hash)} is not {display(anchor.block_hash)}")
    if header.chain_id != chain_id:
        raise WrongNetwork(display(header.chain_id))
    if not header.closing:
        raise NotClosing(f"block {header.height}")
    return Trusted(header, _set_of(link, None, header.set_hash))


def follow(trusted: Trusted, link: ClosingLink) -> tuple[Trusted, list[SignatureCheck]]:
    """Go on by one epoch; nothing is proven until the checks that come back hold, all of them.

    Raises the ``BadClosingLink`` of the rule that ``link`` breaks. A hundred members: about 35 µs of
    checking for each.
    """
    _check_header(trusted.header, link.header)
    members = _set_of(link, trusted.members, trusted.header.next_set_hash)
    if link.header.set_hash != members.set_hash:
        raise WrongSet("the header names another set than its predecessor")
    return Trusted(link.header, members), decided(link, members)


def follow_all(trusted: Trusted, links: Iterable[ClosingLink]) -> tuple[list[Trusted], list[SignatureCheck]]:
    """Follow one link after the other: every closing header reached, and all checks together, for one bulk."""
    reached: list[Trusted] = []
    checks: list[SignatureCheck] = []
    for link in links:
        trusted, more = follow(trusted, link)
        reached.append(trusted)
        checks += more
    return reached, checks


def _check_header(before: Header, header: Header) -> None:
    if header.chain_id != before.chain_id:
        raise WrongNetwork(display(header.chain_id))
    if not header.closing:
        raise NotClosing(f"block {header.height}")
    if header.epoch != before.epoch + 1:
        raise EpochGap(f"epoch {header.epoch} after {before.epoch}")
    if header.height <= before.height or header.slot_time <= before.slot_time:
        raise NotLater(f"block {header.height} after {before.height}")
    if header.height == before.height + 1 and header.previous != before.hash:
        raise NotLater(f"block {header.height} does not follow block {before.height}")


def _set_of(link: ClosingLink, known: PowerSet | None, due: Hash) -> PowerSet:
    members = known if link.members is None else link.members
    if members is None:
        raise WrongSet("the first link brings no set")
    if members.set_hash != due:
        raise WrongSet(f"set {display(members.set_hash)} instead of {display(due)}")
    return members


def decided(link: ClosingLink, members: PowerSet) -> list[SignatureCheck]:
    """The checks that hold if the link's commit proves that ``members`` decided its block; ``UnprovenClosing``.

    :func:`start` does not need them; whoever keeps the commit, or hands it on, does.
    """
    header, commit = link.header, link.commit
    if (commit.height, commit.block_hash) != (header.height, header.hash):
        raise UnprovenClosing("the commit is for another block")
    try:
        return commit_checks(header.chain_id, header.epoch, members, commit)
    except BadCommit as error:
        raise UnprovenClosing(error.detail) from error
