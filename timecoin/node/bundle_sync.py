"""Bundles that a peer's status shows it to lack are sent to it, batch by batch (protocol.md 8)."""

from __future__ import annotations

from collections.abc import Callable

from timecoin.node.peer_view import BATCH_BYTES, SEND_QUEUE_LIMIT, GossipPeer, PeerView
from timecoin.node.shelf import BundleShelf
from timecoin.p2p import messages as wire


class BundleSync:
    """Sends from ``shelf``; ``read_bundle(peer, signer, sequence)`` sends what only the journal still holds."""

    def __init__(self, shelf: BundleShelf, read_bundle: Callable[[GossipPeer, int, int], None]) -> None:
        self._shelf = shelf
        self._read_bundle = read_bundle

    def send_missing(self, view: PeerView, has: dict[int, int], *, at_once: bool = False) -> None:
        """What a peer lacks that has ``has`` by signer, as far as it is due, or all of it ``at_once``."""
        for signer in sorted(self._shelf.highest):
            if view.peer.queued_bytes > SEND_QUEUE_LIMIT:
                return
            if self._is_due(view, signer, has.get(signer, 0)) or at_once:
                self.send(view, signer, has.get(signer, 0))

    def _is_due(self, view: PeerView, signer: int, has: int) -> bool:
        """Does the peer lack what we had at its last status? What is under way to it is not sent twice.

        It is due when the peer did not get on since then, or has all of the batch that it was sent. A peer that
        does not get on with what it was sent is slow, not forgetful: the same is sent again at ever fewer statuses.
        """
        previous_has, previous_highest = view.told.get(signer, (-1, 0))
        view.told[signer] = has, self._shelf.highest[signer]
        got_on = has != previous_has and has != view.sent.get(signer)
        resend = view.resends.get(signer)
        if resend is not None and resend.after == has and view.statuses < resend.due:
            return False
        return view.statuses == 1 or (has < previous_highest and not got_on)

    def send(self, view: PeerView, signer: int, after: int) -> None:
        """A batch of what one signer sent behind number ``after``."""
        batch: list[bytes] = []
        view.resend_later(signer, after)
        for sequence, encoded in self._shelf.after(signer, after, BATCH_BYTES):
            if encoded is None:
                self._read_bundle(view.peer, signer, sequence)
            else:
                batch.append(encoded)
            view.sent[signer] = sequence
        if batch:
            view.peer.send(wire.Bundles(tuple(batch)))
