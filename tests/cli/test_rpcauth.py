"""``timecoin rpcauth``."""

from __future__ import annotations

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from timecoin.cli.main import main
from timecoin.rpc.auth import Salted


class RpcAuthTests(SynchronousTestCase):
    def test_a_new_password(self) -> None:
        lines = CliRunner().invoke(main, ["rpcauth", "alice"]).output.splitlines()
        user = Salted.parse(lines[1].removeprefix("auth = "))
        self.assertEqual(user.name, "alice")
        self.assertTrue(user.is_password(lines[3].encode()))
        self.assertGreater(len(lines[3]), 40)

    def test_a_given_password_is_not_shown(self) -> None:
        found = CliRunner().invoke(main, ["rpcauth", "alice", "--stdin"], input="pass word\n")
        self.assertNotIn("pass word", found.output)
        self.assertTrue(Salted.parse(found.output.splitlines()[1].removeprefix("auth = ")).is_password(b"pass word"))

    def test_refused(self) -> None:
        for name, given in (("a:b", "x\n"), ("a b", "x\n"), ("", "x\n"), ("alice", "\n"), ("alice", "")):
            self.assertEqual(CliRunner().invoke(main, ["rpcauth", name, "--stdin"], input=given).exit_code, 2)
