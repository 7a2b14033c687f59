"""Every setting does what it says while the node runs, set through the tree as RPC and the manhole do it."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import Logger, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.node.solo import Solo
from tests.node.test_storage_service import StorageTestCase
from tests.node.test_wallet_service import WalletCase
from tests.node.wallet_world import COIN
from tests.p2p.network import Net
from tests.p2p.support import key
from tests.push.test_hub import HubTestCase
from tests.rpc.test_server import COUNT, ServerCase, Transport
from tests.storage.samples import scratch
from timecoin.mempool.errors import PoolFull
from timecoin.node import settings_bindings as bindings
from timecoin.node.config import parse
from timecoin.node.settings import Settings
from timecoin.node.settings_table import declared
from timecoin.ops.logs import ROOMS, Levels, observer_to
from timecoin.ops.manhole_watch import Watch
from timecoin.p2p.dialer import DialPolicy
from timecoin.p2p.limits import PUBLIC_BUDGETS, RateClass
from timecoin.push.websocket import PushProtocol
from timecoin.rpc.face_settings import NotAvailable
from timecoin.storage.chain import ChainStore

CONFIG = parse("", "node.ini", Path("/"))


def make_settings() -> Settings:
    return Settings(declared(CONFIG, 1 << 28), {}, lambda kept: succeed(None), lambda: 5)


class CompletenessTests(SynchronousTestCase):
    def test_each_setting_is_shown_to_work(self) -> None:
        cases = (StorageTests, P2PTests, PoolTests, RpcTests, PushTests, WalletTests, LogTests, ManholeTests)
        tested = {name.removeprefix("test_") for case in cases for name in dir(case) if name.startswith("test_")}
        for each in declared(CONFIG, 1 << 28):
            if not each.path.startswith("log."):
                self.assertIn(each.path.replace(".", "_"), tested)


class StorageTests(StorageTestCase):
    def prepared(self, **more: Any) -> tuple[Any, Settings]:
        service, settings = self.make(**more), make_settings()
        bindings.bind_storage(settings, service)
        self.successResultOf(service.startService())
        self.addCleanup(self.stop, service)
        return service, settings

    def test_storage_merge_keys(self) -> None:
        service, settings = self.prepared()
        seen: list[int] = []
        merge = ChainStore.merge
        self.patch(ChainStore, "merge", lambda store, keys: seen.append(keys) or merge(store, keys))
        settings.set("storage.merge_keys", 77)
        self.successResultOf(self.commit(service))
        self.assertEqual(seen[0], 77)

    def test_storage_pack_hours(self) -> None:
        _, settings = self.prepared(pack_hours=24)
        packs: list[str] = []
        self.patch(ChainStore, "pack", lambda store: packs.append("coins"))
        self.patch(ChainStore, "pack_blocks", lambda store: packs.append("blocks"))
        settings.set("storage.pack_hours", 1)
        self.clock.advance(3_601)
        self.assertEqual(packs, ["coins", "blocks"])
        settings.set("storage.pack_hours", 0)
        self.clock.advance(100 * 3_600)
        self.assertEqual(packs, ["coins", "blocks"])
        settings.set("storage.pack_hours", 2)
        self.clock.advance(7_201)
        self.assertEqual(len(packs), 4)

    def test_storage_packing(self) -> None:
        _, settings = self.prepared()
        packs: list[str] = []
        self.patch(ChainStore, "pack", lambda store: packs.append("coins"))
        self.patch(ChainStore, "pack_blocks", lambda store: packs.append("blocks"))
        self.pools["packing"].held = True
        self.assertIs(settings.get("storage.packing"), False)
        for _ in range(2):
            settings.set("storage.packing", "yes")
            self.assertIs(settings.get("storage.packing"), True)
        refused = self.assertRaises(NotAvailable, settings.set, "storage.packing", False)
        self.assertIn("half-way", str(refused))
        self.flushLoggedErrors(ValueError)
        self.pools["packing"].held = False
        self.pools["packing"].run()
        self.assertEqual(packs, ["coins", "blocks"])
        self.assertIs(settings.get("storage.packing"), False)

    def test_storage_snapshots(self) -> None:
        service, settings = self.prepared(snapshots=True)
        told: list[object] = []
        self.patch(service.snapshot_maker, "committed", lambda *block: told.append(block))
        settings.set("storage.snapshots", False)
        self.successResultOf(self.commit(service))
        self.assertEqual(told, [])
        settings.set("storage.snapshots", True)
        self.successResultOf(self.commit(service))
        self.assertEqual(len(told), 1)


class P2PTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.net = Net()
        self.addCleanup(self.net.stop)
        self.hub = self.net.node("hub", "10.0.0.1")
        self.settings = make_settings()
        bindings.bind_p2p(self.settings, self.hub)

    def dial_hub(self, name: str, number: int) -> bool:
        """Whether a new node that dials the hub stays connected."""
        self.net.node(name, f"10.0.0.{number}", config={"pinned": ("10.0.0.1:24100",)})
        self.net.start(name)
        self.net.settle()
        connected = "hub" in self.net.ids(name)
        self.net.nodes[name].dialer.stop()
        return connected

    def test_p2p_max_inbound(self) -> None:
        self.net.start("hub")
        self.assertTrue(self.dial_hub("a", 2))
        self.settings.set("p2p.max_inbound", 1)
        self.assertFalse(self.dial_hub("b", 3))
        self.assertEqual(self.net.ids("hub"), {"a"})
        self.settings.set("p2p.max_inbound", 2)
        self.assertTrue(self.dial_hub("c", 4))

    def test_p2p_max_outbound(self) -> None:
        for number in range(2, 6):
            self.net.node(f"n{number}", f"10.0.0.{number}", config={"dialling": DialPolicy(outbound=0)})
        self.net.start()
        self.settings.set("p2p.max_outbound", 1)
        for number in range(2, 6):
            address = self.net.nodes[f"n{number}"].identity.listen
            assert address is not None
            self.hub.book.add(address, address, 0, 1_700_000_000, 1_700_000_000)
        self.net.run(5)
        self.assertEqual(len(self.net.ids("hub")), 1)
        self.settings.set("p2p.max_outbound", 3)
        self.net.run(30)
        self.assertEqual(len(self.net.ids("hub")), 3)

    def test_p2p_rate_percent(self) -> None:
        self.net.start("hub")
        self.assertTrue(self.dial_hub("a", 2))
        peer = self.hub.peer(key("a"))
        assert peer is not None
        burst = PUBLIC_BUDGETS[RateClass.REQUESTS].burst
        now = int(self.net.clock.seconds() * 1000)
        self.settings.set("p2p.rate_percent", 10)
        self.assertGreater(peer._meter.charge(RateClass.REQUESTS, burst // 2, now), 0)
        self.settings.set("p2p.rate_percent", 100)
        self.assertEqual(peer._meter.charge(RateClass.REQUESTS, burst // 2, now), 0)
        self.assertTrue(self.dial_hub("b", 3))


class PoolTests(SynchronousTestCase):
    def test_mempool_max_bytes(self) -> None:
        solo = Solo(self, scratch(self))
        solo.start()
        settings = make_settings()
        bindings.bind_consensus(settings, solo.consensus)
        settings.set("mempool.max_bytes", 1 << 20)
        pool = solo.participant.finality.pool
        self.assertEqual(pool.max_bytes, 1 << 20)
        # No payment is that large: what the pool does with its limit shows at a limit below any payment.
        pool.max_bytes = 0
        prepared = solo.participant.prepare(solo.payment())
        self.assertRaises(PoolFull, solo.participant.admit, prepared, solo.consensus.now_ms(), local=False)
        settings.set("mempool.max_bytes", 1 << 28)
        solo.participant.admit(prepared, solo.consensus.now_ms(), local=False)
        self.assertEqual(len(pool), 1)


class RpcTests(ServerCase):
    def setUp(self) -> None:
        super().setUp()
        self.settings = make_settings()
        service: Any = SimpleNamespace(
            factory=self.factory, dispatcher=self.factory.dispatcher, context=SimpleNamespace(settings=None)
        )
        bindings.bind_rpc(self.settings, service)
        self.assertIs(service.context.settings, self.settings)

    def test_rpc_max_connections(self) -> None:
        self.send(self.request(COUNT))
        self.settings.set("rpc.max_connections", 1)
        _, refused = self.connect()
        self.assertIn(b" 503 ", refused.value())
        self.settings.set("rpc.max_connections", 5)
        _, taken = self.connect()
        self.assertEqual(taken.value(), b"")

    def test_rpc_max_request_bytes(self) -> None:
        long = COUNT + b" " * 3_000
        self.assertIn(b" 200 ", self.send(self.request(long)))
        self.settings.set("rpc.max_request_bytes", 2_000)
        self.assertNotIn(b" 200 ", self.send(self.request(long)))

    def test_rpc_max_batch(self) -> None:
        batch = b"[" + b",".join([COUNT] * 3) + b"]"
        self.settings.set("rpc.max_batch", 2)
        self.assertIn(b"above the limit of 2", self.send(self.request(batch)))
        self.settings.set("rpc.max_batch", 3)
        self.assertNotIn(b"above the limit", self.send(self.request(batch)))

    def test_rpc_timeout(self) -> None:
        self.settings.set("rpc.timeout", 3)
        _, transport = self.connect()
        assert isinstance(transport, Transport)
        self.clock.pump([1] * 5)
        self.assertTrue(transport.disconnecting)
        self.assertFalse(self.transport.disconnecting)


class PushTests(HubTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.settings = make_settings()
        bindings.bind_push(self.settings, self.hub)

    def test_push_max_clients(self) -> None:
        self.join()
        self.settings.set("push.max_clients", 1)
        self.assertTrue(self.hub.is_full)
        self.settings.set("push.max_clients", 2)
        self.assertFalse(self.hub.is_full)

    def test_push_buffer(self) -> None:
        self.settings.set("push.buffer", 5_000)
        protocol: Any = PushProtocol()
        protocol.factory = SimpleNamespace(hub=self.hub)
        protocol.transport = BufferedTransport()
        protocol.onOpen()
        self.assertLessEqual(protocol.transport.bufferSize, 5_000)
        self.hub.left(protocol.client)


class BufferedTransport(StringTransport):
    """A transport with a buffer of a size."""

    bufferSize = 1 << 16


class WalletTests(WalletCase):
    def test_wallet_gap_limit(self) -> None:
        settings = make_settings()
        bindings.bind_wallets(settings, self.world.service)
        settings.set("wallet.gap_limit", 33)
        self.assertEqual(self.make("two").state.book.gap_limit, 33)
        self.assertEqual(self.wallet.state.book.gap_limit, 20)

    def test_wallet_payments_ahead(self) -> None:
        settings = make_settings()
        bindings.bind_wallets(settings, self.world.service)
        settings.set("wallet.payments_ahead", 0)
        self.give(100 * COIN)
        for _ in range(6):
            self.pay(COIN, split_change=True)
        self.assertEqual(len(self.wallet.state.history.unspent()), 1)
        settings.set("wallet.payments_ahead", 50)
        self.pay(COIN, split_change=True)
        self.assertGreater(len(self.wallet.state.history.unspent()), 1)


class LogTests(SynchronousTestCase):
    def test_levels_of_all_and_of_rooms(self) -> None:
        file, levels, settings = io.StringIO(), Levels("info"), make_settings()
        bindings.bind_levels(settings, levels)
        publisher = LogPublisher(observer_to(file, levels))
        self.assertEqual({each.path for each in settings.describe("log")}, {"log.level", *(f"log.{x}" for x in ROOMS)})
        for room in ROOMS:
            log = Logger(f"timecoin.{room}.part", observer=publisher)
            for level in ("debug", "error", "inherit"):
                settings.set(f"log.{room}", level)
                log.debug(f"{room} {level} fine")
                log.info(f"{room} {level} note")
        settings.set("log.level", "debug")
        Logger("timecoin.node", observer=publisher).debug("all fine")
        texts = [line.split(": ")[1] for line in file.getvalue().splitlines()]
        of_rooms = [f"{room} {what}" for room in ROOMS for what in ("debug fine", "debug note", "inherit note")]
        self.assertEqual(texts, [*of_rooms, "all fine"])


class ManholeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.settings = Clock(), make_settings()
        self.manhole: Any = SimpleNamespace(watch=Watch(2.0), idle=[])
        self.manhole.set_idle_seconds = self.manhole.idle.append
        bindings.bind_manhole(self.settings, self.manhole)

    def test_manhole_command_seconds(self) -> None:
        self.settings.set("manhole.command_seconds", 5)
        self.assertEqual(self.manhole.watch.limit, 5.0)

    def test_manhole_idle_minutes(self) -> None:
        # That a connection is closed by it shows tests/ops/test_manhole_server.py.
        self.settings.set("manhole.idle_minutes", 3)
        self.assertEqual(self.manhole.idle, [180])
