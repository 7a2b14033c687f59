"""``getstatus``'s answer as one screen for people."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_LEVELS = {"error": "bold red", "warning": "yellow"}


def screen(status: dict[str, Any]) -> RenderableType:
    """The whole screen."""
    title = f"TimeCoin {status['version']}   {status['network']}   chain {status['chain_id'][:16]}"
    # Alerts first: what a short terminal cuts off is at the end.
    return Panel(Group(_alerts(status["alerts"]), _figures(status)), title=title, title_align="left")


def _figures(status: dict[str, Any]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines(status):
        table.add_row(name, text)
    return table


def lines(status: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, what it says) of each line."""
    consensus, pool, peers = status["consensus"], status["pool"], status["peers"]
    return [
        ("height", _height(status["chain"])),
        ("epoch", _epoch(status)),
        ("finality", _finality(status["finality"])),
        ("consensus", _round(consensus)),
        ("power", _power(consensus)),
        ("this node", _part(consensus)),
        ("peers", f"{peers['inbound']} in, {peers['outbound']} out, {peers['masternodes']} of them masternodes"),
        ("mempool", _pool(pool)),
        ("clock", f"{status['clock_offset_ms']:+} ms against peers"),
        ("reactor", f"one in a hundred events waits {status['reactor_p99_ms']:.1f} ms or more"),
        ("disk", _disk(status["chain"])),
        ("up", duration(status["uptime"])),
    ]


def _height(chain: dict[str, Any]) -> str:
    shown = f"{chain['blocks']:,}   {chain['bestblockhash'][:16]}"
    if chain["syncing"]:
        left = chain["seconds_left"]
        shown += f"   catching up with {chain['headers']:,}" + ("" if left is None else f", {duration(left)} left")
    return shown


def _epoch(status: dict[str, Any]) -> str:
    chain = status["chain"]
    left = chain["next_slot"] - status["time_ms"] // 1000
    when = time.strftime("%H:%M:%S", time.gmtime(chain["next_slot"]))
    due = f"closes in {duration(left)}" if left >= 0 else f"due for {duration(-left)}"
    sealed = ", sealed" if status["consensus"]["sealed"] else ""
    return f"{chain['epoch']:,}   {due} ({when} UTC){sealed}"


def _finality(finality: dict[str, Any]) -> str:
    if not finality["samples"]:
        return "no payments yet"
    return (
        f"p50 {finality['p50_ms']} ms, p99 {finality['p99_ms']} ms, slowest {finality['max_ms']} ms"
        f" (last {finality['samples']:,} payments)"
    )


def _round(consensus: dict[str, Any]) -> str:
    return f"height {consensus['height']:,}, round {consensus['round']}, {consensus['step']}"


def _power(consensus: dict[str, Any]) -> str:
    connected, quorum, total = consensus["connected_power"], consensus["quorum"], consensus["total_power"]
    masternodes = f"{consensus['masternodes']} masternode{'' if consensus['masternodes'] == 1 else 's'}"
    return f"{connected:,} of {total:,} connected, a quorum is {quorum:,} ({masternodes})"


def _part(consensus: dict[str, Any]) -> str:
    if consensus["masternode"] is None:
        return "follows; it is no masternode of this epoch"
    state = "votes" if consensus["voting"] else f"is silent: {consensus['abstains'] or 'no quorum is connected'}"
    return f"masternode {consensus['masternode'][:16]} {state}"


def _pool(pool: dict[str, Any]) -> str:
    share = 100 * pool["usage"] // pool["max_bytes"]
    return f"{pool['pending']:,} pending, {pool['certified']:,} certified, {pool['final']:,} final   {share} % full"


def _disk(chain: dict[str, Any]) -> str:
    free = "" if chain["disk_free"] is None else f", {chain['disk_free'] / 2**30:.1f} GiB free"
    return f"{chain['size_on_disk'] / 2**20:,.1f} MiB of chain{free}"


def _alerts(alerts: list[dict[str, Any]]) -> Text:
    if not alerts:
        return Text("no alerts", style="green")
    shown = Text()
    for number, alert in enumerate(alerts):
        line = f"{alert['level'].upper()} {alert['code']}: {alert['text']}"
        shown.append(("\n" if number else "") + line, style=_LEVELS[alert["level"]])
    return shown


def duration(seconds: int) -> str:
    """Seconds as people say them: ``42 s``, ``3 min 5 s``, ``2 h 3 min``, ``4 d 2 h``."""
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3_600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86_400:
        return f"{seconds // 3_600} h {seconds // 60 % 60} min"
    return f"{seconds // 86_400} d {seconds // 3_600 % 24} h"
