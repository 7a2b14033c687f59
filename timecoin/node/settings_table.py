"""Which settings there are: those of node.ini that take effect while the node runs, and some that only exist then."""

from __future__ import annotations

from typing import Any

from timecoin.node import config_kinds as kinds
from timecoin.node.config import Config, sections, specs
from timecoin.node.config_kinds import Kind
from timecoin.node.settings import Setting
from timecoin.ops.logs import LEVELS, ROOMS

#: Keys of node.ini that can be set at run time. Each has a test that it takes effect.
FROM_FILE = (
    ("p2p", "max_inbound"),
    ("p2p", "max_outbound"),
    ("rpc", "max_connections"),
    ("rpc", "max_request_bytes"),
    ("rpc", "max_batch"),
    ("rpc", "timeout"),
    ("push", "max_clients"),
    ("push", "buffer"),
    ("storage", "merge_keys"),
    ("storage", "pack_hours"),
    ("storage", "snapshots"),
    ("manhole", "idle_minutes"),
    ("wallet", "gap_limit"),
    ("wallet", "payments_ahead"),
)

_LEVEL = kinds.choice(*LEVELS)
_MORE: tuple[tuple[str, Kind[Any], str, str, bool], ...] = (
    (
        "p2p.rate_percent",
        kinds.integer(10, 1_000, "percent"),
        "100",
        "What a peer may send before it is slowed, in percent of the usual budgets; also of those connected now.",
        True,
    ),
    (
        "mempool.max_bytes",
        kinds.integer(1 << 20, 1 << 34, "bytes"),
        str(256 << 20),
        "Memory for unarchived transactions; when it shrinks, the cheapest go as the next ones come.",
        True,
    ),
    (
        "storage.packing",
        kinds.boolean(),
        "no",
        "Whether old revisions are being packed away; yes begins that now, and it is no again when that is done.",
        False,
    ),
    (
        "manhole.command_seconds",
        kinds.integer(1, 30, "seconds"),
        "2",
        "How long one command of the manhole may hold the node before it is interrupted.",
        True,
    ),
)


def declared(config: Config, pool_bytes: int) -> list[Setting[Any]]:
    """All settings, with what ``config`` says of them; ``pool_bytes`` is the pool's size without a setting."""
    found = [_from_file(config, section, key) for section, key in FROM_FILE]
    configured = {"mempool.max_bytes": str(pool_bytes)}
    found += [Setting(path, kind, doc, configured.get(path, text), kept=kept) for path, kind, text, doc, kept in _MORE]
    return sorted([*found, *_levels(config)], key=lambda each: each.path)


def _from_file(config: Config, section: str, key: str) -> Setting[Any]:
    spec = specs(sections()[section])[key]
    value = getattr(getattr(config, section), key)
    text = ("yes" if value else "no") if isinstance(value, bool) else str(value)
    return Setting(f"{section}.{key}", spec.kind, spec.doc, text, in_file=text != spec.default)


def _levels(config: Config) -> list[Setting[Any]]:
    """``log.level`` for all, ``log.ROOM`` for one room of the code."""
    level = config.node.log_level
    overall = Setting("log.level", _LEVEL, "Events below this level are not logged.", level, in_file=level != "info")
    inherited = kinds.choice("inherit", *LEVELS)
    return [
        overall,
        *(
            Setting(
                f"log.{room}", inherited, f"The same for what timecoin.{room} logs; inherit: as log.level.", "inherit"
            )
            for room in ROOMS
        ),
    ]
