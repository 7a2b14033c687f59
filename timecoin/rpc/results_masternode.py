"""What ``masternode`` answers (protocol.md section 3)."""

from __future__ import annotations

from typing import TypedDict

from timecoin.rpc.codec import Amount, HashText, HexText


class OutpointShown(TypedDict):
    """A coin."""

    txid: HashText
    vout: int


class MasternodeShown(TypedDict):
    """A registered masternode. ``in_set``: of the open epoch, ``signer`` its index there; ``connected`` to this node.

    ``absent``: closing blocks in a row without its signature. ``release_epoch``: the first in which its collateral is
    free, once it is unregistered or jailed.
    """

    id: HashText
    tier: str
    power: int
    status: str
    in_set: bool
    signer: int | None
    in_next_set: bool
    connected: bool
    service: str
    operator_key: HexText
    owner_key: HexText
    payout: str
    collateral: OutpointShown | None
    registered_height: int
    absent: int
    unregistered_epoch: int | None
    jailed_epoch: int | None
    release_epoch: int | None


class TierCounts(TypedDict):
    """Masternodes by tier."""

    free: int
    bronze: int
    silver: int
    gold: int


class MasternodeCounts(TypedDict):
    """Figures of the registry; ``eligible``: a set may be chosen from them."""

    total: int
    eligible: int
    in_set: int
    connected: int
    total_power: int
    tiers: TierCounts


class MasternodeStatus(TypedDict):
    """This node's own part. ``masternode``: it is a member of the open epoch's set; ``id`` and ``status`` are of its
    registration, if there is one by its operator key."""

    masternode: bool
    id: HashText | None
    status: str | None
    signer: int | None
    power: int
    voting: bool
    proposing: bool
    abstains: str | None
    operator_key: HexText | None


class OperatorKey(TypedDict):
    """A new operator key: ``operator_secret`` is for ``operator_key_file``, and for nobody else's eyes."""

    operator_secret: str
    operator_key: HexText


class Registered(TypedDict):
    """A registration that was sent. If it is archived in ``epoch``, the registry holds it from ``registry_epoch`` on,
    and the masternode can sit in the set from ``set_epoch`` on. ``collateral`` is locked in the wallet."""

    txid: HashText
    id: HashText
    tier: str
    power: int
    collateral: OutpointShown | None
    collateral_amount: Amount
    operator_key: HexText
    owner_key: HexText
    payout: str
    service: str
    fee: Amount
    epoch: int
    registry_epoch: int
    set_epoch: int
    notes: list[str]


class Changed(TypedDict):
    """A change of a registration that was sent; epochs as for a registration. ``release_epoch``: after unregistering,
    the first in which the collateral can be spent."""

    txid: HashText
    id: HashText
    fee: Amount
    epoch: int
    registry_epoch: int
    set_epoch: int
    release_epoch: int | None
    notes: list[str]
