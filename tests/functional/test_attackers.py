"""What strangers can do to a node: lose their connection. Payments become final meanwhile (protocol.md 8)."""

from __future__ import annotations

import random
import resource
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from tests.functional.load import SETTLED, Load
from tests.functional.observer import BACKEND, make_identity
from tests.functional.support import HOST, Devnet, FunctionalCase, Node, together, until
from tests.functional.testimony import Testimony
from timecoin.consensus.bundle import Bundle
from timecoin.node.key_files import new_key
from timecoin.p2p.framing import FrameBuffer, make_frame
from timecoin.p2p.handshake import Identity, Role, make_hello
from timecoin.p2p.messages import (
    KIND_OF,
    LIMITS,
    Bundles,
    GetBlocks,
    Hello,
    Reject,
    Tx,
    decode,
    encode_frame,
)
from timecoin.p2p.reasons import Code
from timecoin.p2p.tls import NodeTLS, exporter_value

reactor: Any = _reactor
EPOCH = 5
HELLO_SECONDS = 10
DICE = random.Random(8)


@implementer(IHandshakeListener)
class Stranger(Protocol):
    """A connection that does what it is told.

    ``secure`` and ``lost`` tell how far it came, ``greeted`` whether the node said hello, ``rejects`` why it
    closed.
    """

    def __init__(self) -> None:
        self.lost = self.secure = self.greeted = self.answered = False
        self.rejects: list[str] = []
        self._frames = FrameBuffer(LIMITS)

    def handshakeCompleted(self) -> None:
        """TLS is up."""
        self.secure = True

    def dataReceived(self, data: bytes) -> None:
        """Note what the node says."""
        self._frames.feed(data)
        while (frame := self._frames.next()) is not None:
            message = decode(*frame)
            if isinstance(message, Hello):
                self.greeted = True
            elif isinstance(message, Reject):
                self.rejects.append(message.code)
            else:
                self.answered = True

    def connectionLost(self, reason: object = None) -> None:
        """The node has had enough."""
        self.lost = True

    def say(self, data: bytes) -> None:
        """Send bytes, unless it is over."""
        if not self.lost and self.transport is not None:
            self.transport.write(data)

    async def leave(self) -> None:
        """Pull the plug."""
        if not self.lost:
            self.transport.abortConnection()  # type: ignore[union-attr]
            await until(lambda: self.lost, "the socket is closed", 5)

    def greet(self, identity: Identity) -> None:
        """Send a hello for this session."""
        hello = make_hello(identity, exporter_value(self.transport), Role.CLIENT, 0)
        self.say(encode_frame(hello))


class AttackerTests(FunctionalCase):
    async def test_the_attackers_lose_and_the_node_does_not(self) -> None:
        net = self.devnet(2, EPOCH)
        await net.up()
        victim = net.nodes[0]
        before = footprint(victim)
        self.load = Load(net, rate=10)
        self.load.start(self)
        half_open = [await self._connect(victim) for _ in range(80)]
        slow = await self._slow_hello(victim)
        await self._wrong_hellos(net)
        await self._not_tls(victim)
        await self._before_the_hello(victim)
        await self._after_the_hello(net)
        await self._deaf(net)
        await until(
            lambda: slow.lost and all(each.lost for each in half_open),
            "half-open and slow connections are closed",
            HELLO_SECONDS + 10,
        )
        await self.load.stop()
        self.assertEqual([], self.load.refused)
        await together(self.load.all_in(node, SETTLED, 10) for node in net.nodes)
        await self._unharmed(net, before)

    async def _connect(self, node: Node, tls: bool = False) -> Stranger:
        stranger = Stranger()
        factory: Any = Factory.forProtocol(lambda: stranger)
        factory.noisy = False
        wrapped = NodeTLS().wrap(factory, True, reactor) if tls else factory
        await TCP4ClientEndpoint(reactor, HOST, node.files.p2p_port).connect(wrapped)
        self.addCleanup(stranger.leave)
        if tls:
            await until(lambda: stranger.secure, "TLS is up", 10)
        return stranger

    async def _gone(self, stranger: Stranger, what: str) -> None:
        await until(lambda: stranger.lost, f"the connection is closed after {what}", 8)

    # The attacks

    async def _wrong_hellos(self, net: Devnet) -> None:
        """Another genesis, another network, too old, no signature: told so, and closed."""
        magic = int.from_bytes(net.genesis.network_info.magic, "big")
        for code, changes in (
            (Code.WRONG_GENESIS, {"chain_id": b"\x01" * 32}),
            (Code.WRONG_NETWORK, {"magic": magic ^ 1}),
            (Code.TOO_OLD, {"protocol_min": 0, "protocol_max": 0}),
            (Code.BAD_SIGNATURE, {"sign": lambda digest: bytes(64)}),
        ):
            stranger = await self._connect(net.nodes[0], tls=True)
            stranger.greet(make_identity(net.genesis, new_key(BACKEND), **changes))
            await self._gone(stranger, str(code))
            self.assertEqual([str(code)], stranger.rejects)

    async def _not_tls(self, victim: Node) -> None:
        """Bytes that are no TLS."""
        for junk in (b"GET / HTTP/1.1\r\n\r\n", DICE.randbytes(5_000), b"\x00" * 100_000):
            stranger = await self._connect(victim)
            stranger.say(junk)
            await self._gone(stranger, "junk")

    async def _before_the_hello(self, victim: Node) -> None:
        """TLS, and then something else than a hello."""
        number = KIND_OF[Hello].number
        for name, junk in (
            ("junk", DICE.randbytes(3_000)),
            ("an oversize hello", (4 << 20).to_bytes(4, "big") + bytes((number,))),
            ("a malformed hello", make_frame(number, DICE.randbytes(500))),
            ("a transaction", encode_frame(Tx((b"x" * 100,)))),
        ):
            stranger = await self._connect(victim, tls=True)
            stranger.say(junk)
            await self._gone(stranger, name)

    async def _after_the_hello(self, net: Devnet) -> None:
        """A sound hello, and then what no honest node sends: discouraged, so that it does not come back."""
        number = KIND_OF[Tx].number
        members = Testimony(net.genesis).members
        epoch = await net.nodes[0].epoch()
        forged = Bundle(net.genesis.chain_id, epoch, members.set_hash, 0, 90_000, False, (bytes(32),), ())
        for code, junk in (
            (Code.OVERSIZE, (64 << 20).to_bytes(4, "big") + bytes((number,))),
            (Code.MALFORMED, make_frame(number, b"\xc1" + DICE.randbytes(200))),
            (Code.MALFORMED, make_frame(250, b"?")),
            (Code.VIOLATION, encode_frame(Tx((DICE.randbytes(200),)))),
            (Code.VIOLATION, encode_frame(Bundles((DICE.randbytes(500),)))),
            (Code.VIOLATION, encode_frame(Bundles((forged.encode(),)))),
        ):
            identity = make_identity(net.genesis, new_key(BACKEND))
            stranger = await self._greeted(net.nodes[0], identity)
            stranger.say(junk)
            await self._gone(stranger, str(code))
            self.assertEqual([str(code)], stranger.rejects)
            again = await self._connect(net.nodes[0], tls=True)
            again.greet(identity)
            await self._gone(again, "it was discouraged")
            self.assertEqual([str(Code.DISCOURAGED)], again.rejects)

    async def _greeted(self, node: Node, identity: Identity) -> Stranger:
        """A connection whose hello was taken."""
        stranger = await self._connect(node, tls=True)
        stranger.greet(identity)
        await until(lambda: stranger.greeted and stranger.answered, "the node goes on after the hello", 10)
        return stranger

    async def _deaf(self, net: Devnet) -> None:
        """Asks for blocks for ever and reads nothing: what waits for it is bounded."""
        stranger = await self._greeted(net.nodes[0], make_identity(net.genesis, new_key(BACKEND)))
        stranger.transport.pauseProducing()  # type: ignore[union-attr]
        stranger.say(encode_frame(GetBlocks(1, 8)) * 20_000)

    async def _slow_hello(self, victim: Node) -> Stranger:
        """A hello, one byte at a time."""
        stranger = await self._connect(victim, tls=True)
        frame = iter(make_frame(KIND_OF[Hello].number, bytes(1_000)))
        drip = LoopingCall(lambda: stranger.say(bytes((next(frame),))))
        drip.start(0.3)
        self.addCleanup(drip.stop)
        return stranger

    # The node

    async def _unharmed(self, net: Devnet, before: tuple[int, int]) -> None:
        victim = net.nodes[0]
        for node in net.nodes:
            self.assertTrue(node.runs)
            self.assertNotIn("Traceback", node.tail())
        info = await victim.call("getconsensusinfo")
        self.assertTrue(info["voting"])
        peers = [each["node_id"] for each in await victim.call("getpeerinfo") if each["masternode_id"]]
        self.assertEqual([net.nodes[1].files.node_id], peers)

        async def let_go() -> bool:
            files, memory = footprint(victim)
            self.assertLess(memory - before[1], 80 << 20)
            return files <= before[0] + 8

        await until(let_go, "the node has closed the strangers' sockets", 20)


def footprint(node: Node) -> tuple[int, int]:
    """Open files, and resident bytes, of a node's process."""
    assert node.child is not None
    process = Path(f"/proc/{node.child.pid}")
    pages = int((process / "statm").read_text(encoding="ascii").split()[1])
    return len(list((process / "fd").iterdir())), pages * resource.getpagesize()
