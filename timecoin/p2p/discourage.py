"""Whom not to talk to for a while: those who did what no honest node does (protocol.md, section 8). Pure."""

from __future__ import annotations

from timecoin.p2p.netaddress import NetAddress

#: How long a protocol violation is remembered, in ms (Bitcoin's default ban time).
DISCOURAGE_MS = 24 * 3_600_000
#: Most entries kept; the oldest go first.
MAX_ENTRIES = 10_000


def _shared(address: NetAddress | None) -> bool:
    # Behind Tor, loopback and private ranges many nodes share one address: only the key tells them apart.
    return address is None or address.is_onion() or not address._replace(port=1).is_routable()


class Discouraged:
    """Node keys and network groups that are refused until their time is over.

    Onion, loopback and private peers are remembered by node key, as are proven masternodes (whose network
    group may be shared with other masternodes); everybody else by network group.
    """

    def __init__(self, lifetime: int = DISCOURAGE_MS, limit: int = MAX_ENTRIES) -> None:
        """``lifetime`` in ms, ``limit`` in entries."""
        self._lifetime = lifetime
        self._limit = limit
        self._until: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._until)

    def add(self, address: NetAddress | None, node_id: bytes, member: bool, now: int) -> None:
        """Remember an offender; nothing is remembered of a keyless one at a shared address."""
        if not (member or _shared(address)):
            assert address is not None
            self._remember(b"group" + address.group(), now)
        elif node_id:
            self._remember(b"key" + node_id, now)

    def _remember(self, key: bytes, now: int) -> None:
        self._until.pop(key, None)
        self._until[key] = now + self._lifetime
        while len(self._until) > self._limit:
            del self._until[next(iter(self._until))]

    def refuses_key(self, node_id: bytes, now: int) -> bool:
        """Tell whether this node key is discouraged."""
        return self._holds(b"key" + node_id, now)

    def refuses_address(self, address: NetAddress | None, now: int) -> bool:
        """Tell whether this address's network group is discouraged."""
        return not _shared(address) and address is not None and self._holds(b"group" + address.group(), now)

    def _holds(self, key: bytes, now: int) -> bool:
        until = self._until.get(key)
        if until is None:
            return False
        if until > now:
            return True
        del self._until[key]
        return False

    def clear(self) -> None:
        """Forgive everybody (an operator's command)."""
        self._until.clear()
