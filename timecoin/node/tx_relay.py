"""How transactions reach every node: local ones are pushed, others announced where nothing else brings them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from timecoin.consensus.participant import Participant
from timecoin.node.peer_view import BATCH_BYTES, PeerView, broadcast
from timecoin.p2p import messages as wire

RELAY_DELAY_MS, LATE_RELAY_MS = 50, 2_000
"""After the first delay a transaction is announced to peers without a connection to where it came from, after the
second to all that have not voted for it."""
MAX_RELAYS = 100_000
"""Transactions that wait to be announced; with more, further ones are left to the votes that name them."""


class TransactionRelay:
    """Pushes and announces what ``participant`` admitted to ``peers``, who are keyed by node id."""

    def __init__(self, participant: Participant, peers: dict[bytes, PeerView]) -> None:
        self._participant = participant
        self._peers = peers
        self._push: list[bytes] = []
        self._relays: deque[tuple[int, bytes]] = deque()
        self._late_relays: deque[tuple[int, bytes]] = deque()
        self._sources: dict[bytes, set[bytes]] = {}

    def clock_set_back(self, step: int) -> None:
        """By ``step`` milliseconds: what was planned is as far away as it was before."""
        self._relays = deque([(at - step, txid) for at, txid in self._relays])
        self._late_relays = deque([(at - step, txid) for at, txid in self._late_relays])

    def announce(self, txid: bytes, local: bool, now: int) -> None:
        """A transaction became known and valid: push a local one, announce others where they are not known yet."""
        if local:
            entry = self._participant.finality.pool.get(txid)
            if entry is not None:
                self._push.append(entry.tx.raw)
        elif len(self._relays) < MAX_RELAYS:
            self._relays.append((now + RELAY_DELAY_MS, txid))
            self._late_relays.append((now + LATE_RELAY_MS, txid))

    def known_to(self, view: PeerView, txid: bytes) -> None:
        """A peer sent or announced a transaction: it has it."""
        while len(self._sources) >= MAX_RELAYS:
            del self._sources[next(iter(self._sources))]
        self._sources.setdefault(txid, set()).add(view.peer.node_id)

    def flush(self) -> None:
        """Send the bodies that wait to be pushed."""
        while self._push:
            batch: list[bytes] = []
            size = 0
            for raw in self._push:
                size += len(raw)
                if batch and size > BATCH_BYTES:
                    break
                batch.append(raw)
            del self._push[: len(batch)]
            broadcast(wire.Tx(tuple(batch)), self._peers.values())

    @property
    def has_push(self) -> bool:
        """Do bodies wait to be pushed?"""
        return bool(self._push)

    def relay_due(self, now: int) -> None:
        """Announce what has waited long enough."""
        while self._relays and self._relays[0][0] <= now:
            self._relay(self._relays.popleft()[1], late=False)
        while self._late_relays and self._late_relays[0][0] <= now:
            txid = self._late_relays.popleft()[1]
            self._relay(txid, late=True)
            self._sources.pop(txid, None)
        for view in self._peers.values():
            for start in range(0, len(view.inventory), wire.MAX_IDS):
                view.peer.send(wire.Inv(tuple(view.inventory[start : start + wire.MAX_IDS])))
            view.inventory.clear()

    def _relay(self, txid: bytes, *, late: bool) -> None:
        """Announce a transaction where it is not known; first only to those who have no connection to whoever sent
        it."""
        finality = self._participant.finality
        if txid not in finality.pool:
            return
        tally = finality.counter.tallies.get(txid)
        has = 0 if tally is None else tally.votes
        sources = self._sources.get(txid, set())
        origins = 0 if late else self._mask_of(sources)
        for node_id, view in self._peers.items():
            knows = view.signer is not None and has >> view.signer & 1
            if not knows and node_id not in sources and not view.connected & origins:
                view.inventory.append(txid)

    def _mask_of(self, node_ids: Iterable[bytes]) -> int:
        mask = 0
        for node_id in node_ids:
            view = self._peers.get(node_id)
            if view is not None and view.signer is not None:
                mask |= 1 << view.signer
        return mask
