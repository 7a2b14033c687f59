"""TLS 1.3 as a tunnel only: ephemeral self-signed certificates that nobody checks, and the exporter value
that the handshake signs.

Identity is the node key's signature over the exporter value (RFC 8446, section 7.5; RFC 5705), so a man in
the middle, who has one TLS session with each side, holds two different values and cannot pass either side's
signature on.
"""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

_EXPORTER_LABEL = b"EXPORTER-timecoin-hello"
_EXPORTER_SIZE = 32
# Fixed and long: a certificate that nobody checks should not tell when its node was started.
_NOT_BEFORE = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_NOT_AFTER = datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .sign(key, hashes.SHA256())
    )


def make_context() -> SSL.Context:
    """Return a TLS 1.3-only context with a fresh P-256 key and certificate, without session resumption."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_verify(SSL.VERIFY_NONE, None)
    key = ec.generate_private_key(ec.SECP256R1())
    context.use_privatekey(key)
    context.use_certificate(_certificate(key))
    return context


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class NodeTLS:
    """Makes TLS connections for both directions out of one ephemeral context; one for each run of a node."""

    def __init__(self, context: SSL.Context | None = None) -> None:
        """``context``: for tests; by default a fresh one of `make_context`."""
        self._context = make_context() if context is None else context

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """Return a new client-side connection; no server name is sent."""
        connection = SSL.Connection(self._context, None)
        connection.set_connect_state()
        return connection

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        """Return a new server-side connection."""
        connection = SSL.Connection(self._context, None)
        connection.set_accept_state()
        return connection

    def wrap(self, factory: IProtocolFactory, is_client: bool, clock: IReactorTime) -> TLSMemoryBIOFactory:
        """Return ``factory`` inside TLS; small writes are joined once per turn of ``clock``."""
        return TLSMemoryBIOFactory(self, is_client, factory, clock)


def exporter_value(transport: object) -> bytes:
    """Return the 32 bytes that are the same at both ends of this TLS session and at no other.

    ``transport`` is a `TLSMemoryBIOProtocol` whose handshake is complete.
    """
    connection: SSL.Connection = transport.getHandle()  # type: ignore[attr-defined]
    return bytes(connection.export_keying_material(_EXPORTER_LABEL, _EXPORTER_SIZE))
