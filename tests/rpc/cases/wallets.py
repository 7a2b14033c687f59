"""Cases of ``methods_wallets`` and ``methods_wallet_locking``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.rpc.cases import Case
from tests.rpc.cases.wallet_coins import WATCH, coming, watching
from tests.rpc.purses import Purse, coins, locked, nothing, purse, two, unlocked
from timecoin.rpc.caller import Caller

WORDS = "abandon " * 11 + "about"


def shows_words(value: dict[str, Any]) -> None:
    assert value["name"] == "new" and len(value["words"].split()) == 24, value


def no_words(value: dict[str, Any]) -> None:
    assert value == {"name": "new"}, value


def info(**members: Any) -> Any:
    def check(value: dict[str, Any]) -> None:
        for name, wanted in members.items():
            assert value.get(name) == wanted, (name, value)

    return check


def damaged(made: Purse) -> None:
    made.now(made.service.unload("purse", None))
    (made.directory / "purse" / "damaged").touch()


def unloaded(made: Purse) -> None:
    made.now(made.service.unload("purse", None))


def backed_up(made: Purse) -> None:
    made.now(made.wallet.backup(made.backup_path))


def backed_up_and_unloaded(made: Purse) -> None:
    backed_up(made)
    unloaded(made)


def scanning(made: Purse) -> None:
    for _ in range(120):
        made.chain.block(made.chain.gift(b"\x00\x14" + bytes(20)))
    made.wallet.rescan(0, None)


def beyond(made: Purse) -> None:
    for _ in range(23):
        made.script()


def locked_info(value: dict[str, Any]) -> None:
    assert value["encrypted"] and value["unlocked_until"] == 0, value


def unlocked_info(value: dict[str, Any]) -> None:
    assert value["unlocked_until"] > 1_800_000_000, value


def scan_info(value: dict[str, Any]) -> None:
    assert 0 < value["scanning"]["progress"] < 1, value


def missing(made: Purse) -> None:
    made.wallet.state.settings.missing_below = 17


CASES = [
    Case("createwallet", ["new"], no_words, context=purse()),
    Case("createwallet", {"wallet_name": "new", "show_words": True, "word_count": 24}, shows_words, context=purse()),
    Case("createwallet", ["new", True, True, "pass", False, True, True], {"name": "new"}, context=purse()),
    Case("createwallet", ["new", False, False, ""], lambda v: v["warnings"][0][:5] == "Empty", context=purse()),
    Case("createwallet", ["purse"], error=-4, says="already exists", context=purse()),
    Case("createwallet", {"wallet_name": "n", "descriptors": False}, error=-4, says="legacy", context=purse()),
    Case("createwallet", {"wallet_name": "n", "external_signer": True}, error=-4, context=purse()),
    Case("createwallet", {"wallet_name": "n", "avoid_reuse": True}, error=-4, context=purse()),
    Case("createwallet", ["../up"], error=-8, context=purse()),
    Case("createwallet", {"wallet_name": "n", "word_count": 13}, error=-8, context=purse()),
    Case("createwallet", ["n"], error=-18, context=nothing),
    Case("restorewalletfromwords", ["new", WORDS], {"name": "new"}, context=purse()),
    Case("restorewalletfromwords", ["new", WORDS, "tr", "pass", False, False], {"name": "new"}, context=purse()),
    Case("restorewalletfromwords", ["purse", WORDS], error=-4, context=purse()),
    Case("restorewalletfromwords", ["new", WORDS[:-5] + "abandon"], error=-5, says="checksum", context=purse()),
    Case("restorewalletfromwords", ["", WORDS], error=-8, context=purse()),
    Case("restorewalletfromwords", ["new", WORDS], error=-18, context=nothing),
    Case("loadwallet", ["purse", True], {"name": "purse"}, context=purse(unloaded)),
    Case("loadwallet", ["purse"], error=-4, context=purse(damaged)),
    Case("loadwallet", ["none"], error=-18, says="does not exist", context=purse()),
    Case("loadwallet", ["purse"], error=-35, context=purse()),
    Case("unloadwallet", ["purse"], {}, context=purse()),
    Case("unloadwallet", [], {}, context=two, caller=Caller(wallet="two")),
    Case("unloadwallet", ["one"], error=-8, says="different", context=two, caller=Caller(wallet="two")),
    Case("unloadwallet", [], error=-8, says="Either", context=purse()),
    Case("unloadwallet", ["none"], error=-18, context=purse()),
    Case(
        "restorewallet",
        lambda n: ["new", str(n.purse.backup_path)],
        {"name": "new"},
        context=purse(backed_up_and_unloaded),
    ),
    Case("restorewallet", lambda n: ["new", str(n.purse.backup_path)], error=-4, context=purse(backed_up)),
    Case("restorewallet", ["new", "/nowhere"], error=-8, context=purse()),
    Case("restorewallet", ["a/b", "/nowhere"], error=-8, context=purse()),
    Case("restorewallet", ["new", "/nowhere"], error=-18, context=nothing),
    Case("restorewallet", lambda n: ["purse", str(n.purse.backup_path)], error=-36, context=purse(backed_up)),
    Case("backupwallet", lambda n: [str(n.purse.backup_path)], None, context=purse()),
    Case("backupwallet", lambda n: [str(n.purse.backup_path)], error=-4, context=purse(backed_up)),
    Case("listwallets", [], ["one", "two"], context=two),
    Case("listwallets", [], [], context=nothing),
    Case("listwalletdir", [], {"wallets": [{"name": "purse"}]}, context=purse(unloaded)),
    Case("listwalletdir", [], error=-18, context=nothing),
    Case("getwalletwords", [], lambda v: len(v["words"].split()) == 12, context=purse(unlocked)),
    Case("getwalletwords", [], error=-4, context=purse(blank=True)),
    Case("getwalletwords", [], error=-13, context=purse(locked)),
    Case(
        "getwalletinfo",
        [],
        info(walletname="purse", txcount=2, keypoolsize=20, scanning=False, encrypted=False, synced_height=2),
        context=purse(coins(2)),
    ),
    Case(
        "getwalletinfo",
        [],
        info(balance=Decimal(3), unconfirmed_balance=Decimal(1), immature_balance=Decimal(0)),
        context=purse(coins(3), coming("pending")),
    ),
    Case("getwalletinfo", [], info(balance=Decimal(1)), context=purse(watching, **WATCH)),
    Case("getwalletinfo", [], info(private_keys_enabled=False, keypoolsize=0), context=purse(watch_only=True)),
    Case("getwalletinfo", [], locked_info, context=purse(locked)),
    Case("getwalletinfo", [], unlocked_info, context=purse(unlocked)),
    Case("getwalletinfo", [], scan_info, context=purse(scanning)),
    Case("getwalletinfo", [], info(missing_history_below=17), context=purse(missing)),
    Case("getwalletinfo", [], info(addresses_beyond_gap=3), context=purse(beyond)),
    Case("encryptwallet", ["pass"], lambda v: "encrypted" in v, context=purse()),
    Case("encryptwallet", [""], error=-8, context=purse()),
    Case("encryptwallet", ["pass"], error=-15, context=purse(locked)),
    Case("encryptwallet", ["pass"], error=-16, context=purse(watch_only=True)),
    Case("encryptwallet", ["p" * 1_025], error=-16, context=purse()),
    Case("walletpassphrase", ["pass", 60], None, context=purse(locked)),
    Case("walletpassphrase", ["", 60], error=-8, context=purse(locked)),
    Case("walletpassphrase", ["pass", -1], error=-8, says="negative", context=purse(locked)),
    Case("walletpassphrase", ["wrong", 60], error=-14, says="incorrect", context=purse(locked)),
    Case("walletpassphrase", ["pass", 60], error=-15, says="unencrypted", context=purse()),
    Case("walletlock", [], None, context=purse(unlocked)),
    Case("walletlock", [], error=-15, context=purse()),
    Case("walletpassphrasechange", ["pass", "other"], None, context=purse(locked)),
    Case("walletpassphrasechange", ["", "other"], error=-8, context=purse(locked)),
    Case("walletpassphrasechange", ["wrong", "other"], error=-14, context=purse(locked)),
    Case("walletpassphrasechange", ["pass", "other"], error=-15, context=purse()),
]

#: Every method of one wallet needs to know which.
_OF_ONE = {
    "backupwallet": ["/nowhere"],
    "getwalletwords": [],
    "getwalletinfo": [],
    "encryptwallet": ["x"],
    "walletpassphrase": ["x", 1],
    "walletlock": [],
    "walletpassphrasechange": ["x", "y"],
}
CASES += [
    Case(name, params, error=-18, says="No wallet" if n else "no wallets", context=context)
    for name, params in _OF_ONE.items()
    for n, context in enumerate((nothing, purse(unloaded)))
]
CASES += [Case(name, params, error=-19, context=two) for name, params in _OF_ONE.items()]
CASES += [Case(name, params, error=-18, context=two, caller=Caller(wallet="three")) for name, params in _OF_ONE.items()]
