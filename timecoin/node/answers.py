"""What a peer asks for is sent to it, and what it turns out to lack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from timecoin.consensus import effects as fx
from timecoin.consensus.participant import Participant
from timecoin.node.bundle_sync import BundleSync
from timecoin.node.peer_view import BATCH_BYTES, SEND_QUEUE_LIMIT, PeerView
from timecoin.p2p import messages as wire


class Answers:
    """Answers out of what ``participant`` holds; ``peers`` are keyed by node id."""

    def __init__(self, participant: Participant, bundles: BundleSync, peers: Mapping[bytes, PeerView]) -> None:
        self._participant = participant
        self._bundles = bundles
        self._peers = peers

    def on_get_tx(self, view: PeerView, message: wire.GetTx) -> None:
        """Send the bodies asked for; those of proposals too."""
        found: list[bytes] = []
        absent: list[bytes] = []
        for key in message.ids:
            raw = self._body(key, message.by_wtxid)
            found.append(raw) if raw is not None else absent.append(key)
        self._send_bodies(view, found)
        if absent:
            view.peer.send(wire.NotFound(tuple(absent)))

    def _body(self, key: bytes, by_wtxid: bool) -> bytes | None:
        tx = self._participant.body(key, by_wtxid=by_wtxid)
        return None if tx is None else tx.raw

    @staticmethod
    def _send_bodies(view: PeerView, bodies: list[bytes]) -> None:
        batch: list[bytes] = []
        size = 0
        for raw in bodies:
            if batch and size + len(raw) > BATCH_BYTES:
                if view.peer.queued_bytes > SEND_QUEUE_LIMIT:
                    return
                view.peer.send(wire.Tx(tuple(batch)))
                batch, size = [], 0
            batch.append(raw)
            size += len(raw)
        if batch:
            view.peer.send(wire.Tx(tuple(batch)))

    def on_get_bundles(self, view: PeerView, message: wire.GetBundles) -> None:
        """Send bundles of one signer from a sequence on."""
        if message.epoch == self._participant.ledger.epoch and view.peer.queued_bytes < SEND_QUEUE_LIMIT:
            self._bundles.send(view, message.signer, max(0, message.from_sequence - 1))

    def on_get_proposal(self, view: PeerView, message: wire.GetProposal) -> None:
        """Send the proposal asked for, if it is of the height at hand."""
        if message.height != self._participant.height.height:
            return
        height = self._participant.height
        if message.block_hash is not None:
            proposal = height.proposal_of(message.block_hash)
        else:
            proposal = height.proposals.of_round(message.round or 0)
        if proposal is not None and view.peer.queued_bytes < SEND_QUEUE_LIMIT:
            view.peer.send(wire.Proposal(proposal.encode()))

    def on_get_pol(self, view: PeerView, message: wire.GetPol) -> None:
        """Send the prevotes held for a block in a round."""
        if message.height == self._participant.height.height:
            prevotes = self._participant.height.prevotes_for(message.round, message.block_hash)
            if prevotes:
                view.peer.send(wire.Pol(tuple(vote.encode() for vote in prevotes)))

    def show_transactions(self, shown: fx.ShowTransactions) -> None:
        """Send certificates (by bundles) and bodies of transactions that a proposer left out.

        First the bundles that it lacks by what it told; then those too that it ought to have, because its bundle of
        that number may be another one.
        """
        for view in self._peers.values():
            if view.signer == shown.signer:
                bodies = [raw for raw in (self._body(txid, False) for txid in shown.txids) if raw is not None]
                self._send_bodies(view, bodies)
                status = view.status
                has = dict(status.sequences) if status is not None and status.epoch == view.epoch else {}
                self._bundles.send_missing(view, has, at_once=True)
                self._send_certificates(view, shown.txids, has)

    def _send_certificates(self, view: PeerView, txids: Iterable[bytes], has: dict[int, int]) -> None:
        certificate = self._participant.finality.certificate
        bundles = {bundle.digest: bundle for txid in txids for bundle in certificate(txid)}
        lacking_first = sorted(bundles.values(), key=lambda each: has.get(each.signer, 0) >= each.sequence)
        for bundle in lacking_first:
            if view.peer.queued_bytes > SEND_QUEUE_LIMIT:
                return
            view.peer.send(wire.Bundles((bundle.encode(),)))
