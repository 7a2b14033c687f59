"""Scans for scripts that were imported: whoever leaves, and whenever the node stops, no coin is missed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.node.memory_file import MemoryFile
from tests.node.test_wallet_attacks import HeldCase
from tests.node.test_wallet_service import OTHER, WalletCase
from tests.node.wallet_world import COIN
from tests.rpc.fake_node import FakeNode
from timecoin.node import wallet_open
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput
from timecoin.rpc.dispatch import Dispatcher
from timecoin.rpc.face_wallet import Import, NewWallet
from timecoin.rpc.methods import all_methods
from timecoin.rpc.methods_wallets import getwalletinfo
from timecoin.rpc.table import Context
from timecoin.wallet.descriptors import Descriptor, parse_all
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.keys import Account


class ImportCase(WalletCase):
    """A chain in which another account was paid in blocks 3 and 60, of 130."""

    def setUp(self) -> None:
        super().setUp()
        account = Account.cosigner(ExtendedSecretKey.from_seed(bytes([9]) * 32), self.chain.network, 0)
        self.descriptor: Descriptor
        (self.descriptor,) = parse_all(f"wpkh({account.reveal_expression()}/0/*)", self.chain.network)
        for height in range(1, 131):
            index = {3: 25, 60: 10}.get(height)
            script = OTHER if index is None else self.descriptor.script(index)
            self.chain.block(self.chain.gift(script))
        self.world.settle()

    def imports(self, look_from: int | None = 0) -> list[Import]:
        return [Import(self.descriptor, 0, False, 0, 0, None, 0, "", look_from)]

    def context(self) -> Context:
        node: Any = FakeNode(Clock())
        node.blocks = self.chain.blocks
        return Context(node, all_methods(), wallets=self.world.service)

    def info(self) -> dict[str, Any]:
        return dict(getwalletinfo(self.context()))

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.world.clock.advance(0.002)


class Leaving(ImportCase):
    """Who asked is gone."""

    def test_after_any_number_of_steps(self) -> None:
        request = {"desc": self.descriptor.public_text, "timestamp": 0, "range": [0, 30]}
        body: dict[str, Any] = {"id": 1, "method": "importdescriptors", "params": [[request]]}
        for count in range(6):
            self.wait(self.world.service.unload(self.wallet.name, None))
            self.wallet = self.make(f"watching {count}", watch_only=True)
            dispatcher = Dispatcher(self.world.clock, self.context())
            answer: Any = dispatcher.answer(json.dumps(body).encode())
            self.steps(count)
            self.assertIsInstance(answer, Deferred)
            answer.addBoth(lambda _: None).cancel()
            self.world.settle()
            self.assertEqual(self.wallet.balances().watched.archived, 2 * COIN, count)
            self.assertEqual(self.wallet.state.settings.again_from, -1)

    def test_a_rescan_goes_on(self) -> None:
        self.wait(self.wallet.import_descriptors(self.imports(None)))
        scanning = self.wallet.rescan(0, None).addErrback(lambda _: None)
        self.steps(1)
        scanning.cancel()
        self.world.settle()
        self.assertEqual(self.mine(), (0, 0, 0, 2 * COIN))


class Stopping(ImportCase):
    """The node stops, or falls over, or its owner ends the scan."""

    files = MemoryFile

    def test_after_any_number_of_steps(self) -> None:
        for count in range(9):
            name = f"part {count}"
            self.wallet = self.make(name)
            self.wait(self.wallet.import_descriptors(self.imports()))
            self.wallet.finish_scan().addErrback(lambda _: None)
            self.steps(count)
            self.wait(self.world.service.unload(name, None))
            self.wallet = self.wait(self.world.service.load(name, None)).wallet
            self.world.settle()
            self.assertEqual(self.mine(), (0, 0, 0, 2 * COIN), count)
            self.assertEqual(self.wallet.state.settings.again_from, -1)

    def test_words_after_any_number_of_steps(self) -> None:
        scripts = [self.address() for _ in range(40)]
        self.chain.block(self.chain.gift(scripts[30]))
        for _ in range(60):
            self.chain.block(self.chain.gift(OTHER))
        self.chain.block(self.chain.gift(scripts[15]))
        words = self.wait(self.wallet.words())
        for count in range(12):
            name = f"words {count}"
            creating = self.world.service.create(NewWallet(name, words=words))
            self.steps(count)
            self.successResultOf(creating)
            self.wait(self.world.service.unload(name, None))
            self.wallet = self.wait(self.world.service.load(name, None)).wallet
            self.world.settle()
            self.assertEqual(self.mine(), (0, 0, 0, 2 * COIN), count)

    def test_a_crash_right_after_the_import(self) -> None:
        self.wait(self.wallet.import_descriptors(self.imports()))
        kept = {name: dict(table) for name, table in MemoryFile.kept[self.wallet.path].items()}
        self.wait(self.wallet.finish_scan())
        self.stop(self.world)
        MemoryFile.kept[self.wallet.path] = kept
        self.restart()
        self.world.settle()
        self.assertEqual(self.mine(), (0, 0, 0, 2 * COIN))

    def test_a_scan_that_its_owner_ended(self) -> None:
        self.wait(self.wallet.import_descriptors(self.imports()))
        scanning = self.wallet.finish_scan()
        self.assertEqual(self.info()["unscanned_from"], 51)
        self.assertTrue(self.wallet.abort_scan())
        self.fails(-1, scanning, "aborted")
        self.chain.block(self.chain.gift(OTHER))
        self.world.settle()
        self.assertEqual(self.info()["unscanned_from"], 51)
        self.wait(self.wallet.rescan(0, None))
        self.assertNotIn("unscanned_from", self.info())
        self.assertEqual(self.mine(), (0, 0, 0, 2 * COIN))

    def test_a_part_of_a_rescan_settles_nothing(self) -> None:
        self.wait(self.wallet.import_descriptors(self.imports()))
        self.wallet.following.paused = True
        self.wait(self.wallet.rescan(4, 20))
        self.world.settle()
        self.assertEqual(self.mine(), (0, 0, 0, 2 * COIN))

    def test_it_goes_on_where_it_was(self) -> None:
        (far,) = parse_all(self.descriptor.public_text.replace("/0/*", "/7/*").split("#")[0], self.chain.network)
        watching = self.make("watching", watch_only=True)
        self.wait(watching.import_descriptors([Import(far, 0, False, 0, 0, None, 0, "", 0)]))
        watching.finish_scan().addErrback(lambda _: None)
        self.steps(1)
        self.wait(self.world.service.unload("watching", None))
        self.chain.read.clear()
        self.wait(self.world.service.load("watching", None))
        self.world.settle()
        self.assertGreater(self.chain.read[0], 40)
        self.assertEqual(self.chain.read[-1], 130)


class Together(ImportCase):
    """Imports and other scans at the same time."""

    def test_an_import_while_a_search_is_under_way(self) -> None:
        words = self.wait(self.wallet.words())
        creating = self.world.service.create(NewWallet("again", words=words))
        self.steps(2)
        self.wallet = self.successResultOf(creating).wallet
        self.assertGreater(self.wallet.scanning.height, 3)
        importing = self.wallet.import_descriptors(self.imports())
        self.wait(importing)
        self.world.settle()
        self.assertEqual(self.mine(), (0, 0, 0, 2 * COIN))

    def test_a_part_that_makes_it_watch_more(self) -> None:
        self.wait(self.wallet.import_descriptors(self.imports(None)))
        self.assertIsNone(self.wallet.state.owned(self.descriptor.script(25)))
        self.chain.block(self.chain.gift(self.descriptor.script(30)), told=False)
        self.wallet.state.settings.synced = 131
        self.wait(self.wallet.rescan(50, 70))
        self.world.settle()
        self.assertEqual(self.mine(), (0, 0, 0, 2 * COIN))


class Known(ImportCase):
    """What is imported was paid by transactions that the wallet knows already."""

    def setUp(self) -> None:
        super().setUp()
        self.give(5 * COIN)
        self.pay(COIN, script=self.descriptor.script(0))
        self.before = self.wallet.balances().mine.total
        self.patch(wallet_open, "_AT_ONCE", 0)

    def test_it_counts_at_once(self) -> None:
        self.wait(self.wallet.import_descriptors(self.imports(None)))
        self.assertEqual(self.wallet.balances().mine.total, self.before + COIN)

    def test_also_when_another_one_is_refused(self) -> None:
        (single,) = parse_all(self.descriptor.reveal().split("#")[0].replace("*", "5"), self.chain.network)
        wrong = Import(single, 0, True, None, 0, None, 0, "")
        self.wait(self.wallet.import_descriptors([*self.imports(None), wrong]).addErrback(lambda _: None))
        self.assertEqual(self.wallet.balances().mine.total, self.before + COIN)

    def test_spent_and_archived_while_it_is_looked_for(self) -> None:
        paid = next(iter(self.wallet.state.history.newest_first())).tx
        place = [each.script for each in paid.outputs].index(self.descriptor.script(0))
        owning_again = self.wallet.state.history.owning_again

        def slowly() -> Iterator[None]:
            spent = Transaction(2, (TxInput(paid.outpoint(place)),), (TxOutput(COIN // 2, OTHER),))
            self.chain.block(*[tx for tx, _ in self.chain.pool.values()], spent)
            yield from owning_again()

        self.patch(self.wallet.state.history, "owning_again", slowly)
        self.wait(self.wallet.import_descriptors(self.imports(None)))
        self.world.settle()
        self.assertEqual(self.wallet.balances().mine.total, self.before)


class Snapshot(HeldCase):
    """A node that has not all blocks."""

    files = MemoryFile

    def test_older_coins_of_what_was_imported(self) -> None:
        account = Account.cosigner(ExtendedSecretKey.from_seed(bytes([9]) * 32), self.chain.network, 0)
        (descriptor,) = parse_all(f"wpkh({account.reveal_expression()}/0/*)", self.chain.network)
        for n in range(4):
            self.chain.block(self.chain.gift(descriptor.script(n)))
        self.chain.base = 3
        self.wait(self.wallet.import_descriptors([Import(descriptor, 0, False, 0, 0, None, 0, "", 0)]))
        self.wait(self.wallet.finish_scan())
        self.assertEqual(self.mine(), (0, 0, 0, 4 * COIN))
        self.assertEqual(self.wallet.state.settings.missing_below, 3)
