"""What this room asks of those who use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Interface

if TYPE_CHECKING:
    from timecoin.p2p.messages import Message
    from timecoin.p2p.peer import Peer
    from timecoin.p2p.reasons import CloseReason


class IPeerListener(Interface):
    """The owner of a `P2PService`: is told of peers and gets their messages, all in the reactor thread."""

    def peer_connected(peer: Peer) -> None:
        """Take note of a peer whose hello was verified and admitted; it may be sent to at once."""

    def peer_lost(peer: Peer, reason: CloseReason) -> None:
        """Take note that a connected peer is gone, or is being closed; nothing more comes from it."""

    def message(peer: Peer, message: Message) -> None:
        """Take one message other than handshake, ping and address exchange.

        A message that no honest node sends: call ``peer.misbehaved(code)``. An exception that leaves this
        method is a bug; it is logged and costs the peer its connection.
        """
