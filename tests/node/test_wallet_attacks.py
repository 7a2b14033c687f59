"""What could lose or steal money: failing disks, callers who leave, clocks that run out in the middle, copies."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from tests.node.memory_file import MemoryFile
from tests.node.test_wallet_service import OTHER, WalletCase
from tests.node.wallet_world import COIN, World, refused
from timecoin.consensus.status import Status
from timecoin.ledger.errors import FeeTooLow
from timecoin.node.wallet_service import START_LIST
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput
from timecoin.rpc.face_wallet import Funding, Import, NewWallet
from timecoin.storage import wallet_files, wallet_store
from timecoin.storage.errors import WriteFailed
from timecoin.storage.wallet_backup import Identity, Record, write_backup
from timecoin.storage.wallet_store import WalletStore
from timecoin.wallet.descriptors import parse_all
from timecoin.wallet.errors import VaultLocked
from timecoin.wallet.hd import ExtendedSecretKey
from timecoin.wallet.keyring import Keyring, Words
from timecoin.wallet.keys import Account
from timecoin.wallet.messages import to_sign
from timecoin.wallet.secrets import Vault


class Held:
    """Threads that wait for :meth:`go` before they do what is in ``names``, or tell of what is in ``late``."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.late: set[str] = set()
        self.waiting: list[Deferred[None]] = []

    def __call__(self, work: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        name = getattr(work, "__name__", "")
        if name in self.late:
            done, told = maybeDeferred(work, *arguments), Deferred[None]()
            self.waiting.append(told)
            return told.addCallback(lambda _: done)
        if name not in self.names:
            return maybeDeferred(work, *arguments)
        result: Deferred[Any] = Deferred()

        def begin(_: None) -> None:
            # A thread goes on, whoever stopped waiting for it.
            maybeDeferred(work, *arguments).addBoth(result.callback)

        self.waiting.append(Deferred[None]().addCallback(begin))
        return result

    def go(self) -> None:
        self.names, self.late = set(), set()
        while self.waiting:
            self.waiting.pop(0).callback(None)


class HeldCase(WalletCase):
    """A wallet whose threads can be held up."""

    files: Any = WalletStore

    def setUp(self) -> None:
        self.held = Held()
        super().setUp()
        self.stop(self.world)
        self.world = World(self.directory, self.chain, load=("one",), files=self.files, in_thread=self.held)
        self.start(self.world)
        self.wallet = self.world.service.get("one")

    def reload(self) -> None:
        self.wait(self.world.service.unload("one", None))
        self.wallet = self.wait(self.world.service.load("one", None)).wallet


class Passphrases(HeldCase):
    """A passphrase that was refused must never be the one that is needed."""

    def no_space(self, *_: object) -> None:
        raise WriteFailed("no space left on device")

    def test_encryption_that_failed_is_not_written_later(self) -> None:
        rewrite = self.wallet._file.rewrite
        self.wallet._file.rewrite = self.no_space
        self.fails(-4, self.wallet.encrypt("forgotten"), "no space")
        self.wallet._file.rewrite = rewrite
        self.address()
        self.reload()
        self.assertFalse(self.wallet.state.keyring.is_encrypted)
        self.wait(self.wallet.words())

    def test_a_change_that_failed_is_not_written_later(self) -> None:
        self.wait(self.wallet.encrypt("old"))
        self.wallet._file.rewrite = self.no_space
        self.fails(-4, self.wallet.change_passphrase("old", "forgotten"), "no space")
        self.address()
        self.reload()
        self.wait(self.wallet.unlock("old", 60))

    def test_unloaded_while_it_is_unlocked(self) -> None:
        self.wait(self.wallet.encrypt("old"))
        self.held.late = {"master_key"}
        unlocking = self.wallet.unlock("old", 60)
        self.wait(self.world.service.unload("one", None))
        self.held.go()
        self.fails(-18, unlocking)
        self.assertTrue(self.wallet.state.keyring.is_locked)

    def test_who_leaves_while_it_is_encrypted(self) -> None:
        self.held.names = {"rewrite"}
        self.wallet.encrypt("known").addErrback(lambda _: None).cancel()
        self.held.go()
        self.world.settle()
        self.assertTrue(self.wallet.state.keyring.is_encrypted)
        self.assertTrue(self.wallet.state.keyring.is_locked)
        self.address()
        self.reload()
        self.wait(self.wallet.unlock("known", 60))
        self.wait(self.wallet.words())

    def test_who_leaves_while_it_is_changed(self) -> None:
        self.wait(self.wallet.encrypt("old"))
        self.held.names = {"rewrite"}
        self.wallet.change_passphrase("old", "new").addErrback(lambda _: None).cancel()
        self.held.go()
        self.world.settle()
        self.wait(self.wallet.unlock("new", 60))
        self.reload()
        self.wait(self.wallet.unlock("new", 60))

    def test_the_time_runs_out_while_it_is_changed(self) -> None:
        self.wait(self.wallet.encrypt("old"))
        for names in ({"rewrapped"}, {"rewrite"}, {"no_space"}):
            self.wait(self.wallet.unlock("old", 60))
            self.held.late = names
            if "no_space" in names:
                self.patch(self.wallet._file, "rewrite", self.no_space)
            changing = self.wallet.change_passphrase("old", "old").addErrback(lambda _: None)
            self.world.clock.advance(61)
            self.assertNoResult(changing)
            self.held.go()
            self.successResultOf(changing)
            self.assertTrue(self.wallet.state.keyring.is_locked, names)
            self.fails(-13, self.wallet.words())

    def test_secrets_that_were_being_read_are_forgotten_with_the_rest(self) -> None:
        self.wait(self.wallet.encrypt("old"))
        self.wait(self.wallet.unlock("old", 60))
        keyring: Keyring = self.wallet.state.keyring
        (descriptor_id, _), *_ = self.wallet.state.book.descriptors()
        read = Vault.open

        def locked_meanwhile(vault: Vault, name: bytes, sealed: bytes) -> bytes:
            plain = read(vault, name, sealed)
            self.wallet.lock()
            return plain

        patched = self.patch(Vault, "open", locked_meanwhile)
        keyring.descriptor(descriptor_id)
        patched.restore()
        self.assertRaises(VaultLocked, keyring.descriptor, descriptor_id)


class Leaving(HeldCase):
    """Who stops waiting changes nothing about what was begun."""

    def test_a_wallet_that_is_made(self) -> None:
        self.held.names = {"<lambda>"}
        self.world.service.create(NewWallet("two")).addErrback(lambda _: None).cancel()
        self.held.go()
        self.world.settle()
        self.assertEqual(self.world.service.loaded(), ["one", "two"])

    def test_a_wallet_that_is_unloaded(self) -> None:
        self.held.names = {"close"}
        self.world.service.unload("one", None).addErrback(lambda _: None).cancel()
        self.held.go()
        self.world.settle()
        self.wait(self.world.service.load("one", None))

    def test_a_payment_is_sent_or_it_is_not(self) -> None:
        self.give()
        draft = self.wait(self.wallet.fund([TxOutput(COIN // 4, OTHER)], Funding()))
        signed = self.wait(self.wallet.sign(draft.tx))
        self.held.names = {"commit"}
        self.wallet.send(signed.tx, {}).addErrback(lambda _: None).cancel()
        self.held.go()
        self.world.settle()
        self.assertEqual([each.txid for each in self.chain.submitted], [signed.tx.txid])


class FailingDisk(HeldCase):
    """What the caller was told did not work must not happen later."""

    files = MemoryFile

    def test_a_payment_that_could_not_be_kept_is_never_sent(self) -> None:
        self.give()
        draft = self.wait(self.wallet.fund([TxOutput(COIN // 4, OTHER)], Funding()))
        signed = self.wait(self.wallet.sign(draft.tx))
        commit = self.wallet._file.commit

        def no_space(_: object) -> None:
            raise WriteFailed("no space left on device")

        self.wallet._file.commit = no_space
        self.fails(-4, self.wallet.send(signed.tx, {}), "no space")
        self.wallet._file.commit = commit
        self.chain.block(self.chain.gift(OTHER), closing=True)
        self.world.settle()
        self.assertEqual(self.chain.submitted, [])
        self.assertEqual(self.mine(), (0, 0, 0, COIN))
        self.reload()
        self.assertEqual(self.chain.submitted, [])
        self.pay(COIN // 4)


class Keys(WalletCase):
    """No key that was brought is lost."""

    def test_two_keys_of_one_shared_wallet_one_after_the_other(self) -> None:
        network = self.chain.network
        one, two = (Account.cosigner(ExtendedSecretKey.from_seed(bytes([n]) * 32), network, 0) for n in (1, 2))
        public = one.public_expression, two.public_expression
        (first,), (second,) = (
            parse_all(f"wsh(multi(2,{a}/0/*,{b}/0/*))", network)
            for a, b in ((one.reveal_expression(), public[1]), (public[0], two.reveal_expression()))
        )
        for each in (first, second, first):
            self.wait(self.wallet.import_descriptors([Import(each, 0, False, None, 0, None, 0, "")]))
        script = first.script(3)
        self.assertEqual(len(self.wait(self.wallet.secrets([script]))), 2)
        self.assertTrue(self.wallet.state.can_complete(script))
        self.again()
        self.assertEqual(len(self.wait(self.wallet.secrets([script]))), 2)


class Finding(HeldCase):
    """Coins that are there are found, and those that are gone are not."""

    files = MemoryFile

    def spread(self) -> Words:
        """Address 30 is paid before address 15; the words of the wallet."""
        scripts = [self.address() for _ in range(40)]
        self.chain.block(self.chain.gift(scripts[30]))
        for _ in range(3):
            self.chain.block(self.chain.gift(OTHER))
        self.chain.block(self.chain.gift(scripts[15]))
        words: Words = self.wait(self.wallet.words())
        return words

    def test_an_address_beyond_the_gap_that_was_paid_first(self) -> None:
        restored = self.make("two", words=self.spread())
        self.world.settle()
        self.assertEqual(self.mine(restored), (0, 0, 0, 2 * COIN))

    def test_also_when_the_node_stops_in_between(self) -> None:
        words = self.spread()
        for steps in range(1, 12):
            name = f"part {steps}"
            creating = self.world.service.create(NewWallet(name, words=words))
            for _ in range(steps):
                self.world.clock.advance(0.002)
            self.successResultOf(creating)
            self.wait(self.world.service.unload(name, None))
            restored = self.wait(self.world.service.load(name, None)).wallet
            self.world.settle()
            self.assertEqual(self.mine(restored), (0, 0, 0, 2 * COIN), steps)
            self.wait(self.world.service.unload(name, None))

    def test_a_rescan_finds_it_too(self) -> None:
        restored = self.make("two", words=self.spread()._replace(passphrase="another"))
        scripts = [self.address(restored) for _ in range(40)]
        self.chain.block(self.chain.gift(scripts[30]), told=False)
        self.chain.block(self.chain.gift(scripts[15]), told=False)
        words = self.wait(restored.words())
        blank = self.make("three", words=words, rescan=False)
        blank.state.settings.synced = self.chain.state.height
        self.wait(blank.rescan(0, None))
        self.assertEqual(self.mine(blank), (0, 0, 0, 2 * COIN))

    def test_a_spend_that_stands_before_its_coin_in_a_block_nobody_told_of(self) -> None:
        made = self.chain.gift(self.address())
        spends = (Transaction(2, (TxInput(made.outpoint(0)),), (TxOutput(n, OTHER),)) for n in range(20_000, 30_000))
        spent = next(each for each in spends if each.txid[::-1] < made.txid[::-1])
        self.chain.block(made, spent)
        self.world.settle()
        self.assertEqual(self.mine(), (0, 0, 0, 0))
        self.assertEqual(self.wallet.state.settings.synced, self.chain.state.height)

    def test_a_certificate_that_lapsed_while_the_node_was_away(self) -> None:
        tx = self.chain.take(self.chain.gift(self.address()), Status.CERTIFIED)
        self.wait(self.world.service.unload("one", None))
        self.chain.pool.clear()
        self.wallet = self.wait(self.world.service.load("one", None)).wallet
        self.world.settle()
        self.assertEqual(self.wallet.state.history.get(tx.txid).status, "pending")


class SecondSignatures(HeldCase):
    """Moments in which a second spend of a coin might be signed in one epoch."""

    files = MemoryFile

    def drafts(self) -> tuple[Transaction, Transaction]:
        self.give()
        first, second = (
            Transaction(2, (TxInput(coin.outpoint),), (TxOutput(coin.value - fee, OTHER),))
            for coin in self.wallet.state.history.unspent()
            for fee in (50_000, 60_000)
        )
        return first, second

    def test_the_epoch_closes_while_the_record_is_written(self) -> None:
        first, second = self.drafts()
        for name in ("commit", "sign_raw"):
            self.held.names = {name}
            signing = self.wallet.sign(first)
            self.chain.block(self.chain.gift(OTHER), closing=True)
            self.assertNoResult(signing)
            self.held.go()
            self.assertTrue(self.wait(signing).complete)
            self.fails(-4, self.wallet.sign(second), "signed away")
            self.chain.block(self.chain.gift(OTHER), closing=True)
            self.world.settle()

    def test_another_device_spent_it_while_the_wallet_was_not_loaded(self) -> None:
        first, second = self.drafts()
        self.wait(self.world.service.unload("one", None))
        self.chain.block(self.chain.gift(OTHER))
        self.chain.take(first)
        self.held.names = {"_slice"}
        self.wallet = self.successResultOf(self.world.service.load("one", None)).wallet
        signing = self.wallet.sign(second)
        self.world.settle()
        self.assertNoResult(signing)
        self.held.go()
        self.fails(-4, signing, "signed away")
        self.assertEqual(self.mine(), (0, 0, 0, 0))

    def refused_when_sent(self, tx: Transaction, **options: Any) -> None:
        signed = self.wait(self.wallet.sign(tx, **options))
        self.chain.refusal = refused(FeeTooLow)
        self.fails(-26, self.wallet.send(signed.tx, {}))
        self.chain.refusal = None

    def test_one_that_was_handed_out_stays_on_record_when_the_node_refuses_it(self) -> None:
        first, second = self.drafts()
        self.wait(self.wallet.sign(first))
        self.refused_when_sent(first)
        self.fails(-4, self.wallet.sign(second), "signed away")

    def test_also_when_the_node_was_started_in_between(self) -> None:
        first, second = self.drafts()
        self.wait(self.wallet.sign(first))
        self.again()
        self.refused_when_sent(first)
        self.fails(-4, self.wallet.sign(second), "signed away")

    def test_also_when_another_one_was_forced(self) -> None:
        first, second = self.drafts()
        third = Transaction(2, first.inputs, (TxOutput(COIN // 3, OTHER),))
        self.wait(self.wallet.sign(first))
        self.refused_when_sent(second, may_block_coins=True)
        self.fails(-4, self.wallet.sign(third), "signed away")

    def test_one_that_never_left_frees_its_coin(self) -> None:
        first, second = self.drafts()
        self.refused_when_sent(first)
        self.assertTrue(self.wait(self.wallet.sign(second)).complete)

    def test_a_scan_that_was_ended_tells_nothing(self) -> None:
        first, second = self.drafts()
        self.wait(self.world.service.unload("one", None))
        self.chain.block(self.chain.gift(OTHER))
        self.chain.take(first)
        self.held.names = {"_slice"}
        self.wallet = self.successResultOf(self.world.service.load("one", None)).wallet
        signing = self.wallet.sign(second)
        self.assertTrue(self.wallet.abort_scan())
        self.held.go()
        self.fails(-4, signing, "caught up")
        self.assertTrue(self.wait(self.wallet.sign(second, may_block_coins=True)).complete)


class Copies(WalletCase):
    """Backups and copies of one wallet."""

    files = WalletStore

    def test_two_copies_are_not_loaded_at_once(self) -> None:
        service = self.world.service
        self.wait(self.wallet.backup(self.directory / "copy"))
        self.fails(-4, service.restore("two", self.directory / "copy", None), "copy of")
        self.assertEqual(self.wait(service.on_disk()), ["one"])
        self.wait(service.unload("one", None))
        self.wait(service.restore("two", self.directory / "copy", None))
        self.fails(-4, service.load("one", None), "copy of")
        self.wait(service.unload("two", None))
        self.wait(service.load("one", None))

    def test_a_restored_copy_signs_nothing_in_the_epoch_of_the_one_it_follows(self) -> None:
        self.give()
        (coin,) = self.wallet.state.history.unspent()
        first, second = (
            Transaction(2, (TxInput(coin.outpoint),), (TxOutput(n, OTHER),)) for n in (COIN // 2, COIN // 4)
        )
        self.wait(self.wallet.backup(self.directory / "copy"))
        self.wait(self.wallet.sign(first))
        self.wait(self.world.service.unload("one", None))
        self.wallet = self.wait(self.world.service.restore("two", self.directory / "copy", None)).wallet
        self.fails(-4, self.wallet.sign(second), "restored")
        self.wait(self.world.service.unload("two", None))
        self.wallet = self.wait(self.world.service.load("two", None)).wallet
        self.fails(-4, self.wallet.sign(second), "restored")
        self.chain.syncing = True
        self.chain.block(self.chain.gift(OTHER), closing=True)
        self.world.settle()
        self.chain.syncing = False
        self.fails(-4, self.wallet.sign(second), "restored")
        self.chain.block(self.chain.gift(OTHER), closing=True)
        self.wait(self.wallet.sign(second))

    def test_sources_that_are_no_files(self) -> None:
        os.mkfifo(self.directory / "pipe")
        for source in (self.directory / "pipe", self.directory, Path("/dev/zero"), Path("a\0b"), Path("\ud800")):
            self.fails(-8, self.world.service.restore("two", source, None))
            self.assertEqual(self.wait(self.world.service.on_disk()), ["one"])

    def test_a_backup_that_holds_nonsense(self) -> None:
        identity = Identity(self.chain.chain_id, bytes(16))
        records = {"settings": b"settings", "transactions": bytes(32), "guard": bytes(36), "vault": b"header"}
        records |= {"scripts": bytes(8), "descriptors": bytes(32), "found": bytes(36), "labels": b"x"}
        for n, (table, key) in enumerate(records.items()):
            source = self.directory / f"nonsense {n}"
            write_backup(source, identity, [Record(table, key, b"\xff\xfe")])
            self.fails(-8, self.world.service.restore("two", source, None))
            self.assertEqual(self.wait(self.world.service.on_disk()), ["one"], table)

    def test_destinations_that_are_no_new_files(self) -> None:
        (self.directory / "link").symlink_to(self.directory / "elsewhere")
        inside = self.directory / "one" / "wallet.fs"
        for place in (self.directory / "link", self.directory, inside, Path("a\0b"), Path("\ud800"), Path("x" * 300)):
            self.fails(-4, self.wallet.backup(place))
        self.assertFalse((self.directory / "elsewhere").exists())

    def test_names_that_the_service_uses_itself(self) -> None:
        for name in (START_LIST, f"{START_LIST}.new"):
            self.fails(-8, self.world.service.create(NewWallet(name)))

    def test_files_are_the_owners_own(self) -> None:
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        made = self.make("two", load_on_startup=True)
        self.wait(made.backup(self.directory / "copy"))
        self.wait(made.encrypt("secret"))
        self.wait(made.new_script(0, ""))
        found = {
            path: path.stat().st_mode & 0o077 for path in [*made.path.rglob("*"), made.path, self.directory / "copy"]
        }
        self.assertEqual(
            {path: mode for path, mode in found.items() if mode and path.suffix not in (".index", ".lock")}, {}
        )

    def test_the_file_of_a_wallet_in_use_does_not_grow_for_ever(self) -> None:
        path = self.wallet.path / "wallet.fs"
        self.patch(wallet_store, "SLACK", 200_000)
        sizes = []
        for n in range(400):
            self.wallet.state.book.set_label(OTHER, f"{n}" + "x" * 1_000)
            self.wait(self.wallet.writer.flush())
            sizes.append(path.stat().st_size)
        self.assertLess(max(sizes), 700_000)
        self.again()
        self.assertTrue(self.wallet.state.book.label(OTHER).startswith("399"))

    def test_an_old_file_that_could_not_be_wiped_is_told_of(self) -> None:
        wipe = wallet_files.wipe

        def cannot(path: Path) -> None:
            if path.suffix == ".old" and path.exists():
                raise OSError("no")
            wipe(path)

        warnings: list[str] = []
        self.patch(wallet_files, "wipe", cannot)
        self.patch(type(self.wallet), "log", Logged(warnings))
        self.wait(self.wallet.encrypt("secret"))
        self.assertEqual([str(self.wallet.path / "wallet.fs.old") in each for each in warnings], [True])


class Logged:
    """A logger whose warnings are kept."""

    def __init__(self, warnings: list[str]) -> None:
        self._warnings = warnings

    def warn(self, text: str, **more: object) -> None:
        self._warnings.append(text.format(**more))


class Untrusted(WalletCase):
    """Coins of others before they are final, and payments that were refused."""

    def test_a_coin_that_is_named_and_not_final(self) -> None:
        tx = self.chain.take(self.chain.gift(self.address()), Status.CERTIFIED)
        for funding in (Funding(inputs=(tx.outpoint(0),)), Funding(inputs=(tx.outpoint(0),), all_to=(0,))):
            self.fails(-4, self.wallet.fund([TxOutput(COIN // 4, OTHER)], funding), "not final")
        unsafe = Funding(inputs=(tx.outpoint(0),), include_unsafe=True)
        self.wallet.release(self.wait(self.wallet.fund([TxOutput(COIN // 4, OTHER)], unsafe)))
        self.chain.reach(tx.txid, Status.FINAL)
        self.wait(self.wallet.fund([TxOutput(COIN // 4, OTHER)], Funding(inputs=(tx.outpoint(0),))))

    def test_one_that_was_refused_again_is_not_sent_later(self) -> None:
        self.give()
        tx = self.pay(COIN // 4)
        self.chain.reach(tx.txid, Status.REJECTED, "expired")
        self.chain.refusal = refused(FeeTooLow)
        self.fails(-26, self.wallet.send(tx, {}))
        self.chain.refusal = None
        self.assertEqual(self.wallet.state.history.get(tx.txid).status, "rejected")
        submitted = len(self.chain.submitted)
        self.chain.block(self.chain.gift(OTHER), closing=True)
        self.world.settle()
        self.assertEqual(len(self.chain.submitted), submitted)


class Mistakes(WalletCase):
    """What an owner's slip must not cost."""

    def test_a_fee_that_nobody_means(self) -> None:
        self.give(1_000 * COIN)
        for funding in (Funding(rate=10_000_001), Funding(rate=2_000_000_000), Funding(rate=10_000_001, all_to=(0,))):
            self.fails(-6, self.wallet.fund([TxOutput(COIN, OTHER)], funding), "Fee exceeds maximum")
        self.wait(self.wallet.set_fee_rate(1_000_000_000))
        self.fails(-6, self.wallet.fund([TxOutput(COIN, OTHER)], Funding()), "Fee exceeds maximum")
        self.wait(self.wallet.fund([TxOutput(COIN, OTHER)], Funding(rate=10_000_000)))

    def test_drafts_that_come_to_nothing_do_not_hide_change(self) -> None:
        self.give()
        for n in range(50):
            draft = self.wait(self.wallet.fund([TxOutput(COIN // 4 + n, OTHER)], Funding()))
            self.wallet.release(draft)
        self.pay(COIN // 2)
        self.chain.block()
        self.world.settle()
        restored = self.make("two", words=self.wait(self.wallet.words()))
        self.world.settle()
        self.assertEqual(self.mine(restored), self.mine())
        fresh = {self.pay(COIN // 100).outputs[-1].script for _ in range(3)}
        self.assertGreater(len(fresh), 0)

    def test_a_message_in_the_form_of_a_transaction(self) -> None:
        script = self.address()
        asked = to_sign(script, b"I owe you everything")
        told = {asked.inputs[0].outpoint: TxOutput(0, script)}
        self.fails(-22, self.wallet.sign(asked, told))
