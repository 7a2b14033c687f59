"""The tree of settings: what is shown, what is refused, what lasts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from timecoin.node import config_kinds as kinds
from timecoin.node.config import parse, sections
from timecoin.node.config import specs as key_specs
from timecoin.node.settings import Setting, Settings
from timecoin.node.settings_file import SETTINGS_FILE, read_kept, write_kept
from timecoin.node.settings_table import FROM_FILE, declared
from timecoin.rpc.face_settings import BadValue, NotAvailable, SettingError, UnknownSetting

DECLARED = [
    Setting("a.number", kinds.integer(1, 9), "A number.", "3"),
    Setting("a.word", kinds.choice("red", "green"), "A word.", "green", in_file=True),
    Setting("b.truth", kinds.boolean(), "A truth.", "yes", kept=False),
]


class TreeCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.saved: list[dict[str, str]] = []
        self.applied: list[Any] = []
        self.answer: Deferred[None] | None = None
        self.tree = self.make()

    def make(self, **kept: str) -> Settings:
        tree = Settings(DECLARED, {path.replace("_", "."): text for path, text in kept.items()}, self.save, lambda: 5)
        for each in DECLARED:
            tree.bind(each.path, self.applied.append)
        return tree

    def save(self, kept: dict[str, str]) -> Deferred[None]:
        self.saved.append(kept)
        return self.answer or succeed(None)

    def origins(self) -> dict[str, tuple[object, str]]:
        return {each.path: (each.value, each.origin) for each in self.tree.describe()}


class ReadingTests(TreeCase):
    def test_as_configured(self) -> None:
        self.assertEqual(
            self.origins(), {"a.number": (3, "default"), "a.word": ("green", "file"), "b.truth": (True, "default")}
        )
        self.assertEqual(self.applied, [])

    def test_a_group(self) -> None:
        self.assertEqual([each.path for each in self.tree.describe("a")], ["a.number", "a.word"])
        self.assertEqual([each.path for each in self.tree.describe("a.word")], ["a.word"])
        self.assertRaises(UnknownSetting, self.tree.describe, "a.wor")
        self.assertRaises(UnknownSetting, self.tree.describe, "c")

    def test_what_is_not_there(self) -> None:
        problem = self.assertRaises(UnknownSetting, self.tree.get, "a.nummer")
        self.assertIn("did you mean a.number?", str(problem))
        self.assertLess(len(str(self.assertRaises(UnknownSetting, self.tree.get, "x" * 10_000))), 300)

    def test_what_does_not_run(self) -> None:
        tree = Settings(DECLARED, {}, self.save, lambda: 5)
        self.assertEqual(tree.describe(), [])
        self.assertRaises(NotAvailable, tree.get, "a.number")
        self.assertRaises(NotAvailable, tree.set, "a.number", 4)

    def test_a_value_that_changes_by_itself(self) -> None:
        state = [True]
        self.tree.bind("b.truth", self.applied.append, lambda: state[0])
        self.assertIs(self.tree.get("b.truth"), True)
        state[0] = False
        self.assertEqual((self.tree.show("b.truth").value, self.tree.show("b.truth").text), (False, "no"))


class ChangingTests(TreeCase):
    def test_until_the_node_stops(self) -> None:
        self.assertEqual(self.tree.set("a.number", "7", "ann"), 7)
        self.assertEqual(self.tree.set("b.truth", False), False)
        self.assertEqual(self.applied, [7, False])
        self.assertEqual(self.origins()["a.number"], (7, "run time"))
        self.assertEqual(self.saved, [])
        change = self.tree.changes()[0]
        self.assertEqual(
            (change.time_ms, change.before, change.after, change.by, change.kept), (5, "3", "7", "ann", False)
        )

    def test_what_is_not_allowed_changes_nothing(self) -> None:
        before = self.origins()
        for path, value in (
            ("a.number", 10),
            ("a.number", "x"),
            ("a.number", None),
            ("a.word", "blue"),
            ("b.truth", 3),
        ):
            self.assertRaises(BadValue, self.tree.set, path, value)
        self.failureResultOf(self.tree.keep("a.number", 10), BadValue)
        self.assertEqual((self.applied, self.saved, self.origins(), self.tree.changes()), ([], [], before, ()))

    def test_what_is_refused_changes_nothing(self) -> None:
        def refuse(value: int) -> None:
            raise ValueError("not now")

        self.tree.bind("a.number", refuse)
        problem = self.assertRaises(NotAvailable, self.tree.set, "a.number", 4)
        self.assertEqual(str(problem), "a.number was not taken: not now")
        self.assertEqual(self.origins()["a.number"], (3, "default"))
        self.failureResultOf(self.tree.keep("a.number", 4), NotAvailable)
        self.assertEqual((self.saved, self.tree.kept), ([{"a.number": "4"}, {}], {}))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_for_the_next_starts(self) -> None:
        self.assertEqual(self.successResultOf(self.tree.keep("a.number", 7)), 7)
        self.assertEqual((self.saved, self.applied), ([{"a.number": "7"}], [7]))
        self.assertEqual(self.origins()["a.number"], (7, "kept"))
        self.applied.clear()
        self.tree = self.make(a_number="7")
        self.assertEqual((self.applied, self.origins()["a.number"]), ([7], (7, "kept")))

    def test_what_cannot_be_kept(self) -> None:
        self.failureResultOf(self.tree.keep("b.truth", "no"), BadValue)
        self.assertEqual((self.saved, self.applied), ([], []))

    def test_a_full_disk(self) -> None:
        self.answer = fail(OSError(28, "No space left on device"))
        failure = self.failureResultOf(self.tree.keep("a.number", 7), NotAvailable)
        self.assertIn("No space left on device", str(failure.value))
        self.assertEqual((self.applied, self.tree.kept, self.origins()["a.number"]), ([], {}, (3, "default")))

    def test_it_is_stored_before_it_holds_and_one_after_the_other(self) -> None:
        self.answer = Deferred()
        first, second = self.tree.keep("a.number", 7), self.tree.keep("a.word", "red")
        self.assertEqual((self.saved, self.applied), ([{"a.number": "7"}], []))
        self.answer, answer = None, self.answer
        answer.callback(None)
        self.assertEqual((self.successResultOf(first), self.successResultOf(second)), (7, "red"))
        self.assertEqual(self.saved[1], {"a.number": "7", "a.word": "red"})

    def test_who_gives_up_waiting_stops_nothing(self) -> None:
        self.answer = Deferred()
        keeping = self.tree.keep("a.number", 7)
        keeping.cancel()
        self.failureResultOf(keeping, CancelledError)
        self.answer.callback(None)
        self.assertEqual((self.applied, self.tree.kept), ([7], {"a.number": "7"}))

    def test_back_to_the_file(self) -> None:
        self.tree = self.make(a_word="red", a_number="4")
        self.assertEqual(self.successResultOf(self.tree.reset("a.word")), "green")
        self.assertEqual((self.saved, self.origins()["a.word"]), ([{"a.number": "4"}], ("green", "file")))
        self.tree.set("b.truth", "no")
        self.successResultOf(self.tree.reset("b.truth"))
        self.assertEqual((len(self.saved), self.origins()["b.truth"]), (1, (True, "default")))

    def test_the_list_of_changes_is_bounded(self) -> None:
        for n in range(500):
            self.tree.set("a.number", 1 + n % 9, "x" * 5_000)
        self.assertLessEqual(len(self.tree.changes()), 200)
        self.assertLessEqual(len(self.tree.changes()[-1].by), 200)


class KeptTests(TreeCase):
    def test_what_cannot_be_taken_is_an_error(self) -> None:
        self.assertRaises(BadValue, self.make, a_number="10")
        self.assertRaises(BadValue, self.make, b_truth="no")
        self.assertRaises(UnknownSetting, self.make, a_nothing="1")

    def test_the_file(self) -> None:
        path = Path(self.mktemp())
        self.assertEqual(read_kept(path), {})
        write_kept(path, {"b": "2", "a": "1"})
        self.assertEqual(read_kept(path), {"a": "1", "b": "2"})
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        write_kept(path, {})
        self.assertFalse(path.exists())

    def test_a_file_that_is_no_such_thing(self) -> None:
        path = Path(self.mktemp())
        for data in (b"", b"[]", b'{"a": 1}', b"\xff", b"{" * 100_000):
            path.write_bytes(data)
            self.assertIn(str(path), str(self.assertRaises(SettingError, read_kept, path)))


class TableTests(SynchronousTestCase):
    def test_node_ini_and_defaults(self) -> None:
        config = parse("[p2p]\nmax_inbound = 7\n[node]\nlog_level = warn\n", "node.ini", Path("/"))
        found = {each.path: each for each in declared(config, 1 << 28)}
        self.assertEqual((found["p2p.max_inbound"].configured, found["p2p.max_inbound"].in_file), ("7", True))
        self.assertEqual((found["log.level"].configured, found["log.level"].in_file), ("warn", True))
        self.assertEqual((found["p2p.max_outbound"].configured, found["p2p.max_outbound"].in_file), ("10", False))
        for each in found.values():
            each.kind.read(each.configured, Path("/"))
            self.assertTrue(each.doc.endswith("."), each.path)

    def test_kinds_and_words_are_those_of_node_ini(self) -> None:
        found = {each.path: each for each in declared(parse("", "node.ini", Path("/")), 1 << 28)}
        for section, key in FROM_FILE:
            spec = key_specs(sections()[section])[key]
            self.assertIs(found[f"{section}.{key}"].kind, spec.kind)
            self.assertEqual(found[f"{section}.{key}"].doc, spec.doc)

    def test_the_file_has_a_name(self) -> None:
        self.assertEqual(SETTINGS_FILE, "settings.json")
