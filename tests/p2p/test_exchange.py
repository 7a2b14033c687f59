"""Address exchange between peers that are written down, not connected."""

from __future__ import annotations

from random import Random
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase

from timecoin.p2p.addrbook import AddressBook
from timecoin.p2p.connections import Connections
from timecoin.p2p.exchange import ASK_EVERY_MS, Exchange
from timecoin.p2p.messages import Addr, AddressRecord, GetAddr, Message
from timecoin.p2p.netaddress import NetAddress, from_host
from timecoin.p2p.peer import Peer

NOW = 1_700_000_000_000


class _Peer:
    inbound = False
    masternode_id = None
    greeting: Any = None

    def __init__(self, number: int) -> None:
        self.node_id = bytes([number]) * 33
        self.address = from_host(f"20.{number}.0.1", 5)
        self.listen: NetAddress | None = None
        self.sent: list[Message] = []

    def send(self, message: Message) -> bool:
        self.sent.append(message)
        return True


def record(number: int, seen: int = NOW // 1000) -> AddressRecord:
    return AddressRecord(1, bytes([40 + number % 50, number % 250, number // 250 % 250, 1]), 24100, 1, seen)


class ExchangeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.connections = Connections()
        self.book = AddressBook(b"k" * 32, Random(1))
        self.exchange = Exchange(self.book, self.connections, Random(2))
        self.peers = [_Peer(number) for number in range(1, 5)]
        for peer in self.peers:
            self.connections.establish(cast(Peer, peer))
            self.exchange.connected(cast(Peer, peer), NOW)

    def tell(self, *records: AddressRecord, now: int = NOW) -> None:
        self.exchange.told(cast(Peer, self.peers[0]), Addr(records), now)

    def ask(self, now: int) -> list[Message]:
        before = len(self.peers[0].sent)
        self.exchange.asked(cast(Peer, self.peers[0]), now)
        return self.peers[0].sent[before:]

    def test_who_connects_is_asked(self) -> None:
        self.assertEqual([[GetAddr()]] * 4, [peer.sent for peer in self.peers])
        self.exchange.ask_all()
        self.assertEqual(2, len(self.peers[0].sent))

    def test_news_goes_to_two_others_once(self) -> None:
        self.tell(record(1))
        self.tell(record(1))
        told = [peer for peer in self.peers if Addr((record(1),)) in peer.sent]
        self.assertEqual(2, len(told))
        self.assertNotIn(self.peers[0], told)

    def test_old_or_long_lists_are_learnt_but_not_passed_on(self) -> None:
        self.tell(record(1, NOW // 1000 - 3_600))
        self.tell(*[record(number) for number in range(2, 20)])
        self.assertEqual(19, len(self.book))
        self.assertTrue(all(peer.sent == [GetAddr()] for peer in self.peers))

    def test_unroutable_and_unknown_networks_are_ignored(self) -> None:
        self.tell(
            AddressRecord(1, bytes([127, 0, 0, 1]), 5, 0, 0),
            AddressRecord(1, bytes([8, 8, 8, 8]), 0, 0, 0),
            AddressRecord(5, b"i" * 32, 5, 0, 0),
            AddressRecord(77, b"", 5, 0, 0),
            AddressRecord(2, b"short", 5, 0, 0),
        )
        self.assertEqual(0, len(self.book))

    def test_a_flood_of_addresses_is_cut(self) -> None:
        for start in range(0, 4_000, 1_000):
            self.tell(*[record(number) for number in range(start, start + 1_000)])
        first = len(self.book)
        self.assertLessEqual(first, 1_000)
        self.tell(*[record(number) for number in range(4_000, 4_100)], now=NOW + 60_000)
        self.assertLessEqual(len(self.book), first + 60)

    def test_answers_are_rare(self) -> None:
        self.tell(record(1))
        self.assertEqual(1, len(self.ask(NOW)))
        self.assertEqual([], self.ask(NOW + 1_000))
        self.assertEqual(1, len(self.ask(NOW + ASK_EVERY_MS)))

    def test_an_empty_book_has_no_answer(self) -> None:
        self.assertEqual([], self.ask(NOW))

    def test_only_a_share_of_a_large_book_is_told(self) -> None:
        for number in range(2_000):
            source = from_host(f"30.{number % 200}.0.1", 5)
            self.book.add(record(number).address, source, 0, NOW // 1000, NOW // 1000)
        [answer] = self.ask(NOW)
        assert isinstance(answer, Addr)
        self.assertEqual(len(self.book) * 23 // 100, len(answer.addresses))

    def test_after_it_is_lost_a_peer_is_not_heard(self) -> None:
        self.exchange.lost(cast(Peer, self.peers[0]))
        self.tell(record(1))
        self.assertEqual(0, len(self.book))
