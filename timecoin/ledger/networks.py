"""The networks: what tells their messages, addresses and keys apart (protocol.md section 2)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from timecoin.primitives.hashes import sha256


class KeyVersions(NamedTuple):
    """Bitcoin's version bytes: WIF (1 byte), extended private and public keys (4 bytes each)."""

    wif: int
    xprv: bytes
    xpub: bytes


MAIN_KEYS: Final = KeyVersions(0x80, bytes.fromhex("0488ade4"), bytes.fromhex("0488b21e"))
TEST_KEYS: Final = KeyVersions(0xEF, bytes.fromhex("04358394"), bytes.fromhex("043587cf"))


class Network(NamedTuple):
    """One network; ports are the defaults of a node on it.

    ``magic`` (4 bytes) opens the hello, ``hrp`` is the address prefix, ``coin_type`` the hardened BIP 44
    number. ``allows_private_addresses``: whether nodes dial and spread private and loopback addresses.
    """

    name: str
    p2p_port: int
    rpc_port: int
    magic: bytes
    hrp: str
    keys: KeyVersions
    coin_type: int
    allows_private_addresses: bool


def _magic(name: str) -> bytes:
    return sha256(b"timecoin/magic/" + name.encode("ascii"))[:4]


MAINNET: Final = Network("mainnet", 24100, 24101, _magic("mainnet"), "time", MAIN_KEYS, 24100, False)
TESTNET: Final = Network("testnet", 24200, 24201, _magic("testnet"), "timet", TEST_KEYS, 1, False)
DEVNET: Final = Network("devnet", 24300, 24301, _magic("devnet"), "timed", TEST_KEYS, 1, True)

_KNOWN: Final = {network.name: network for network in (MAINNET, TESTNET, DEVNET)}
_CUSTOM_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")


def get(name: str) -> Network:
    """Return the network called ``name``; any other name is a custom network with devnet's prefix.

    Raises ValueError unless the name is 1-32 of a-z, 0-9 and hyphens, a letter first.
    """
    if name in _KNOWN:
        return _KNOWN[name]
    if not _CUSTOM_NAME.fullmatch(name):
        raise ValueError(f"not a network name: {name[:80]!r}")
    return DEVNET._replace(name=name, p2p_port=24400, rpc_port=24401, magic=_magic(name))
