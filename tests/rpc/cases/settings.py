"""Cases of ``methods_settings``."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from tests.rpc.cases import Case
from timecoin.node import config_kinds as kinds
from timecoin.node.settings import Setting, Settings
from timecoin.rpc.caller import Caller
from timecoin.rpc.errors import INVALID_PARAMETER, METHOD_NOT_FOUND, MISC_ERROR
from timecoin.rpc.table import Context

NOW_MS = 1_800_000_123_456


def _tree(save: Deferred[None] | None = None) -> Settings:
    settings = Settings(
        [
            Setting("p2p.max_inbound", kinds.integer(0, 100), "Peers.", "64"),
            Setting("log.level", kinds.choice("info", "debug"), "Levels.", "debug", in_file=True),
            Setting("storage.snapshots", kinds.boolean(), "Whether.", "yes"),
            Setting("storage.packing", kinds.boolean(), "Packs.", "no", kept=False),
        ],
        {},
        lambda kept: save or succeed(None),
        lambda: NOW_MS,
    )
    for path in ("p2p.max_inbound", "log.level", "storage.snapshots"):
        settings.bind(path, lambda value: None)
    return settings


def _present(context: Context) -> None:
    context.settings = _tree()


def _full_disk(context: Context) -> None:
    context.settings = _tree(fail(OSError(28, "No space left on device")))


def _changed(context: Context) -> None:
    _present(context)
    assert context.settings is not None
    context.settings.set("p2p.max_inbound", 7, "ann")


def _setting(value: Any, origin: str) -> Any:
    return lambda shown: (shown["value"], shown["origin"]) == (value, origin)


CASES = [
    Case("getsettings", context=_present, result=lambda all: len(all["settings"]) == 3 and all["changes"] == []),
    Case(
        "getsettings",
        ["log"],
        context=_present,
        result={
            "settings": [
                {
                    "path": "log.level",
                    "value": "debug",
                    "origin": "file",
                    "configured": "debug",
                    "allowed": "one of info, debug",
                    "description": "Levels.",
                    "persistable": True,
                }
            ],
            "changes": [],
        },
    ),
    Case(
        "getsettings",
        {"path": "p2p.max_inbound"},
        context=_changed,
        result=lambda all: (
            all["changes"]
            == [
                {
                    "time": NOW_MS // 1000,
                    "path": "p2p.max_inbound",
                    "before": "64",
                    "after": "7",
                    "by": "ann",
                    "persisted": False,
                }
            ]
        ),
    ),
    Case(
        "getsettings",
        ["p2p.max_inbond"],
        context=_present,
        error=INVALID_PARAMETER,
        says="did you mean",
    ),
    Case("getsettings", error=METHOD_NOT_FOUND),
    Case("setsetting", ["p2p.max_inbound", 10], context=_present, result=_setting(10, "run time")),
    Case("setsetting", ["p2p.max_inbound", "10"], context=_present, result=_setting(10, "run time")),
    Case("setsetting", ["storage.snapshots", False], context=_present, result=_setting(False, "run time")),
    Case(
        "setsetting",
        {"path": "log.level", "value": "info", "persist": True},
        context=_present,
        result=_setting("info", "kept"),
    ),
    Case("setsetting", ["p2p.max_inbound", 101], context=_present, error=INVALID_PARAMETER, says="from 0 to 100"),
    Case("setsetting", ["p2p.max_inbound", 1.5], context=_present, error=INVALID_PARAMETER, says="a whole number"),
    Case("setsetting", ["p2p.max_inbound", True], context=_present, error=INVALID_PARAMETER, says="'yes'"),
    Case("setsetting", ["nothing", 1], context=_present, error=INVALID_PARAMETER, says="no setting 'nothing'"),
    Case("setsetting", ["storage.packing", True], context=_present, error=MISC_ERROR, says="does not run"),
    Case("setsetting", ["log.level", "info", True], context=_full_disk, error=MISC_ERROR, says="No space left"),
    Case(
        "setsetting",
        ["p2p.max_inbound", 8],
        context=_present,
        caller=Caller("bob", None, "127.0.0.1:5"),
        result=_setting(8, "run time"),
    ),
    Case("setsetting", ["log.level", "info"], error=METHOD_NOT_FOUND),
    Case("resetsetting", ["p2p.max_inbound"], context=_changed, result=_setting(64, "default")),
    Case("resetsetting", ["log.level"], context=_present, result=_setting("debug", "file")),
    Case("resetsetting", ["nothing"], context=_present, error=INVALID_PARAMETER),
    Case("resetsetting", ["storage.packing"], context=_present, error=MISC_ERROR),
]
