"""What of node.ini and the genesis file reaches the peers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.ledger import builders
from timecoin.ledger.params import Parameters
from timecoin.node.config import parse
from timecoin.node.p2p_settings import p2p_config
from timecoin.p2p.config import P2PConfig

NODE = "11" * 33


def settings(text: str = "", **parameters: Any) -> P2PConfig:
    config = parse(f"[node]\ndata_dir = data\n{text}", "node.ini", Path("/somewhere"))
    genesis = builders.network(1, parameters=Parameters.for_epoch_seconds(8, **parameters))
    return p2p_config(config, genesis)


class P2PSettingsTests(SynchronousTestCase):
    def test_node_ini(self) -> None:
        text = f"[p2p]\nlisten = tcp:1 tcp:2\npeers = {NODE}@192.0.2.1:3\nmax_inbound = 4\nmax_outbound = 5\n"
        found = settings(text)
        self.assertEqual((found.listen, found.pinned), (("tcp:1", "tcp:2"), (f"{NODE}@192.0.2.1:3",)))
        self.assertEqual((found.slots.max_inbound, found.dialling.outbound), (4, 5))

    def test_onions_are_dialled_when_there_is_a_tor(self) -> None:
        self.assertFalse(settings().dialling.onion)
        self.assertTrue(settings("[p2p]\nonion = yes\n").dialling.onion)

    def test_silent_peers_are_given_up_when_the_genesis_says(self) -> None:
        for idle, ping in ((60_000, 20_000), (600_000, 20_000), (9_000, 3_000), (1, 1)):
            peers = settings(idle_timeout=idle).peers
            self.assertEqual((peers.idle_timeout, peers.ping_interval), (idle, ping))

    def test_masternodes_are_dialled_again_within_a_round(self) -> None:
        for propose, hello in ((3_000, 10_000), (1_000, 4_000)):
            found = settings(timeout_propose=propose)
            self.assertEqual((found.dialling.last_wait_wanted, found.peers.hello_timeout), (propose, hello))

    def test_the_address_book_is_named_after_what_it_is(self) -> None:
        self.assertEqual(settings().address_file, Path("/somewhere/data/peers.msgpack"))
