"""Salted users, white lists, and what a caller is told of itself."""

from __future__ import annotations

import base64
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from timecoin.rpc.auth import Gate, Grant, Salted, Users, WhiteList
from timecoin.rpc.caller import Caller
from timecoin.rpc.cookie import Cookie, basic


class SaltedTests(SynchronousTestCase):
    def test_as_rpcauth_makes_it(self) -> None:
        # User and password of bitcoind's test/functional/rpc_users.py.
        line = "rt:93648e835a54c573682c2eb19f882535$7681e9c5b74bdd85e78166031d2058e1069b3ed7ed967c93fc63abba06f31144"
        user = Salted.parse(line)
        self.assertTrue(user.is_password(b"cA773lm788buwYe4g4WT+05pKyNruVKjQ25x3n0DQcM="))
        self.assertFalse(user.is_password(b"cA773lm788buwYe4g4WT+05pKyNruVKjQ25x3n0DQcM"))
        self.assertEqual(str(user), line)

    def test_one_of_ours(self) -> None:
        first, second = Salted.make("bob", "pässword:x"), Salted.make("bob", "pässword:x")
        self.assertTrue(first.is_password("pässword:x".encode()))
        self.assertNotEqual(first, second)
        self.assertEqual(Salted.parse(str(first)), first)

    def test_bad_lines(self) -> None:
        for text in ("", "alice", "alice:password", "alice:00$ab", "al ice:00$" + "a" * 64, ":00$" + "a" * 64):
            self.assertRaises(ValueError, Salted.parse, text)
        self.assertRaises(ValueError, Salted.make, "a:b", "x")


class GateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cookie = Cookie(Path(self.mktemp()))
        self.alice, self.bob = Salted.make("alice", "one:two"), Salted.make("bob", "")
        self.gate = Gate(self.cookie, Users((self.alice, self.bob)))

    def test_who_it_is(self) -> None:
        self.assertEqual(self.gate.user(self.cookie.header), "__cookie__")
        self.assertEqual(self.gate.user(basic("alice:one:two")), "alice")
        self.assertEqual(self.gate.user(basic("bob:")), "bob")

    def test_strangers(self) -> None:
        for text in ("alice:one", "alice:", "alice", "bob:one:two", "carol:one:two", ":one:two", "", "Alice:one:two"):
            self.assertIsNone(self.gate.user(basic(text)), text)
        for header in (b"", b"Basic", b"Basic !!", b"Bearer " + base64.b64encode(b"alice:one:two"), b"\xff\xfe"):
            self.assertIsNone(self.gate.user(header), header)
        self.assertIsNone(self.gate.user(b"Basic " + base64.b64encode(b"al\xffice:one:two")))

    def test_two_with_one_password(self) -> None:
        gate = Gate(self.cookie, Users((Salted.make("alice", "x"), Salted.make("bob", "x"))))
        self.assertEqual(gate.user(basic("bob:x")), "bob")
        self.assertEqual(gate.user(basic("alice:x")), "alice")


class WhiteListTests(SynchronousTestCase):
    """bitcoind's test/functional/rpc_whitelist.py tells the meaning."""

    def gate(self, *lists: str, strict: bool | None = None) -> Gate:
        return Gate(Cookie(Path(self.mktemp())), Users((), tuple(map(WhiteList.parse, lists)), strict))

    def test_without_lists_everybody_may_everything(self) -> None:
        self.assertIsNone(self.gate().methods("alice"))
        self.assertEqual(self.gate(strict=True).methods("alice"), frozenset())

    def test_several_lists_of_a_user_are_intersected(self) -> None:
        gate = self.gate("alice:help,stop,uptime", "alice:stop,uptime", "bob:help", "carol:")
        self.assertEqual(gate.methods("alice"), {"stop", "uptime"})
        self.assertEqual(gate.methods("bob"), {"help"})
        self.assertEqual(gate.methods("carol"), frozenset())
        self.assertEqual(gate.listed(), {"stop", "uptime", "help"})

    def test_who_has_none_when_there_are_some(self) -> None:
        self.assertEqual(self.gate("alice:help").methods("__cookie__"), frozenset())
        self.assertIsNone(self.gate("alice:help", strict=False).methods("__cookie__"))
        self.assertEqual(self.gate("alice:help", strict=False).methods("alice"), {"help"})

    def test_bad_lists(self) -> None:
        for text in ("alice", ":help", "alice:help,", "alice:,help", "alice:he lp", "alice:HELP"):
            self.assertRaises(ValueError, WhiteList.parse, text)

    def test_what_is_forbidden(self) -> None:
        grant = Grant(Caller("alice"), frozenset({"help"}))
        self.assertTrue(grant.forbids("stop"))
        self.assertFalse(grant.forbids("help"))
        self.assertFalse(grant.forbids(None))
        self.assertFalse(Grant(Caller("bob")).forbids("stop"))
