"""What results say of connections: Bitcoin Core's members first, then what only TimeCoin has."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from timecoin.rpc.codec import Amount, HashText, HexText


class NetworkReach(TypedDict):
    """A kind of network; ``limited``: it is not dialled."""

    name: str
    limited: bool
    reachable: bool
    proxy: str
    proxy_randomize_credentials: bool


class LocalAddress(TypedDict):
    """An address that peers are told to dial."""

    address: str
    port: int
    score: int


class NetworkState(TypedDict):
    """This node on its network. ``version`` is that of the Bitcoin Core whose RPC this node answers like, as tools read
    it, and so is the first part of ``subversion`` (in the form of BIP 14); the node's own is the second part, and
    ``timecoin_version``. Rates in TIME per 1,000 vbytes."""

    version: int
    subversion: str
    protocolversion: int
    localservices: str
    localservicesnames: list[str]
    localrelay: bool
    timeoffset: int
    networkactive: bool
    connections: int
    connections_in: int
    connections_out: int
    networks: list[NetworkReach]
    relayfee: Amount
    incrementalfee: Amount
    localaddresses: list[LocalAddress]
    warnings: list[str]
    timecoin_version: str
    node_id: HexText
    timeoffset_ms: int


class PeerState(TypedDict):
    """A connection; times in Unix seconds (0: never), round trips in seconds. Identity is ``node_id``, the key of the
    other node, not its address; ``masternode_id`` when it proved to be a masternode."""

    id: int
    addr: str
    addrbind: NotRequired[str]
    network: str
    services: str
    servicesnames: list[str]
    relaytxes: bool
    lastsend: int
    lastrecv: int
    last_transaction: int
    last_block: int
    bytessent: int
    bytesrecv: int
    conntime: int
    timeoffset: int
    pingtime: NotRequired[float]
    minping: NotRequired[float]
    pingwait: NotRequired[float]
    version: int
    subver: str
    inbound: bool
    bip152_hb_to: bool
    bip152_hb_from: bool
    startingheight: int
    presynced_headers: int
    synced_headers: int
    synced_blocks: int
    inflight: list[int]
    addr_relay_enabled: bool
    addr_processed: int
    addr_rate_limited: int
    permissions: list[str]
    minfeefilter: Amount
    bytessent_per_msg: dict[str, int]
    bytesrecv_per_msg: dict[str, int]
    connection_type: str
    transport_protocol_type: str
    session_id: HexText
    node_id: HexText
    masternode_id: HashText | None
    pinned: bool


class UploadTarget(TypedDict):
    """There is no target: nothing is limited by it."""

    timeframe: int
    target: int
    target_reached: bool
    serve_historical_blocks: bool
    bytes_left_in_cycle: int
    time_left_in_cycle: int


class NetTotals(TypedDict):
    """Bytes since the start; ``timemillis`` is the clock."""

    totalbytesrecv: int
    totalbytessent: int
    timemillis: int
    uploadtarget: UploadTarget


class AddedConnection(TypedDict):
    """A connection with an added node: inbound or outbound."""

    address: str
    connected: str


class AddedNodeState(TypedDict):
    """A node that is always dialled."""

    addednode: str
    connected: bool
    addresses: list[AddedConnection]


class BanState(TypedDict):
    """A ban of an address, subnet or node key; Unix seconds."""

    address: str
    ban_created: int
    banned_until: int
    ban_duration: int
    time_remaining: int


class NodeAddress(TypedDict):
    """An address of another node; ``time``: when it was last heard of."""

    time: int
    services: int
    address: str
    port: int
    network: str


class BookCounts(TypedDict):
    """Addresses in the new and tried tables of the book."""

    new: int
    tried: int
    total: int
