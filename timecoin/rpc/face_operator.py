"""What RPC may do with this node's operator key: sign a registration with it, never see it."""

from __future__ import annotations

from typing import Protocol


class Operator(Protocol):
    """The operator key of this node, a masternode or one to be."""

    @property
    def operator_key(self) -> bytes:
        """The public key, 33 bytes."""

    def sign(self, digest: bytes) -> bytes:
        """The 64-byte compact signature over a tagged digest of protocol.md section 3."""
        ...
