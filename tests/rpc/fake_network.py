"""Connections and scans of coins for RPC tests: what they are asked for is written down."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from twisted.internet.defer import Deferred, fail, succeed

from tests.rpc.fake_node import NETWORK, NOW_MS
from timecoin.ledger.coins import Coin
from timecoin.primitives.hashes import ZERO
from timecoin.primitives.transaction import make_outpoint
from timecoin.rpc import face_network as face
from timecoin.rpc.face_scans import CoinFigures, Found, ScanAborted, ScanUnderWay
from timecoin.rpc.table import Context

NOW = NOW_MS // 1000
OUTGOING = face.PeerDetails(
    number=0,
    address="127.0.0.1:25002",
    bound="127.0.0.1:40000",
    network="not_publicly_routable",
    inbound=False,
    purpose="manual",
    node_id=b"\2" * 33,
    masternode_id=NETWORK.genesis.registration_id(1),
    session=b"\5" * 32,
    connected_ms=NOW_MS,
    last_send_ms=NOW_MS,
    last_recv_ms=NOW_MS,
    last_transaction_ms=0,
    last_block_ms=NOW_MS,
    bytes_sent=10,
    bytes_received=20,
    messages_out={"ping": 10},
    messages_in={"pong": 20},
    ping_ms=2,
    least_ping_ms=1,
    ping_wait_ms=None,
    offset_ms=-20,
    version=1,
    user_agent="/x/",
    services=1,
    starting_height=1,
    height=3,
    pinned=True,
    addresses=(5, 1),
)


class FakeNetwork:
    """``rpc.face_network.Connections``."""

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []
        self.refusal: face.NetworkRefused | OSError | None = None
        self.active = True

    def _do(self, *what: object) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.done.append(what)

    def peers(self) -> Sequence[face.PeerDetails]:
        return [OUTGOING]

    def totals(self) -> face.Totals:
        return face.Totals(20, 10)

    def networks(self) -> Sequence[face.Reach]:
        return [face.Reach("ipv4", True), face.Reach("onion", False)]

    def ping(self) -> None:
        self._do("ping")

    def add(self, node: str) -> None:
        self._do("add", node)

    def remove(self, node: str) -> None:
        self._do("remove", node)

    def try_once(self, node: str) -> None:
        self._do("once", node)

    def added(self) -> Sequence[face.AddedNode]:
        return [face.AddedNode("10.0.0.1:1", (("10.0.0.1:1", False),)), face.AddedNode("10.0.0.2:1", ())]

    def disconnect(self, *, address: str = "", number: int = -1) -> bool:
        return address == OUTGOING.address or number == OUTGOING.number

    def ban(self, subject: str, until: int) -> None:
        self._do("ban", subject, until)

    def unban(self, subject: str) -> None:
        self._do("unban", subject)

    def clear_bans(self) -> None:
        self._do("clear")

    def bans(self) -> Sequence[face.BanView]:
        return [face.BanView("10.0.0.0/8", NOW - 10, NOW + 90)]

    def set_active(self, active: bool) -> None:
        self.active = active

    def is_active(self) -> bool:
        return self.active

    def addresses(self, count: int, network: str) -> Sequence[face.KnownAddress]:
        known = [face.KnownAddress(NOW, 1, "192.0.2.1", 24100, "ipv4"), face.KnownAddress(NOW, 1, "::5", 1, "ipv6")]
        found = [each for each in known if network in ("", each.network)]
        return found[:count] if count else found

    def book(self) -> Mapping[str, face.BookFigures]:
        return {"ipv4": face.BookFigures(3, 1), "ipv6": face.BookFigures(1, 0)}


class FakeScans:
    """``rpc.face_scans.Scans``: one coin of the first fund's script."""

    def __init__(self) -> None:
        self.under_way: int | None = None
        self.problem: Exception | None = None
        self.wanted: Collection[bytes] = ()

    def figures(self) -> Deferred[CoinFigures]:
        return succeed(CoinFigures(1, ZERO, b"\1" * 32, 6, 2, 300, 10**8))

    def find(self, scripts: Collection[bytes], limit: int) -> Deferred[Found]:
        if self.under_way is not None:
            raise ScanUnderWay
        self.wanted = scripts
        if self.problem is not None:
            return fail(self.problem)
        script = NETWORK.genesis.allocations[NETWORK.funds[0].vout].script
        found = ((make_outpoint(b"\7" * 32, 1), Coin(2, 5, script)),) if script in scripts else ()
        return succeed(Found(1, ZERO, 6, found))

    def progress(self) -> int | None:
        return self.under_way

    def abort(self) -> bool:
        was, self.under_way = self.under_way, None
        return was is not None


ABORTED = ScanAborted()


def networked(context: Context) -> FakeNetwork:
    """Give a context connections."""
    context.network = FakeNetwork()
    return context.network


def refusing(problem: face.NetworkRefused | OSError) -> object:
    """What gives a context connections on which nothing can be done."""

    def arrange(context: Context) -> None:
        networked(context).refusal = problem

    return arrange


def scanning(context: Context) -> FakeScans:
    """Give a context scans."""
    context.scans = FakeScans()
    return context.scans
