"""``timecoin wallet``: what it asks a node, what it prints, and what becomes of secrets."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from click.testing import Result

from tests.cli.test_over_rpc import WHERE, NotedClient, OverRpc
from timecoin.cli import wallet_asking, wallet_scan
from timecoin.cli.wallet_making import LAST_INDEX, descriptor_of
from timecoin.rpc.client import RpcFailure, RpcUnreachable
from timecoin.rpc.methods import all_methods

# BIP 39, the vector of sixteen zero bytes.
WORDS = "abandon " * 11 + "about"
XPUB = "[73c5da0a/84h/1h/0h]tpub6x"
TXID = "ab" * 32
SUMS = {
    "trusted": Decimal("3.5"),
    "untrusted_pending": Decimal("0.3"),
    "immature": Decimal(0),
    "pending": Decimal("0E-8"),
    "certified": Decimal("0.2"),
    "final": Decimal("1.5"),
    "archived": Decimal("2.00000001"),
    "collateral": Decimal(0),
}
LINE = {
    "time": 1_700_000_000,
    "status": "final",
    "category": "receive",
    "amount": Decimal("0.25000000"),
    "txid": TXID,
    "label": "order 7",
    "address": "timed1x",
}


def info(scanning: Any = False, **others: Any) -> dict[str, Any]:
    return {"scanning": scanning, "synced_height": 9, "lastprocessedblock": {"height": 9}, "encrypted": False} | others


class WalletCase(OverRpc):
    def setUp(self) -> None:
        super().setUp()
        self.patch(wallet_scan, "LOOK_SECONDS", 0.01)

    def wallet(self, *words: str, given: str = "", code: int = 0) -> Result:
        done = self.run_words("wallet", words[0], *WHERE, *words[1:], given=given)
        self.assertEqual(done.exit_code, code, done.output)
        for method, params in NotedClient.calls:
            known = all_methods()[method]
            names = {each.name for each in known.parameters}
            self.assertTrue(set(params) <= names if isinstance(params, dict) else len(params) <= len(names), method)
        return done

    def asked(self, method: str) -> Any:
        """Parameters of the only call of a method."""
        found = [params for name, params in NotedClient.calls if name == method]
        self.assertEqual(len(found), 1, NotedClient.calls)
        return found[0]


class MakingTests(WalletCase):
    def test_create_with_a_passphrase_from_standard_input(self) -> None:
        NotedClient.answers = {"createwallet": {"name": "shop", "words": WORDS}}
        done = self.wallet("create", "shop", "--words", "24", given="correct horse\n")
        expected = {
            "wallet_name": "shop",
            "passphrase": "correct horse",
            "load_on_startup": True,
            "show_words": True,
            "word_count": 24,
        }
        self.assertEqual(self.asked("createwallet"), expected)
        self.assertEqual((done.stdout, done.output.count(WORDS)), (WORDS + "\n", 1))
        self.assertNotIn("correct horse", done.output)

    def test_without_a_passphrase_only_in_plain_words(self) -> None:
        NotedClient.answers = {"createwallet": {"name": "shop", "words": WORDS}}
        self.assertIn("--no-passphrase", self.wallet("create", "shop", given="\n", code=2).output)
        self.assertEqual(NotedClient.calls, [])
        done = self.wallet("create", "shop", "--no-passphrase", "--no-startup")
        self.assertIsNone(self.asked("createwallet")["passphrase"])
        self.assertFalse(self.asked("createwallet")["load_on_startup"])
        self.assertIn("who can read its file", done.stderr)

    def test_an_account_to_be_watched(self) -> None:
        described = {"hasprivatekeys": False, "checksum": "abcdefgh", "isrange": True}
        NotedClient.answers = {
            "getdescriptorinfo": described,
            "createwallet": {"name": "shop"},
            "getwalletinfo": info(),
            "importdescriptors": [{"success": True}],
        }
        self.wallet("create", "shop", "--watch-only", XPUB)
        self.assertTrue(self.asked("createwallet")["disable_private_keys"])
        wanted = {
            "desc": f"wpkh({XPUB}/<0;1>/*)#abcdefgh",
            "timestamp": 0,
            "active": True,
            "range": [0, LAST_INDEX],
        }
        self.assertEqual(self.asked("importdescriptors"), ([wanted],))
        self.assertEqual(NotedClient.made[1][0], "http://127.0.0.1:1/wallet/shop")

    def test_a_descriptor_that_was_never_used(self) -> None:
        NotedClient.answers = {
            "getdescriptorinfo": {"hasprivatekeys": False, "checksum": "abcdefgh", "isrange": False},
            "createwallet": {"name": "shop"},
            "getwalletinfo": info(),
            "importdescriptors": [{"success": False, "error": {"code": -8, "message": "no"}}],
        }
        done = self.wallet("create", "shop", "--watch-only", "addr(timed1x)#abcdefgh", "--unused", code=8)
        wanted = {"desc": "addr(timed1x)#abcdefgh", "timestamp": "now", "active": False}
        self.assertEqual(self.asked("importdescriptors"), ([wanted],))
        self.assertIn("it watches nothing: no", done.output)

    def test_private_keys_are_not_taken_from_the_command_line(self) -> None:
        NotedClient.answers = {"getdescriptorinfo": {"hasprivatekeys": True}}
        done = self.wallet("create", "shop", "--watch-only", "wpkh(tprvsecret/*)", code=2)
        self.assertNotIn("tprvsecret", done.output)
        self.assertEqual([name for name, _ in NotedClient.calls], ["getdescriptorinfo"])
        self.wallet("create", "shop", "--watch-only", XPUB, "--no-passphrase", code=2)
        self.wallet("create", "shop", "--unused", code=2)

    def test_descriptors(self) -> None:
        self.assertEqual(descriptor_of("tpub1"), "wpkh(tpub1/<0;1>/*)")
        self.assertEqual(descriptor_of("wsh(multi(1,a))"), "wsh(multi(1,a))")

    def test_restore_from_words(self) -> None:
        scan = {"duration": 1, "progress": 0.5, "height": 4}
        looks = iter([info(scan), info(scan), info(), info()])
        self.patch(wallet_scan, "LINE_SECONDS", 0.0)
        NotedClient.answers = {
            "restorewalletfromwords": {"name": "old"},
            "getwalletinfo": lambda: next(looks),
        }
        done = self.wallet("restore", "old", "--word-passphrase", given=f"{WORDS}\nTREZOR\nnew one\n")
        found = self.asked("restorewalletfromwords")
        self.assertEqual((found["words"], found["word_passphrase"], found["passphrase"]), (WORDS, "TREZOR", "new one"))
        self.assertIn("block 4: 50%", done.stderr)
        for secret in ("abandon", "TREZOR", "new one"):
            self.assertNotIn(secret, done.output)

    def test_words_that_are_none_reach_no_node(self) -> None:
        for text in (WORDS.replace("about", "abuot"), "abandon " * 12, "one two", ""):
            done = self.wallet("restore", "old", "--no-passphrase", given=f"{text}\n", code=1)
            self.assertNotIn("abuot", done.output)
        self.assertEqual(NotedClient.calls, [])

    def test_a_restore_that_is_not_through_says_so(self) -> None:
        NotedClient.answers = {"restorewallet": {"name": "old"}, "getwalletinfo": info(synced_height=3)}
        done = self.wallet("restore", "old", "--backup", "/b", code=1)
        self.assertEqual(self.asked("restorewallet")["backup_file"], "/b")
        self.assertIn("ended at block 3", done.output)
        self.wallet("restore", "old", "--backup", "/b", "--no-passphrase", code=2)


class TerminalTests(WalletCase):
    """What is different when somebody sits there."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(wallet_asking, "on_terminal", lambda: True)
        self.shown: list[str] = []
        self.patch(wallet_asking, "show_words", lambda phrase: self.shown.append(phrase))
        NotedClient.answers = {"createwallet": {"name": "shop", "words": "one two three"}}

    def test_words_are_asked_back(self) -> None:
        self.wallet("create", "shop", "--no-passphrase", given="one\nTwo \nthree\n")
        self.assertEqual(len(self.shown), 1)

    def test_words_that_are_not_known_are_shown_again(self) -> None:
        done = self.wallet("create", "shop", "--no-passphrase", given="one\ntow\none\ntwo\nthree\n")
        self.assertEqual(len(self.shown), 2)
        self.assertIn("Look again", done.output)

    def test_new_passphrases_are_asked_for_twice(self) -> None:
        class Terminal:
            def isatty(self) -> bool:
                return True

        self.patch(wallet_asking.sys, "stdin", Terminal())
        for typed, same in ((["a", "a"], True), (["a", "b"], False)):
            answers = iter(typed)
            self.patch(wallet_asking, "read_password", lambda prompt, answers=answers: next(answers))
            if same:
                self.assertEqual(wallet_asking.new_passphrase(), "a")
            else:
                self.assertRaises(wallet_asking.click.UsageError, wallet_asking.new_passphrase)


class KeyTests(WalletCase):
    def test_unlock_and_lock(self) -> None:
        self.wallet("unlock", "--seconds", "30", given="hush\n")
        self.assertEqual(self.asked("walletpassphrase"), ("hush", 30))
        self.wallet("lock")
        self.wallet("unlock", given="", code=2)
        self.asked("walletpassphrase")

    def test_encrypt_then_change(self) -> None:
        NotedClient.answers = {"getwalletinfo": info()}
        self.wallet("passphrase", given="first\n")
        self.assertEqual(self.asked("encryptwallet"), ("first",))
        NotedClient.answers = {"getwalletinfo": info(encrypted=True)}
        done = self.wallet("passphrase", given="first\nsecond\n")
        self.assertEqual(self.asked("walletpassphrasechange"), ("first", "second"))
        self.assertNotIn("second", done.output)

    def test_words(self) -> None:
        NotedClient.answers = {"getwalletwords": {"words": WORDS, "word_passphrase": "TREZOR"}}
        self.assertEqual(self.wallet("words").stdout, f"{WORDS}\nTREZOR\n")

    def test_the_key_of_the_account(self) -> None:
        active = {"active": True, "internal": False}
        change = {"desc": f"wpkh({XPUB}/1/*)#abcdefgh", "active": True, "internal": True}
        listed = [
            {"desc": "addr(x)#abcdefgh", "active": False},
            change,
            {"desc": f"wpkh({XPUB}/0/*)#abcdefgh"} | active,
        ]
        NotedClient.answers = {"listdescriptors": {"descriptors": listed}}
        self.assertEqual(self.wallet("xpub").stdout, f"{XPUB}\n")
        NotedClient.answers = {"listdescriptors": {"descriptors": [{"desc": "wsh(multi(1,a/0/*))"} | active]}}
        self.wallet("xpub", code=1)


class FileTests(WalletCase):
    def test_list(self) -> None:
        NotedClient.answers = {"listwallets": ["b"], "listwalletdir": {"wallets": [{"name": "a"}, {"name": "b"}]}}
        lines = self.wallet("list").stdout.splitlines()
        self.assertEqual([line.split(None, 1) for line in lines], [["a", "not loaded"], ["b", "loaded"]])

    def test_load_and_unload(self) -> None:
        NotedClient.answers = {"loadwallet": {"name": "a", "warnings": ["old"]}, "unloadwallet": {}}
        self.assertIn("warning: old", self.wallet("load", "a").stderr)
        self.assertEqual(self.asked("loadwallet"), {"filename": "a", "load_on_startup": True})
        self.wallet("unload", "a")
        self.assertEqual(self.asked("unloadwallet"), {"wallet_name": "a", "load_on_startup": None})

    def test_the_place_of_a_backup_counts_from_here(self) -> None:
        self.wallet("backup", "x.backup")
        self.assertTrue(self.asked("backupwallet")[0].endswith("/x.backup"))
        self.assertTrue(self.asked("backupwallet")[0].startswith("/"))


class MoneyTests(WalletCase):
    def test_balances_by_how_certain_they_are(self) -> None:
        NotedClient.answers = {"getbalances": {"mine": SUMS, "lastprocessedblock": {}}}
        lines = [line.split() for line in self.wallet("balance").stdout.splitlines()]
        self.assertEqual(
            [(line[0], line[1]) for line in lines[:4]],
            [
                ("pending", "0.00000000"),
                ("certified", "0.20000000"),
                ("final", "1.50000000"),
                ("archived", "2.00000001"),
            ],
        )
        self.assertEqual(lines[4][:3], ["can", "pay", "3.50000000"])
        self.assertEqual(json.loads(self.wallet("balance", "--json").stdout)["mine"]["certified"], 0.2)

    def test_watched_apart(self) -> None:
        NotedClient.answers = {"getbalances": {"mine": SUMS, "watchonly": SUMS | {"collateral": Decimal(1000)}}}
        shown = self.wallet("balance").stdout
        self.assertIn("and only watched:\n", shown)
        self.assertEqual(shown.count("collateral of masternodes"), 1)

    def test_addresses_and_labels(self) -> None:
        NotedClient.answers = {
            "getnewaddress": "timed1x",
            "listlabels": ["", "order 7"],
            "getaddressesbylabel": {"timed1x": {"purpose": "receive"}},
        }
        self.assertEqual(self.wallet("address", "--label", "order 7").stdout, "timed1x\n")
        self.assertEqual(self.asked("getnewaddress"), ("order 7",))
        self.assertEqual(self.wallet("labels").stdout, "\norder 7\n")
        self.assertEqual(self.wallet("labels", "order 7").stdout, "timed1x\n")

    def test_send(self) -> None:
        NotedClient.answers = {"sendtoaddress": TXID}
        self.assertEqual(self.wallet("send", "timed1x", "0.25", "--subtract-fee").stdout, f"{TXID}\n")
        expected = {"address": "timed1x", "amount": "0.25", "comment": "", "subtractfeefromamount": True}
        self.assertEqual(self.asked("sendtoaddress"), expected)
        for amount in ("0,25", "1e3", "0.123456789", "a"):
            self.wallet("send", "timed1x", amount, code=2)
        self.asked("sendtoaddress")

    def test_send_and_wait(self) -> None:
        NotedClient.answers = {"sendtoaddress": TXID, "waitforfinality": {"status": "final", "final_ms": 31}}
        done = self.wallet("send", "timed1x", "1", "--wait", "--wait-seconds", "5")
        self.assertEqual((done.stdout, done.stderr), (f"{TXID}\n", "final after 31 ms\n"))
        self.assertEqual(self.asked("waitforfinality"), (TXID, 5_000))

    def test_what_is_not_final_is_told_by_the_exit_status(self) -> None:
        for answer, said in (
            ({"status": "certified", "final_ms": None, "reason": None}, "only certified after 60 s"),
            ({"status": "rejected", "final_ms": None, "reason": "expired"}, "rejected: expired"),
        ):
            NotedClient.answers = {"sendtoaddress": TXID, "waitforfinality": answer}
            self.assertIn(said, self.wallet("send", "timed1x", "1", "--wait", code=1).stderr)

    def test_history(self) -> None:
        NotedClient.answers = {
            "listtransactions": [LINE, LINE | {"abandoned": True, "label": "", "amount": Decimal(-1)}]
        }
        first, second = self.wallet("history", "--count", "2").stdout.splitlines()
        self.assertEqual(first.split(), f"2023-11-14 22:13:20 final receive +0.25000000 {TXID} order 7".split())
        self.assertEqual(second.split()[2:], ["abandoned", "receive", "-1.00000000", TXID, "timed1x"])
        self.assertEqual(self.asked("listtransactions"), {"label": "*", "count": 2, "skip": 0})

    def test_errors_say_what_helps(self) -> None:
        for code, hint in ((-13, "wallet unlock"), (-18, "wallet load"), (-19, "--wallet NAME")):
            NotedClient.answers = {"sendtoaddress": RpcFailure(code, "no")}
            self.assertIn(hint, self.wallet("send", "timed1x", "1", code=-code).stderr)
        NotedClient.answers = {"getbalances": RpcUnreachable("nobody listens")}
        self.assertIn("nobody listens", self.wallet("balance", code=1).stderr)


class RescanTests(WalletCase):
    def test_it_is_watched(self) -> None:
        NotedClient.answers = {
            "getwalletinfo": info(),
            "rescanblockchain": {"start_height": 4, "stop_height": 9},
        }
        self.assertEqual(self.wallet("rescan", "--from", "4").stdout, "looked through blocks 4 to 9\n")
        self.assertEqual(self.asked("rescanblockchain"), (4,))

    def test_ctrl_c_ends_it_in_the_node(self) -> None:
        def interrupted() -> Any:
            raise KeyboardInterrupt

        self.patch(wallet_scan, "_wait", lambda answer: interrupted())
        NotedClient.answers = {
            "getwalletinfo": info(),
            "rescanblockchain": RpcFailure(-1, "aborted"),
            "abortrescan": True,
        }
        self.patch(wallet_scan, "_aside", lambda node, method, params: wallet_scan.Future())
        done = self.wallet("rescan", "--wallet", "shop", code=1)
        self.assertIn("ended before its time", done.stderr)
        self.assertFalse(self.asked("abortrescan"))
        self.assertEqual({each[0] for each in NotedClient.made}, {"http://127.0.0.1:1/wallet/shop"})

    def test_an_error_of_the_scan(self) -> None:
        NotedClient.answers = {"getwalletinfo": info(), "rescanblockchain": RpcFailure(-4, "scanning")}
        self.wallet("rescan", code=4)
