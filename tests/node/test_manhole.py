"""The handles of the manhole: tables that tell the truth, help for a tired operator, no way to a secret or a spend."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.rpc.fake_node import FakeNode
from timecoin.node import config_kinds as kinds
from timecoin.node.manhole import handles
from timecoin.node.manhole_help import Help
from timecoin.node.manhole_tables import Table, span
from timecoin.node.settings import Setting, Settings
from timecoin.ops.manhole_mistake import Mistake
from timecoin.primitives.hashes import display
from timecoin.rpc import face_insight as face
from timecoin.wallet.balance import Balance, Balances

NAMES = ("node", "chain", "mempool", "finality", "peers", "consensus", "settings", "wallet")


class FakeWallets:
    """One wallet."""

    def loaded(self) -> list[str]:
        return ["shop"]

    def get(self, name: str | None) -> Any:
        balances = Balances(Balance(pending=1, archived=5 * 10**8, trusted=5 * 10**8, untrusted=1), Balance())
        return SimpleNamespace(name="shop", balances=lambda: balances, scanning=None, unlocked_until=0)


class FakeInsight:
    """One member that said no to a block."""

    def consensus_view(self) -> Any:
        member = face.MemberView(b"\xab" * 32, 10, True, 7, False, 3, face.Vote(None, True), face.Vote(b"\xab" * 32))
        at_hand = face.RoundView(1_800_000_000_000, 1, None, (3, b"\xab" * 32), None, (("propose", 1_500),))
        return face.ConsensusView((member,), at_hand)


class HandleCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.node = FakeNode(Clock())
        self.settings = Settings(
            [Setting("p2p.max_inbound", kinds.integer(0, 99), "Peers.", "64")],
            {},
            lambda kept: succeed(None),
            lambda: 5,
        )
        self.applied: list[int] = []
        self.settings.bind("p2p.max_inbound", self.applied.append)
        self.handles: dict[str, Any] = handles(self.node, self.settings, FakeInsight(), FakeWallets())  # type: ignore[arg-type]

    def shows(self, value: object, *parts: str) -> None:
        text = repr(self.successResultOf(value) if isinstance(value, Deferred) else value)
        for part in parts:
            self.assertIn(part, text)


class HandleTests(HandleCase):
    def test_the_documented_ones(self) -> None:
        self.assertEqual(tuple(self.handles), NAMES)

    def test_each_shows_a_table(self) -> None:
        for name, handle in self.handles.items():
            self.shows(handle, "==", "\n")
            self.assertLess(max(map(len, repr(handle).splitlines())), 170, name)

    def test_node(self) -> None:
        self.shows(self.handles["node"], "devnet", "1 min 1 s", "1 in, 1 out", "9.5 ms p99")

    def test_chain(self) -> None:
        chain = self.handles["chain"]
        self.shows(chain, "height            1", "best of peers     3")
        self.shows(chain.block(1), "== block 1 ==", "interim", display(self.node.archived.txid))
        self.shows(chain.last(), "last blocks", "closing")
        self.shows(chain.find(display(self.node.archived.txid)), "height    1")
        self.shows(chain.find("ab" * 32), "archived  no")
        self.assertRaises(Mistake, chain.block, 2)
        self.assertRaises(Mistake, chain.block, "1")
        self.assertRaises(Mistake, chain.find, "abc")

    def test_mempool(self) -> None:
        mempool = self.handles["mempool"]
        self.shows(mempool, "transactions      2", "0.00056800 TIME")
        self.shows(mempool.oldest(), display(self.node.parent.txid), "certified", "5.0 s")
        self.assertEqual(len(mempool.newest(1)), 1)
        self.shows(mempool.get(display(self.node.parent.txid)), "certified", display(self.node.child.txid))
        self.assertRaises(Mistake, mempool.get, "ab" * 32)

    def test_finality(self) -> None:
        finality = self.handles["finality"]
        self.shows(finality, "a quorum is", "A quorum is connected")
        self.shows(finality.recent(), "final", display(self.node.parent.txid))
        self.assertRaises(Mistake, finality.status, "ab" * 32)
        waiting = finality.wait("ab" * 32, 5)
        self.assertNoResult(waiting)
        self.node.waiting[0].callback(None)
        self.shows(waiting, "never seen")

    def test_peers(self) -> None:
        self.shows(self.handles["peers"], "127.0.0.1:25002", "out", "/x/")
        self.shows(self.handles["peers"].get(4), "127.0.0.1:50000", "03" * 33)
        self.assertRaises(Mistake, self.handles["peers"].get, 9)

    def test_consensus(self) -> None:
        self.shows(self.handles["consensus"], "decides height      2, round 0", "missing             0")
        self.shows(self.handles["consensus"].members(), "abababababababab", "nil", "yes")
        self.shows(self.handles["consensus"].round(), "signer 1", "round 3: abab", "propose 1.5 s")

    def test_settings(self) -> None:
        settings = self.handles["settings"]
        self.assertEqual((settings.set("p2p.max_inbound", 5), self.applied), (5, [5]))
        self.shows(settings, "p2p.max_inbound", "run time")
        self.shows(settings.get("p2p.max_inbound"), "Peers.", "from 0 to 99")
        self.shows(settings.changes(), "64", "manhole")
        self.successResultOf(settings.keep("p2p.max_inbound", 6))
        self.successResultOf(settings.reset("p2p.max_inbound"))
        self.assertEqual(self.applied, [5, 6, 64])

    def test_mistakes_with_settings(self) -> None:
        settings = self.handles["settings"]
        for path, value in (("p2p.max_inbund", 5), ("p2p.max_inbound", "many")):
            self.assertRaises(Mistake, settings.set, path, value)
            self.failureResultOf(settings.keep(path, value), Mistake)
        self.assertRaises(Mistake, settings.get, "nope")
        self.failureResultOf(settings.reset("nope"), Mistake)

    def test_wallet(self) -> None:
        self.shows(self.handles["wallet"], "shop", "5.00000000", "0.00000001")
        self.shows(self.handles["wallet"].get("shop"), "trusted", "unlocked              no")
        self.assertRaises(Mistake, self.handles["wallet"].get, "nosuch")

    def test_nothing_spends_or_knows_a_secret(self) -> None:
        """What the handles offer by public names, all of it."""
        offered = {f"{name}.{each}" for name, handle in self.handles.items() for each in _public(handle)}
        writing = {"settings.set", "settings.keep", "settings.reset"}
        reading = {
            *(f"{name}.table" for name in NAMES),
            *("chain.block", "chain.find", "chain.last", "mempool.get", "mempool.newest", "mempool.oldest"),
            *(
                "finality.status",
                "finality.wait",
                "finality.recent",
                "peers.get",
                "consensus.members",
                "consensus.round",
            ),
            *("settings.find", "settings.get", "settings.changes", "wallet.get"),
        }
        self.assertEqual(offered, writing | reading)


class HelpTests(HandleCase):
    def test_the_general_page(self) -> None:
        text = repr(Help(self.handles, 2.0))
        for name in NAMES:
            self.assertRegex(text, rf"(?m)^  {name} +\S")
        self.assertIn("more than 2 s", text)
        self.assertEqual(repr(Help(self.handles, 2.0)()), text)
        self.assertLessEqual(max(map(len, text.splitlines())), 120)

    def test_what_it_says_to_type_exists(self) -> None:
        for text in ("consensus.members()", "mempool.oldest()"):
            self.assertIn(text, repr(Help(self.handles, 2.0)))
            eval(text, dict(self.handles))

    def test_a_handle(self) -> None:
        text = repr(Help(self.handles, 2.0)(self.handles["mempool"]))
        self.assertIn(".oldest(count: int = 20)", text)
        self.assertIn("where a halt shows first", text)
        self.assertEqual(repr(Help(self.handles, 2.0)("mempool")), text)
        self.assertEqual(repr(Help(self.handles, 2.0)("nosuch")), repr(Help(self.handles, 2.0)))


class TableTests(SynchronousTestCase):
    def test_a_terminal_obeys_nobody(self) -> None:
        self.assertNotIn("\x1b", repr(Table("peers", [("/evil\x1b[2J/", "a\nb")], ("software", "x"))))

    def test_long_tables_are_cut(self) -> None:
        text = repr(Table("many", [(n,) for n in range(100_000)], ("n",)))
        self.assertIn("… and 99800 more", text)
        self.assertLess(len(text), 2_000)

    def test_spans(self) -> None:
        self.assertEqual([span(s) for s in (0.25, 61, 7_260, 200_000)], ["0.2 s", "1 min 1 s", "2 h 1 min", "2 d 7 h"])


def _public(handle: object) -> list[str]:
    return [name for name in dir(handle) if not name.startswith("_")]
