"""Who may enter the manhole: the file of public keys, the login, the host keys."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from twisted.conch.error import ValidPublicKey
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.keys import Key
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from timecoin.ops import manhole_hostkeys
from timecoin.ops.manhole_access import (
    MAX_BYTES,
    AuthorizedKeys,
    BadLine,
    KeysFileError,
    fingerprint,
    parse_line,
)
from timecoin.ops.manhole_hostkeys import ED25519_FILE, RSA_FILE, HostKeyError, host_keys
from timecoin.ops.manhole_login import KeyChecker, Slowness

ED = Key(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
OTHER = Key(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))))
RSA = Key(rsa.generate_private_key(public_exponent=65_537, key_size=2_048))
SHORT = Key(rsa.generate_private_key(public_exponent=65_537, key_size=1_024))
EC = Key(ec.generate_private_key(ec.SECP256R1()))
DSA = Key(dsa.generate_private_key(key_size=1_024))

# The public key of the seed 00 01 … 1f in OpenSSH's form, and what `ssh-keygen -l` says of it.
ED_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"


def line(key: Key, comment: str = "") -> str:
    text: str = key.public().toString("OPENSSH", comment=comment or None).decode()
    return text


class LineTests(SynchronousTestCase):
    def test_a_published_form(self) -> None:
        self.assertEqual(line(ED), ED_LINE)
        self.assertEqual(parse_line(ED_LINE).key, ED.public())

    def test_kinds_of_keys(self) -> None:
        for key in (ED, RSA, EC):
            grant = parse_line(line(key, "ann@desk at home"))
            self.assertEqual((grant.key, grant.comment, grant.terminal), (key.public(), "ann@desk at home", True))

    def test_a_fingerprint_is_openssh_s(self) -> None:
        blob = base64.b64decode(ED_LINE.split()[1])
        self.assertEqual(len(blob), 51)
        self.assertRegex(fingerprint(ED), r"\ASHA256:[A-Za-z0-9+/]{43}\Z")
        self.assertEqual(fingerprint(ED), fingerprint(ED.public()))

    def test_options_that_are_carried_out(self) -> None:
        for options, terminal in (
            ("no-port-forwarding,no-X11-forwarding,no-agent-forwarding,no-user-rc", True),
            ("no-pty", False),
            ("restrict", False),
            ("restrict,pty", True),
            ("No-Pty", False),
        ):
            self.assertIs(parse_line(f"{options} {ED_LINE} ann").terminal, terminal)

    def test_options_that_are_not(self) -> None:
        for options in (
            'from="10.0.0.1"',
            'command="echo a, b"',
            'restrict,from="*"',
            "cert-authority",
            'environment="A=ssh-rsa x"',
            'expiry-time="20300101"',
            'permitopen="a:1"',
            "nonsense",
        ):
            self.assertIn("not supported here", str(self.assertRaises(BadLine, parse_line, f"{options} {ED_LINE}")))

    def test_keys_that_are_not_taken(self) -> None:
        blob = ED_LINE.split()[1]
        for bad in (
            line(SHORT),
            line(DSA),
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "ssh-ed25519 !!!!",
            f"ssh-rsa {blob}",
            f"ecdsa-sha2-nistp256 {blob}",
            "hello world",
            'from="x ssh-ed25519 AAAA',
            'from="',
            ED.toString("OPENSSH").decode().splitlines()[0],
            "\x00 \x00",
        ):
            self.assertRaises(BadLine, parse_line, bad)

    def test_a_comment_is_printable_and_short(self) -> None:
        grant = parse_line(f"{ED_LINE} evil\x1b[2J\x07" + "x" * 5_000)
        self.assertTrue(grant.comment.isprintable())
        self.assertEqual(len(grant.comment), 100)


class FileCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir(mode=0o700)
        self.path = self.directory / "authorized_keys"
        self.keys = AuthorizedKeys(self.path)

    def write(self, *lines: str, mode: int = 0o600) -> None:
        self.path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.path.chmod(mode)


class FileTests(FileCase):
    def test_lines(self) -> None:
        self.write("# mine", "", line(ED, "ann"), "  ", "nonsense", line(RSA, "bob"), 'from="x" ' + line(EC))
        grants, problems = self.keys.read()
        self.assertEqual([each.comment for each in grants], ["ann", "bob"])
        self.assertEqual([each.split(":")[0] for each in problems], ["line 5", "line 7"])

    def test_a_line_ends_where_it_ends_for_sshd(self) -> None:
        for separator in "\x0b\x0c\x1c\x85\u2028\r":
            self.write("# not any more: " + separator + line(ED), f'from="10.0.0.1",{separator}' + line(EC))
            self.assertEqual(self.keys.read()[0], [])

    def test_it_is_read_anew(self) -> None:
        self.write(line(ED))
        self.assertEqual(len(self.keys.read()[0]), 1)
        self.write("# none")
        self.assertEqual(self.keys.read(), ([], []))

    def test_who_else_may_write(self) -> None:
        for mode in (0o644, 0o600, 0o400, 0o640):
            self.write(line(ED), mode=mode)
            self.assertEqual(len(self.keys.read()[0]), 1)
            self.path.unlink()
        for mode in (0o620, 0o602, 0o666):
            self.write(line(ED), mode=mode)
            self.assertIn("others may write", str(self.assertRaises(KeysFileError, self.keys.read)))
        self.path.chmod(0o600)
        self.directory.chmod(0o777)
        self.assertRaises(KeysFileError, self.keys.read)
        self.directory.chmod(0o1777)
        self.assertEqual(len(self.keys.read()[0]), 1)

    def test_whose_it_is(self) -> None:
        self.write(line(ED))
        self.patch(os, "geteuid", lambda: 12_345)
        if os.stat(self.path).st_uid != 0:
            self.assertIn("another user", str(self.assertRaises(KeysFileError, self.keys.read)))
        else:
            os.chown(self.path, 999, -1)
            self.assertIn("another user", str(self.assertRaises(KeysFileError, self.keys.read)))

    def test_what_cannot_be_read(self) -> None:
        self.assertIn("cannot be read", str(self.assertRaises(KeysFileError, self.keys.read)))
        self.write("#" * (MAX_BYTES + 1))
        self.assertIn("larger", str(self.assertRaises(KeysFileError, self.keys.read)))
        self.assertRaises(KeysFileError, AuthorizedKeys(self.directory).read)


class LoginTests(FileCase):
    """The same file, and a user who signs."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.checker = KeyChecker(self.keys, self.clock)
        self.write(line(ED, "ann"), line(RSA, "bob"))

    def credentials(self, key: Key, signed: bytes | None = b"data", kind: bytes | None = None) -> Any:
        signature = None if signed is None else key.sign(signed, kind)
        return SimpleNamespace(blob=key.public().blob(), signature=signature, sigData=b"data", username=b"me")

    def refused(self, credentials: Any) -> None:
        answer = self.checker.requestAvatarId(credentials)
        self.assertNoResult(answer)
        self.clock.pump([0.1] * 100)
        self.failureResultOf(answer, UnauthorizedLogin)

    def test_who_signs_enters(self) -> None:
        grant = self.successResultOf(self.checker.requestAvatarId(self.credentials(ED)))
        self.assertEqual((grant.comment, grant.fingerprint), ("ann", fingerprint(ED)))
        grant = self.successResultOf(self.checker.requestAvatarId(self.credentials(RSA, kind=b"rsa-sha2-256")))
        self.assertEqual(grant.comment, "bob")

    def test_a_known_key_is_asked_to_sign(self) -> None:
        self.failureResultOf(self.checker.requestAvatarId(self.credentials(ED, None)), ValidPublicKey)

    def test_others_wait_and_are_refused(self) -> None:
        self.refused(self.credentials(OTHER, None))
        self.refused(self.credentials(OTHER))
        self.refused(self.credentials(ED, b"something else"))
        self.refused(SimpleNamespace(blob=ED.public().blob(), signature=b"", sigData=b"data"))
        self.refused(SimpleNamespace(blob=ED.public().blob(), signature=NS(b"ssh-ed25519"), sigData=b"data"))
        self.refused(SimpleNamespace(blob=b"\0" * 50, signature=b"x", sigData=b"data"))

    def test_rsa_with_sha_1_opens_nothing(self) -> None:
        self.refused(self.credentials(RSA, kind=b"ssh-rsa"))

    def test_a_key_taken_out_is_out(self) -> None:
        self.write(line(RSA))
        self.refused(self.credentials(ED))

    def test_without_a_file_nobody_enters(self) -> None:
        self.path.unlink()
        self.refused(self.credentials(ED))

    def test_failures_cost_ever_more_time(self) -> None:
        now = [0.0]
        slowness = Slowness(lambda: now[0])
        delays = [slowness.failed() for _ in range(30)]
        self.assertEqual((delays[0], delays[-1], delays), (0.5, 8.0, sorted(delays)))
        now[0] += 100
        self.assertEqual(slowness.failed(), 0.5)


class HostKeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.mkdir()
        # A new one takes most of a second.
        self.patch(manhole_hostkeys, "_new_rsa", lambda: RSA)

    def test_made_once(self) -> None:
        first, second = host_keys(self.path), host_keys(self.path)
        self.assertEqual(first, second)
        self.assertEqual(set(first), {b"ssh-ed25519", b"ssh-rsa"})
        for name in (ED25519_FILE, RSA_FILE):
            self.assertEqual(os.stat(self.path / name).st_mode & 0o777, 0o600)
        self.assertEqual(sorted(each.name for each in self.path.iterdir()), sorted([ED25519_FILE, RSA_FILE]))

    def test_those_of_two_nodes_differ(self) -> None:
        other = Path(self.mktemp())
        other.mkdir()
        self.assertNotEqual(host_keys(self.path)[b"ssh-ed25519"], host_keys(other)[b"ssh-ed25519"])

    def test_a_key_that_others_can_read(self) -> None:
        host_keys(self.path)
        (self.path / RSA_FILE).chmod(0o640)
        self.assertIn("chmod 600", str(self.assertRaises(HostKeyError, host_keys, self.path)))

    def test_what_is_no_key(self) -> None:
        for data in (b"", b"nonsense", line(ED).encode(), ED.toString("OPENSSH", passphrase=b"secret")):
            path = self.path / ED25519_FILE
            path.write_bytes(data)
            path.chmod(0o600)
            problem = str(self.assertRaises(HostKeyError, host_keys, self.path))
            self.assertIn(ED25519_FILE, problem)
            self.assertNotIn("\n", problem)

    def test_no_place(self) -> None:
        self.assertRaises(HostKeyError, host_keys, self.path / "nowhere")


class RsaTests(SynchronousTestCase):
    def test_the_size_of_a_new_one(self) -> None:
        self.assertEqual(manhole_hostkeys._new_rsa().size(), 3_072)
