"""Making a network: fresh keys for its masternodes and funds, and the genesis that names them."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from timecoin.ledger.first import first_state
from timecoin.ledger.genesis import Genesis
from timecoin.ledger.genesis_builder import FirstMasternode, build_genesis
from timecoin.ledger.params import Parameters
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.tiers import Tier
from timecoin.node.key_files import new_key, write_key
from timecoin.node.keys import NODE_KEY
from timecoin.primitives import address
from timecoin.primitives.hashes import Hash, display, hash160
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.signing import SignatureBackend, get_backend
from timecoin.primitives.transaction import TxOutput

GENESIS_FILE = "genesis.json"
OPERATOR_KEY, OWNER_KEY, PAYOUT_KEY = "operator.key", "owner.key", "payout.key"


@dataclass(frozen=True, slots=True)
class Seat:
    """A masternode to be: its tier and the address that others dial."""

    tier: Tier
    service: ServiceAddress


@dataclass(frozen=True, slots=True)
class MasternodeKeys:
    """The secrets of one masternode, 32 bytes each; ``node`` is the key of its connections."""

    operator: bytes
    owner: bytes
    payout: bytes
    node: bytes

    def write(self, directory: Path) -> None:
        """Put each into a file of its own (mode 0600), the node key where a node looks for it;
        KeyFileError."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, secret in (
            (OPERATOR_KEY, self.operator),
            (OWNER_KEY, self.owner),
            (PAYOUT_KEY, self.payout),
            (NODE_KEY, self.node),
        ):
            write_key(directory / name, secret)


@dataclass(frozen=True, slots=True)
class Fund:
    """A coin of block 0 and the secret that spends it; ``amount`` in base units."""

    address: str
    secret: bytes
    txid: Hash
    vout: int
    amount: int

    def to_json(self) -> dict[str, str | int]:
        """As network.json holds it."""
        return {
            "address": self.address,
            "secret": self.secret.hex(),
            "txid": display(self.txid),
            "vout": self.vout,
            "amount": self.amount,
        }


@dataclass(frozen=True, slots=True)
class NewNetwork:
    """A genesis with the secrets behind it; ``masternodes`` in the order of the registrations."""

    genesis: Genesis
    masternodes: tuple[MasternodeKeys, ...]
    funds: tuple[Fund, ...]


def make_network(
    network: str,
    time: int,
    seats: Sequence[Seat],
    parameters: Parameters,
    *,
    fund_count: int = 0,
    fund_amount: int = 0,
    allocations: Sequence[TxOutput] = (),
    as_peers: bool = True,
    draw: Callable[[SignatureBackend], bytes] = new_key,
) -> NewNetwork:
    """A network of fresh keys whose genesis time is ``time`` (Unix seconds). Raises GenesisError.

    ``as_peers`` lists the seats as pinned peers, so that a node needs nothing but the genesis file to find
    the others. ``draw`` gives each secret; tests name one that gives the same ones every time.
    """
    backend = get_backend()
    keys = tuple(MasternodeKeys(*(draw(backend) for _ in range(4))) for _ in seats)
    secrets = fund_secrets(draw(backend), fund_count, backend)
    funds = [TxOutput(fund_amount, _script(secret, backend)) for secret in secrets]
    pinned = [f"{backend.public_key(key.node).hex()}@{seat.service}" for key, seat in zip(keys, seats, strict=True)]
    genesis = build_genesis(
        network,
        time,
        [_masternode(key, seat, backend) for key, seat in zip(keys, seats, strict=True)],
        parameters=parameters,
        allocations=[*allocations, *funds],
        peers=pinned if as_peers else (),
    )
    return NewNetwork(genesis, keys, _funds(genesis, secrets, fund_amount))


def fund_secrets(seed: bytes, count: int, backend: SignatureBackend) -> list[bytes]:
    """``count`` secrets that follow from ``seed``."""
    found = (hmac.digest(seed, b"fund %d" % n, "sha256") for n in range(count))
    return [secret for secret in found if backend.is_secret(secret)]


def _script(secret: bytes, backend: SignatureBackend) -> bytes:
    return p2wpkh(hash160(backend.public_key(secret)))


def _masternode(keys: MasternodeKeys, seat: Seat, backend: SignatureBackend) -> FirstMasternode:
    return FirstMasternode(
        operator_key=backend.public_key(keys.operator),
        owner_key=backend.public_key(keys.owner),
        payout=_script(keys.payout, backend),
        service=seat.service,
        tier=seat.tier,
    )


def _funds(genesis: Genesis, secrets: Sequence[bytes], amount: int) -> tuple[Fund, ...]:
    """The funds are the last outputs of block 0's coinbase."""
    coinbase = first_state(genesis)[0].transactions[0]
    first = len(genesis.allocations) - len(secrets)
    hrp = genesis.network_info.hrp
    return tuple(
        Fund(
            address.encode(genesis.allocations[first + n].script, hrp),
            secret,
            coinbase.txid,
            first + n,
            amount,
        )
        for n, secret in enumerate(secrets)
    )
