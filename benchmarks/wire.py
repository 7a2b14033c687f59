"""What the wire costs a node for each payment: CPU of framing, codec, TLS and queues, in microseconds.

Two peers in one process over real loopback sockets carry what one payment costs one node in a network of
masternodes: the payment once in and once out, and its votes and acks. The process does the work of both ends;
each end's share is half.

Run: ``python -m benchmarks.wire [payments] [masternodes]``
"""

from __future__ import annotations

import os
import sys
import time
from random import Random

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from tests.p2p.support import BACKEND, Listener, identity, key
from timecoin.p2p.config import P2PConfig
from timecoin.p2p.messages import Bundles, Tx, encode_frame
from timecoin.p2p.service import P2PService

TX_SIZE = 222
BATCH = 50


async def connect() -> tuple[P2PService, P2PService, Listener]:
    heard = Listener()
    settings = {"listen": ("tcp:0:interface=127.0.0.1",), "allow_private": True}
    b = P2PService(reactor, Random(1), identity("b"), BACKEND, heard, P2PConfig(**settings))  # type: ignore[arg-type]
    b.startService()
    [port] = await b.listening
    where = f"{key('b').hex()}@127.0.0.1:{port.getHost().port}"  # type: ignore[attr-defined]
    a = P2PService(
        reactor, Random(2), identity("a"), BACKEND, Listener(), P2PConfig(**settings, pinned=(where,))  # type: ignore[arg-type]
    )
    a.startService()
    while not (a.peers and b.peers):
        await deferLater(reactor, 0.01)  # type: ignore[arg-type]
    # The budget is what is measured against, not with.
    b.peers[0].promote(b"m" * 32)
    return a, b, heard


async def carry(a: P2PService, heard: Listener, messages: list[Bundles | Tx]) -> float:
    """Return CPU seconds of both ends for encoding, sending, receiving and decoding the messages."""
    heard.messages.clear()
    began = time.process_time()
    for message in messages:
        frame = encode_frame(message)
        while not a.broadcast(frame):
            await deferLater(reactor, 0)  # type: ignore[arg-type]
    while len(heard.messages) < len(messages):
        await deferLater(reactor, 0)  # type: ignore[arg-type]
    return time.process_time() - began


async def main(payments: int, masternodes: int) -> None:
    a, b, heard = await connect()
    batches = payments // BATCH
    txs = [Tx(tuple(os.urandom(TX_SIZE) for _ in range(BATCH))) for _ in range(batches)]
    each = [os.urandom(200 + 2 * 32 * BATCH) for _ in range(masternodes)]
    bundles = [Bundles((body,)) for _ in range(batches) for body in each]
    for name, messages in (("payments", txs), ("votes and acks", bundles)):
        seconds = await carry(a, heard, messages)  # type: ignore[arg-type]
        one = seconds * 1e6 / (batches * BATCH)
        size = sum(len(encode_frame(message)) for message in messages)
        print(f"{name}: {one:.2f} us a payment for both ends, {one / 2:.2f} us for one; "
              f"{size / seconds / 1e6:.0f} MB/s of CPU time, {len(messages)} messages")
    await a.stopService()
    await b.stopService()


if __name__ == "__main__":
    arguments = [int(word) for word in sys.argv[1:]] + [20_000, 4][len(sys.argv) - 1 :]
    react(lambda _: Deferred.fromCoroutine(main(*arguments)), [])
