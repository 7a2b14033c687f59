"""Cases of ``methods_control``."""

from __future__ import annotations

from tests.rpc.cases import Case
from timecoin.rpc.errors import METHOD_NOT_FOUND
from timecoin.rpc.table import Context


def logging_to_a_file(context: Context) -> None:
    context.log_path = lambda: "/var/log/node.log"


CASES = [
    Case("help", result=lambda text: "== Blockchain ==\n" in text),
    Case("help", ["getblockhash"], result=lambda text: text.startswith("getblockhash height\n")),
    Case("help", {"command": "nothing"}, error=METHOD_NOT_FOUND, says="help: unknown command: nothing"),
    Case("stop", result="TimeCoin node stopping"),
    Case("stop", node=lambda node: setattr(node, "warmup", "Loading..."), result="TimeCoin node stopping"),
    Case("uptime", result=61),
    Case("rpc.discover", result=lambda found: found["openrpc"] == "1.3.2" and len(found["methods"]) > 20),
    Case("getrpcinfo", result=lambda info: info["active_commands"] == [] and info["reactor"]["samples"] == 100),
    Case("getrpcinfo", result=lambda info: info["logpath"] == ""),
    Case("getrpcinfo", context=logging_to_a_file, result=lambda info: info["logpath"] == "/var/log/node.log"),
]
