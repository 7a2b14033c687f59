"""Wallets of a node over a fake chain: paying, following, restarting, restoring, locking."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from tests.node.memory_file import MemoryFile
from tests.node.wallet_world import CHEAP, COIN, FakeChain, World, refused
from timecoin.consensus.status import Status
from timecoin.ledger.errors import FeeTooLow
from timecoin.mempool.errors import PoolFull
from timecoin.node.wallet_open import Wallet
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.transaction import Transaction, TxOutput
from timecoin.rpc.errors import RpcError
from timecoin.rpc.face_wallet import Funding, NewWallet
from timecoin.storage.errors import WriteFailed
from timecoin.storage.wallet_store import WalletStore
from timecoin.wallet.keyring import Words

T = TypeVar("T")
OTHER = p2wpkh(b"\x42" * 20)


class WalletCase(SynchronousTestCase):
    """A world with one wallet; its files are in memory unless the test is about them."""

    files: Any = MemoryFile

    def setUp(self) -> None:
        self.directory = Path(mkdtemp())
        self.addCleanup(rmtree, self.directory)
        self.addCleanup(lambda: self.stop(self.world))
        self.world = World(self.directory, files=self.files)
        self.chain = self.world.chain
        self.start(self.world)
        self.wallet: Any = self.make("one")

    def start(self, world: World) -> None:
        self.successResultOf(world.service.startService())
        world.settle()

    def stop(self, world: World) -> None:
        if world.service.running:
            self.successResultOf(world.service.stopService())

    def wait(self, waiting: Deferred[T], world: World | None = None) -> T:
        (world or self.world).settle()
        return self.successResultOf(waiting)

    def fails(self, code: int, waiting: Deferred[Any], says: str = "") -> None:
        self.world.settle()
        problem = self.failureResultOf(waiting, RpcError).value
        self.assertEqual((problem.code, says in problem.message), (code, True), problem.message)

    def make(self, name: str, world: World | None = None, **wanted: Any) -> Wallet:
        found: Any = self.wait((world or self.world).service.create(NewWallet(name, **wanted)), world)
        return found.wallet

    def address(self, wallet: Any = None) -> bytes:
        script: bytes = self.wait((wallet or self.wallet).new_script(0, ""))
        return script

    def give(self, value: int = COIN, wallet: Any = None) -> Transaction:
        """An archived coin for the wallet."""
        tx = self.chain.gift(self.address(wallet), value)
        self.chain.block(tx)
        self.world.settle()
        return tx

    def pay(self, amount: int, script: bytes = OTHER, wallet: Any = None, **funding: Any) -> Transaction:
        wallet = wallet or self.wallet
        draft = self.wait(wallet.fund([TxOutput(amount, script)], Funding(**funding)))
        signed = self.wait(wallet.sign(draft.tx))
        self.assertTrue(signed.complete, signed.problems)
        self.wait(wallet.send(signed.tx, {}))
        return signed.tx

    def mine(self, wallet: Any = None) -> tuple[int, int, int, int]:
        found = (wallet or self.wallet).balances().mine
        self.assertEqual(found.total, found.pending + found.certified + found.final + found.archived)
        return found.pending, found.certified, found.final, found.archived

    def again(self) -> None:
        """Stop the node and start it again over the same chain and files."""
        self.stop(self.world)
        self.restart()

    def restart(self) -> None:
        self.world = World(self.directory, self.chain, seed=2, load=("one",), files=self.files)
        self.start(self.world)
        self.wallet = self.world.service.get("one")


class Receiving(WalletCase):
    """What others send."""

    def test_through_all_statuses(self) -> None:
        tx = self.chain.take(self.chain.gift(self.address()))
        self.assertEqual(self.mine(), (COIN, 0, 0, 0))
        self.assertEqual(self.wallet.balances().mine.untrusted, COIN)
        self.chain.reach(tx.txid, Status.CERTIFIED)
        self.assertEqual(self.mine(), (0, COIN, 0, 0))
        self.assertEqual(self.wallet.balances().mine.untrusted, COIN)
        self.chain.reach(tx.txid, Status.FINAL)
        self.assertEqual(self.mine(), (0, 0, COIN, 0))
        self.assertEqual(self.wallet.balances().mine.trusted, COIN)
        self.chain.block()
        self.assertEqual(self.mine(), (0, 0, 0, COIN))
        record = self.wallet.state.history.get(tx.txid)
        self.assertEqual((record.height, record.block_hash), (1, self.chain.state.block_hash))

    def test_a_certificate_that_lapsed(self) -> None:
        tx = self.chain.take(self.chain.gift(self.address()), Status.CERTIFIED)
        self.chain.pool[tx.txid] = (tx, "pending")
        self.chain.block(self.chain.gift(OTHER), closing=True)
        self.world.settle()
        self.assertEqual(self.mine(), (COIN, 0, 0, 0))

    def test_a_rejected_one_is_gone(self) -> None:
        tx = self.chain.take(self.chain.gift(self.address()))
        self.chain.reach(tx.txid, Status.REJECTED, "conflict")
        self.assertEqual(self.mine(), (0, 0, 0, 0))

    def test_rewards(self) -> None:
        self.chain.block(closing=True, reward=self.address())
        self.world.settle()
        self.assertEqual(self.mine(), (0, 0, 0, 5 * COIN))
        self.assertEqual(self.wallet.state.settings.synced, 1)

    def test_others_are_not_noticed(self) -> None:
        self.chain.take(self.chain.gift(OTHER))
        self.chain.block()
        self.assertEqual(len(self.wallet.state.history), 0)


class Paying(WalletCase):
    """What it sends is valid, kept and sent again."""

    def test_a_payment(self) -> None:
        self.give()
        tx = self.pay(COIN // 4)
        self.assertEqual(self.chain.pool[tx.txid][0].raw, tx.raw)
        fee = COIN - sum(each.value for each in tx.outputs)
        self.assertEqual(self.mine(), (COIN - COIN // 4 - fee, 0, 0, 0))
        self.assertEqual(self.wallet.balances().mine.trusted, COIN - COIN // 4 - fee)
        self.chain.reach(tx.txid, Status.FINAL)
        self.chain.block()
        self.assertEqual(self.mine(), (0, 0, 0, COIN - COIN // 4 - fee))

    def test_only_final_coins_of_others(self) -> None:
        tx = self.chain.take(self.chain.gift(self.address()), Status.CERTIFIED)
        waiting = self.wallet.fund([TxOutput(COIN // 2, OTHER)], Funding())
        self.fails(-6, waiting, "Insufficient funds")
        self.chain.reach(tx.txid, Status.FINAL)
        self.pay(COIN // 2)

    def test_unsafe_coins_when_asked(self) -> None:
        self.chain.take(self.chain.gift(self.address()))
        draft = self.wait(self.wallet.fund([TxOutput(COIN // 2, OTHER)], Funding(include_unsafe=True)))
        self.assertEqual(len(draft.coins), 1)

    def test_own_change_is_spent_only_when_needed(self) -> None:
        self.give(10 * COIN)
        first = self.pay(COIN)
        self.give(3 * COIN)
        second = self.pay(COIN)
        self.assertFalse({each[:32] for each in second.outpoints()} & {first.txid})
        third = self.pay(8 * COIN)
        self.assertIn(first.txid, {each[:32] for each in third.outpoints()})

    def test_a_chain_of_change_ends_at_25(self) -> None:
        self.give(10 * COIN)
        for _ in range(25):
            self.pay(COIN // 10)
        self.pay(COIN // 10)
        self.fails(-4, self.wallet.fund([TxOutput(COIN, OTHER)], Funding()), "too-long-mempool-chain")
        self.chain.block()
        self.pay(COIN)

    def test_another_coin_is_taken_when_one_stands_at_the_end_of_a_line(self) -> None:
        self.give(10 * COIN)
        for _ in range(26):
            self.pay(COIN // 10)
        other = self.give(COIN)
        self.assertEqual(self.pay(COIN // 2).outpoints(), (other.outpoint(0),))

    def test_lines_that_add_up(self) -> None:
        for _ in range(2):
            self.give(COIN)
        for _ in range(15):
            for outpoint in [coin.outpoint for coin in self.wallet.state.history.unspent()]:
                self.pay(COIN // 100, inputs=(outpoint,), add_inputs=False)
        too_much = [TxOutput(COIN + COIN // 2, OTHER)]
        self.fails(-4, self.wallet.fund(too_much, Funding()), "too-long-mempool-chain")
        self.chain.block()
        self.pay(COIN + COIN // 2)

    def test_two_payments_at_once_take_different_coins(self) -> None:
        self.give()
        self.give()
        drafts = [self.wallet.fund([TxOutput(COIN // 2, OTHER)], Funding()) for _ in range(2)]
        taken = [self.wait(each).tx.outpoints() for each in drafts]
        self.assertFalse(set(taken[0]) & set(taken[1]))
        self.fails(-6, self.wallet.fund([TxOutput(COIN // 2, OTHER)], Funding()))

    def test_a_draft_that_is_given_up(self) -> None:
        self.give()
        draft = self.wait(self.wallet.fund([TxOutput(COIN // 2, OTHER)], Funding()))
        self.wallet.release(draft)
        self.pay(COIN // 2)
        forgotten = self.give() and self.wait(self.wallet.fund([TxOutput(COIN // 2, OTHER)], Funding()))
        self.assertTrue(forgotten)
        self.world.clock.advance(601)
        self.pay(COIN // 2)

    def test_the_node_refuses(self) -> None:
        self.give()
        self.chain.refusal = refused(FeeTooLow)
        draft = self.wait(self.wallet.fund([TxOutput(COIN // 2, OTHER)], Funding()))
        signed = self.wait(self.wallet.sign(draft.tx))
        self.fails(-26, self.wallet.send(signed.tx, {}))
        self.assertEqual(self.mine(), (0, 0, 0, COIN))
        self.chain.refusal = None
        self.pay(COIN // 2)

    def test_the_pool_is_full(self) -> None:
        self.give()
        self.chain.refusal = PoolFull("full")
        tx = self.pay(COIN // 2)
        self.chain.refusal = None
        self.chain.block(self.chain.gift(OTHER), closing=True)
        self.world.settle()
        self.assertEqual(self.chain.submitted[-1].raw, tx.raw)
        self.assertIn(tx.txid, self.chain.pool)

    def test_everything(self) -> None:
        for _ in range(3):
            self.give()
        tx = self.pay(0, all_to=(0,))
        self.assertEqual((len(tx.inputs), len(tx.outputs)), (3, 1))
        self.assertEqual(self.wallet.balances().mine.total, 0)

    def test_locked_coins_stay(self) -> None:
        outpoint = self.give().outpoint(0)
        self.wait(self.wallet.lock_coins([outpoint], True))
        self.fails(-6, self.wallet.fund([TxOutput(COIN // 2, OTHER)], Funding()))
        self.again()
        self.fails(-6, self.wallet.fund([TxOutput(COIN // 2, OTHER)], Funding()))
        self.wait(self.wallet.unlock_coins([outpoint]))
        self.pay(COIN // 2)


class FullDisk(WalletCase):
    """Nothing leaves the wallet that is not on the disk."""

    def setUp(self) -> None:
        super().setUp()
        self.give()
        self.draft = self.wait(self.wallet.fund([TxOutput(COIN // 2, OTHER)], Funding()))
        self.commit = self.wallet._file.commit
        self.patch(self.wallet._file, "commit", self.refuse)

    def refuse(self, changes: object) -> None:
        raise WriteFailed("no space left on device")

    def test_neither_addresses_nor_signatures(self) -> None:
        self.fails(-4, self.wallet.new_script(0, ""), "no space left")
        self.wallet.release(self.draft)
        for _ in range(2):
            self.fails(-4, self.wallet.fund([TxOutput(COIN // 4, OTHER)], Funding()), "no space left")
        self.fails(-4, self.wallet.sign(self.draft.tx), "no space left")
        self.assertEqual(self.chain.submitted, [])

    def test_what_was_not_written_is_written_later(self) -> None:
        self.fails(-4, self.wallet.set_label(OTHER, "the other"))
        self.chain.take(self.chain.gift(self.draft.tx.outputs[self.draft.change_position].script))
        self.world.clock.advance(2)
        self.assertEqual(len(self.flushLoggedErrors(WriteFailed)), 1)
        self.patch(self.wallet._file, "commit", self.commit)
        self.again()
        self.assertEqual(self.wallet.state.book.label(OTHER), "the other")
        self.assertEqual(len(self.wallet.state.history), 2)


class ABrokenWallet(WalletCase):
    """One that raises hurts neither the feed nor other wallets."""

    def test_others_go_on(self) -> None:
        other = self.make("other")
        self.patch(self.wallet.state, "absorb", lambda *_, **__: 1 / 0)
        self.chain.take(self.chain.gift(self.wallet.state.book.peek_script(0)))
        self.chain.take(self.chain.gift(self.address(other)))
        self.chain.block()
        self.world.settle()
        self.assertEqual(self.mine(other), (0, 0, 0, COIN))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)


class SecondSpends(WalletCase):
    """Two spends of one coin in one epoch."""

    def setUp(self) -> None:
        super().setUp()
        self.give()
        self.first = self.wait(self.wallet.fund([TxOutput(COIN // 2, OTHER)], Funding()))
        self.wallet.release(self.first)
        self.second = self.wait(self.wallet.fund([TxOutput(COIN // 4, OTHER)], Funding()))
        self.wallet.release(self.second)

    def test_refused_within_the_epoch(self) -> None:
        self.wait(self.wallet.sign(self.first.tx))
        self.fails(-4, self.wallet.sign(self.second.tx), "block")
        self.fails(-6, self.wallet.fund([TxOutput(COIN // 2, OTHER)], Funding()))
        self.assertTrue(self.wait(self.wallet.sign(self.first.tx)).complete)

    def test_survives_a_crash(self) -> None:
        self.wait(self.wallet.sign(self.first.tx))
        self.stop(self.world)
        self.restart()
        self.fails(-4, self.wallet.sign(self.second.tx), "block")

    def test_on_disk_before_the_signature_leaves(self) -> None:
        held: list[Deferred[None]] = []

        def slowly(work: Any, *arguments: Any) -> Any:
            if getattr(work, "__name__", "") == "commit":
                waiting: Deferred[None] = Deferred()
                held.append(waiting)
                return waiting.addCallback(lambda _: work(*arguments))
            return maybeDeferred(work, *arguments)

        world = World(self.directory / "slow", self.chain, in_thread=slowly)
        self.successResultOf(world.service.startService())
        created = world.service.create(NewWallet("slow"))
        wallet: Any = self.wait(created, world).wallet
        script = wallet.new_script(0, "")
        self.assertNoResult(script)
        held.pop().callback(None)
        self.chain.block(self.chain.gift(self.successResultOf(script)))
        world.settle()
        held.pop().callback(None)
        waiting = wallet.fund([TxOutput(COIN // 2, OTHER)], Funding())
        world.settle()
        self.assertNoResult(waiting)
        held.pop().callback(None)
        signing = wallet.sign(self.successResultOf(waiting).tx)
        world.settle()
        self.assertNoResult(signing)
        held.pop().callback(None)
        world.settle()
        self.assertTrue(self.successResultOf(signing).complete)
        stopping = world.service.stopService()
        while held:
            held.pop().callback(None)
        self.successResultOf(stopping)

    def test_allowed_in_the_next_epoch(self) -> None:
        self.wait(self.wallet.sign(self.first.tx))
        self.chain.block(self.chain.gift(OTHER), closing=True)
        self.world.settle()
        self.assertTrue(self.wait(self.wallet.sign(self.second.tx)).complete)

    def test_not_while_the_first_is_alive(self) -> None:
        signed = self.wait(self.wallet.sign(self.first.tx))
        self.wait(self.wallet.send(signed.tx, {}))
        self.chain.block(self.chain.gift(OTHER), closing=True)
        self.world.settle()
        self.fails(-4, self.wallet.sign(self.second.tx), "block")

    def test_not_while_a_rival_of_another_device_is_alive(self) -> None:
        tx = Transaction(2, self.first.tx.inputs, (TxOutput(COIN // 3, OTHER),))
        self.chain.take(tx)
        self.fails(-4, self.wallet.sign(self.second.tx), "block")
        self.assertEqual(self.mine(), (0, 0, 0, 0))

    def test_in_plain_words(self) -> None:
        self.wait(self.wallet.sign(self.first.tx))
        self.assertTrue(self.wait(self.wallet.sign(self.second.tx, may_block_coins=True)).complete)

    def test_not_while_the_node_lags(self) -> None:
        self.chain.syncing = True
        self.fails(-10, self.wallet.sign(self.first.tx))

    def test_abandoned(self) -> None:
        signed = self.wait(self.wallet.sign(self.first.tx))
        self.wait(self.wallet.send(signed.tx, {}))
        self.wait(self.wallet.abandon(signed.tx.txid))
        self.assertEqual(self.mine(), (0, 0, 0, COIN))
        self.fails(-4, self.wallet.sign(self.second.tx), "block")
        self.chain.block(self.chain.gift(OTHER), closing=True)
        self.world.settle()
        self.wait(self.wallet.sign(self.second.tx))

    def test_certified_ones_are_not_abandoned(self) -> None:
        signed = self.wait(self.wallet.sign(self.first.tx))
        self.wait(self.wallet.send(signed.tx, {}))
        self.chain.reach(signed.tx.txid, Status.CERTIFIED)
        self.fails(-5, self.wallet.abandon(signed.tx.txid))


class Restarting(WalletCase):
    """A restart and a restore find everything."""

    files = WalletStore

    def test_the_same_again(self) -> None:
        self.give()
        tx = self.pay(COIN // 4)
        self.wait(self.wallet.set_label(OTHER, "the other"))
        before = self.mine()
        self.again()
        self.assertEqual(self.mine(), before)
        self.assertEqual(self.wallet.state.book.label(OTHER), "the other")
        self.assertEqual(self.chain.submitted[-1].raw, tx.raw)

    def test_a_crash_right_after_sending(self) -> None:
        self.give()
        tx = self.pay(COIN // 4)
        self.chain.pool.clear()
        for wallet in self.world.service._wallets.values():
            wallet._file.close()
        self.restart()
        self.assertEqual(self.chain.submitted[-1].raw, tx.raw)
        self.assertEqual(self.wallet.state.history.get(tx.txid).status, "pending")

    def test_what_happened_meanwhile(self) -> None:
        script = self.address()
        self.stop(self.world)
        self.chain.block(self.chain.gift(script, COIN), told=False)
        self.chain.block(closing=True, reward=script, told=False)
        self.chain.take(self.chain.gift(script, 2 * COIN), Status.CERTIFIED)
        self.restart()
        self.assertEqual(self.mine(), (0, 2 * COIN, 0, 6 * COIN))
        self.assertEqual(self.chain.read, [1, 2])

    def test_restored_from_words(self) -> None:
        for _ in range(3):
            self.give()
        tx = self.pay(2 * COIN + COIN // 2)
        self.chain.block()
        self.pay(COIN // 10)
        words = self.wait(self.wallet.words())
        restored = self.make("two", words=words)
        self.world.settle()
        self.assertEqual(self.mine(restored), self.mine())
        self.assertEqual(restored.state.history.get(tx.txid).status, "archived")
        self.assertIsNone(self.wait(self.world.service.load("one", None).addErrback(lambda _: None)))

    def test_restored_beyond_the_gap_within_one_block(self) -> None:
        scripts = [self.address() for _ in range(60)]
        self.chain.block(*[self.chain.gift(script) for script in scripts[10::15]])
        restored = self.make("two", words=self.wait(self.wallet.words()))
        self.world.settle()
        self.assertEqual(self.mine(restored), (0, 0, 0, 4 * COIN))

    def test_restored_where_the_chain_begins_late(self) -> None:
        first = self.give(COIN)
        self.give(2 * COIN)
        self.chain.base = 2
        restored = self.make("two", words=self.wait(self.wallet.words()))
        self.world.settle()
        self.assertEqual(self.mine(restored), (0, 0, 0, 3 * COIN))
        self.assertEqual(restored.state.settings.missing_below, 2)
        self.assertNotIn(first.txid, restored.state.history)
        tx = self.pay(3 * COIN - COIN // 10, wallet=restored)
        self.assertEqual(len(tx.inputs), 2)
        self.assertEqual(self.mine(restored), self.mine())

    def test_new_wallets_do_not_scan(self) -> None:
        self.give()
        self.chain.read.clear()
        self.make("fresh")
        self.assertEqual(self.chain.read, [])

    def test_rescan_and_abort(self) -> None:
        self.give()
        self.chain.read.clear()
        self.assertEqual(self.wait(self.wallet.rescan(0, None)), (0, 1))
        self.assertEqual(self.chain.read[:2], [0, 1])
        for _ in range(120):
            self.chain.block(self.chain.gift(OTHER))
        waiting = self.wallet.rescan(0, None)
        self.assertGreater(self.wallet.scanning.progress, 0)
        self.assertTrue(self.wallet.abort_scan())
        self.fails(-1, waiting, "aborted")
        self.assertFalse(self.wallet.abort_scan())

    def test_one_scan_at_a_time(self) -> None:
        self.give()
        waiting = self.wallet.rescan(0, None)
        second = self.wallet.rescan(0, None)
        self.fails(-4, second, "currently rescanning")
        self.wait(waiting)

    def test_backup_and_restore(self) -> None:
        self.give()
        self.wait(self.wallet.backup(self.directory / "copy.backup"))
        self.fails(-4, self.wallet.backup(self.directory / "copy.backup"))
        self.give()
        self.wait(self.world.service.unload("one", None))
        restored: Any = self.wait(self.world.service.restore("two", self.directory / "copy.backup", None)).wallet
        self.world.settle()
        self.assertEqual(self.mine(restored), (0, 0, 0, 2 * COIN))
        self.fails(-36, self.world.service.restore("two", self.directory / "copy.backup", None))
        self.fails(-8, self.world.service.restore("three", self.directory / "none", None))


class Locking(WalletCase):
    """Passphrases."""

    files = WalletStore

    def setUp(self) -> None:
        super().setUp()
        self.give()
        self.wait(self.wallet.encrypt("correct horse"))

    def sign(self) -> Deferred[Any]:
        draft = self.wait(self.wallet.fund([TxOutput(COIN // 4, OTHER)], Funding()))
        self.wallet.release(draft)
        return self.wallet.sign(draft.tx)

    def test_locked_it_receives_but_does_not_sign(self) -> None:
        self.give()
        self.assertEqual(self.mine(), (0, 0, 0, 2 * COIN))
        self.fails(-13, self.sign())
        self.fails(-13, self.wallet.words())

    def test_unlocked_for_a_time(self) -> None:
        self.wait(self.wallet.unlock("correct horse", 60))
        self.assertGreater(self.wallet.unlocked_until, 1_800_000_000)
        self.assertTrue(self.wait(self.sign()).complete)
        self.world.clock.advance(61)
        self.assertEqual(self.wallet.unlocked_until, 0)
        self.fails(-13, self.wallet.words())

    def test_locked_again(self) -> None:
        self.wait(self.wallet.unlock("correct horse", 60))
        self.wallet.lock()
        self.fails(-13, self.sign())

    def test_wrong(self) -> None:
        self.fails(-14, self.wallet.unlock("wrong", 60))
        self.fails(-8, self.wallet.unlock("correct horse", -1))
        self.fails(-14, self.wallet.change_passphrase("wrong", "new"))
        self.fails(-15, self.wallet.encrypt("again"))
        self.fails(-8, self.wallet.change_passphrase("", "new"))

    def test_not_encrypted(self) -> None:
        plain = self.make("plain")
        self.fails(-15, plain.unlock("x", 60))
        self.fails(-15, plain.change_passphrase("x", "y"))
        self.assertEqual(self.assertRaises(RpcError, plain.lock).code, -15)
        self.fails(-16, self.make("watching", watch_only=True).encrypt("x"))
        self.fails(-8, plain.encrypt(""))

    def test_another_passphrase_lasts(self) -> None:
        self.wait(self.wallet.change_passphrase("correct horse", "battery"))
        self.again()
        self.fails(-14, self.wallet.unlock("correct horse", 60))
        self.wait(self.wallet.unlock("battery", 60))
        self.assertTrue(self.wait(self.sign()).complete)

    def test_no_plain_secret_stays_on_disk(self) -> None:
        wallet = self.make("sealed", passphrase="from the start")
        self.wait(wallet.unlock("from the start", 60))
        for each in (self.wallet, wallet):
            if each is self.wallet:
                self.wait(each.unlock("correct horse", 60))
            phrase = self.wait(each.words()).phrase
            found = [
                path for path in self.directory.rglob("*") if path.is_file() and phrase.encode() in path.read_bytes()
            ]
            self.assertEqual(found, [])


class Several(WalletCase):
    """Loading, unloading, names."""

    files = WalletStore

    def test_which_one(self) -> None:
        service = self.world.service
        self.assertEqual(service.get(None).name, "one")
        self.make("two")
        self.assertEqual(self.assertRaises(RpcError, service.get, None).code, -19)
        self.assertEqual(self.assertRaises(RpcError, service.get, "three").code, -18)
        self.wait(service.unload("one", None))
        self.assertEqual((service.get(None).name, service.loaded()), ("two", ["two"]))
        self.wait(service.unload("two", None))
        self.assertEqual(self.assertRaises(RpcError, service.get, None).code, -18)
        self.assertEqual(self.wait(service.on_disk()), ["one", "two"])
        self.wait(service.load("one", None))

    def test_refusals(self) -> None:
        service = self.world.service
        self.fails(-4, service.create(NewWallet("one")), "already exists")
        self.fails(-35, service.load("one", None))
        self.fails(-18, service.load("none", None))
        self.fails(-8, service.create(NewWallet("../etc")))
        self.fails(-5, service.create(NewWallet("bad", words=Words("abandon abandon", ""))))
        self.assertNotIn("bad", self.wait(service.on_disk()))

    def test_loaded_at_the_start(self) -> None:
        self.make("kept", load_on_startup=True)
        self.make("not")
        self.wait(self.world.service.unload("one", False))
        self.stop(self.world)
        (self.directory / "kept" / "wallet.fs").chmod(0o600)
        self.world = World(self.directory, self.chain, seed=3)
        self.start(self.world)
        self.assertEqual(self.world.service.loaded(), ["kept"])

    def test_one_that_does_not_load_stops_nothing(self) -> None:
        self.stop(self.world)
        (self.directory / "one" / "wallet.fs").write_bytes(b"nonsense")
        self.world = World(self.directory, self.chain, load=("one", "missing"))
        self.start(self.world)
        self.assertEqual(self.world.service.loaded(), [])

    def test_watch_only(self) -> None:
        wallet = self.make("watching", watch_only=True)
        self.fails(-4, wallet.new_script(0, ""))
        self.assertEqual(CHEAP.log_n, 14)
        self.assertIsInstance(self.chain, FakeChain)
