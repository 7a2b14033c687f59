"""The trusted block among peers: its header, by its height, and who has it in its chain (protocol.md section 10).

The hash decides, so that any block will do, closing or interim, and nobody's word counts. Who shows another block of
that height is no liar: its operator may trust another chain, or ours may have mistyped the hash.
"""

from __future__ import annotations

from timecoin.ledger.closing_chain import Anchor
from timecoin.node.anchor import describe
from timecoin.node.snapshot_sync_desk import Desk, JoinPeer
from timecoin.p2p import messages as wire
from timecoin.primitives.block import Header
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.hashes import Hash, display, sha256d

ASK_LACKING_MS = 5_000
"""A peer that has no block of that height yet, or does not answer, is asked again after so long."""
ASK_OTHERS_MS = 60_000
"""A peer that has another block there is asked again after so long: it may have changed its mind, and so may we."""
TELL_MS = 60_000
"""The operator is told so often that nobody has it."""


class AnchorSearch:
    """Asks all peers. ``header`` is the trusted block's, once somebody showed it; ``is_told``: the operator was told
    that nobody does.
    """

    def __init__(self, desk: Desk, anchor: Anchor) -> None:
        self._desk, self._anchor = desk, anchor
        self.header: Header | None = None
        self._asked: dict[bytes, int] = {}
        self._have: set[bytes] = set()
        self._others: dict[bytes, Hash] = {}
        self._told = desk.now
        self.is_told = False

    def holders(self) -> list[JoinPeer]:
        """Connected peers in whose chain it is."""
        return [peer for key, peer in self._desk.peers.items() if key in self._have]

    def rank(self, peer: JoinPeer) -> int:
        """0: it has the trusted block; 1: nobody knows; 2: it has another one there, so it is of another chain."""
        return 0 if peer.key in self._have else 2 if peer.key in self._others else 1

    def work(self) -> None:
        """Ask whoever was not asked, or not lately."""
        now = self._desk.now
        for key, peer in self._desk.peers.items():
            pause = ASK_OTHERS_MS if key in self._others else ASK_LACKING_MS
            if key not in self._have and now - self._asked.get(key, -pause) >= pause:
                self._asked[key] = now
                self._desk.send(peer, wire.GetHeaders(self._anchor.height, 1))
        if self.header is None and self._desk.peers and now - self._told >= TELL_MS:
            self._told, self.is_told = now, True
            self._desk.note(self.problem, loud=True)

    @property
    def problem(self) -> str:
        """What the operator has to know as long as nobody shows it."""
        peers = self._desk.peers
        shown = {self._others[key] for key in peers if key in self._others}
        others = sum(key in self._others for key in peers)
        return (
            f"none of {len(peers)} peers has the trusted block {describe(self._anchor)}"
            + (f"; {others} have {' or '.join(sorted(map(display, shown))[:3])} there" if others else "")
            + ". If [sync] trusted is mistyped or of another network, set it right; if it is right, these peers are "
            "not of its chain, or began after it. Looking on"
        )

    def takes(self, peer: JoinPeer, message: wire.Headers) -> bool:
        """An answer; False when it is not for this."""
        if message.through != self._anchor.height or peer.key not in self._asked or peer.key in self._have:
            return False
        if message.headers:
            self._judge(peer, message.headers[0])
        return True

    def _judge(self, peer: JoinPeer, encoded: bytes) -> None:
        block_hash = sha256d(encoded)
        try:
            header = Header.decode(encoded)
        except DecodeError as error:
            self._desk.drop(peer, f"a malformed header: {error}")
            return
        if header.height != self._anchor.height or header.chain_id != self._desk.chain_id:
            self._desk.drop(peer, "the header of another height or network than asked for")
        elif block_hash == self._anchor.block_hash:
            self._have.add(peer.key)
            self._others.pop(peer.key, None)
            self.header = header
        else:
            if peer.key not in self._others:
                self._desk.note(f"{peer.name} does not know the trusted block: it has {display(block_hash)} there")
            self._others[peer.key] = block_hash

    def lost(self, peer: JoinPeer) -> None:
        """A peer is gone."""
        self._asked.pop(peer.key, None)
        self._have.discard(peer.key)
        self._others.pop(peer.key, None)
