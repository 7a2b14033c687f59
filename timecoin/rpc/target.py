"""Where a client finds a node, and how it shows who it is: the URL, the cookie file or a password, TLS."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from timecoin.rpc.cookie import basic, read_cookie

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """A node's RPC address. ``path`` is ``/`` or ``/wallet/NAME``."""

    secure: bool
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> Target:
        """``http://HOST:PORT``, ``https://HOST:PORT``, also with ``/wallet/NAME``; ValueError for anything else."""
        parts = urlsplit(url)
        path = parts.path or "/"
        if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("an RPC address is http://HOST:PORT or https://HOST:PORT")
        if parts.username is not None or parts.password is not None:
            raise ValueError("a password does not belong into an address")
        if not path.isascii() or any(each <= " " for each in path):
            raise ValueError("the path of an RPC address must be quoted")
        return cls(parts.scheme == "https", parts.hostname, parts.port or _PORTS[parts.scheme], path)

    @property
    def place(self) -> str:
        """``host:port`` for people and for the Host header."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def wallet(self) -> str | None:
        """NAME of ``/wallet/NAME``."""
        return unquote(self.path[8:]) if self.path.startswith("/wallet/") else None


@dataclass(frozen=True, slots=True)
class Login:
    """A user's name and password (``rpcauth``); the password shows nowhere."""

    user: str
    password: str = field(repr=False)


def authorization(who: Path | Login) -> str:
    """The Authorization header's value: of a user, or of the cookie file as it is now. Raises OSError."""
    text = f"{who.user}:{who.password}" if isinstance(who, Login) else read_cookie(who)
    return basic(text).decode("ascii")


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or later to a server whose certificate is signed by one in ``ca_file`` (PEM), or by one that the
    system trusts. Raises OSError."""
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def check_name(host: str, certificate: Certificate) -> None:
    """Whether a certificate is for this host name or IP address, by its subject alternative names only (RFC 6125
    and 2818). Raises ``service_identity.VerificationError`` or ``CertificateError``."""
    from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address

    if _is_address(host):
        verify_certificate_ip_address(certificate, host)
    else:
        verify_certificate_hostname(certificate, host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
