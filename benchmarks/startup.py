"""From start to voting with many unspent coins: ``python -m benchmarks.startup --coins 200000`` prints one JSON object.

The coins come about as they do in life, by payments: each splits one coin into thousands. Then the node is stopped
and started.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import peak_rss_mb, rss_mb
from benchmarks.finality import start_devnet, stop_devnet
from timecoin.cli.payment import OwnedCoin
from timecoin.primitives.hashes import hash160, parse_display
from timecoin.primitives.script import p2wpkh, p2wpkh_script_code
from timecoin.primitives.sighash import Bip143, join_signature
from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import Transaction, TxInput, TxOutput, make_outpoint
from timecoin.rpc.client import BlockingClient

PER_SPLIT = 3_000
SHARE = 1_000_000


def split(coin: OwnedCoin, count: int) -> Transaction:
    """A payment of one coin to ``count`` new ones; the rest is a generous fee."""
    backend = get_backend()
    key = backend.public_key(coin.secret)
    outputs = tuple(
        TxOutput(SHARE, p2wpkh(hash160(coin.outpoint + number.to_bytes(4, "little")))) for number in range(count)
    )
    unsigned = Transaction(2, (TxInput(coin.outpoint),), outputs)
    digest = Bip143(unsigned).digest(0, p2wpkh_script_code(hash160(key)), coin.value)
    witness = (join_signature(backend.sign(coin.secret, digest)), key)
    return Transaction(2, (TxInput(coin.outpoint, witness=witness),), outputs)


def _client(network: dict[str, Any]) -> BlockingClient:
    return BlockingClient(network["nodes"][0]["rpc"], Path(network["nodes"][0]["cookie"]))


def fill(network: dict[str, Any], coins: int) -> None:
    """Make the coins and wait until they are archived."""
    client = _client(network)
    txids = []
    for fund in network["funds"][: -(-coins // PER_SPLIT)]:
        outpoint = make_outpoint(parse_display(fund["txid"]), fund["vout"])
        tx = split(OwnedCoin(outpoint, fund["amount"], bytes.fromhex(fund["secret"])), PER_SPLIT)
        txids.append(client.call("sendrawtransaction", tx.raw.hex()))
    end = time.time() + 120
    while any(client.call("gettxstatus", txid)["status"] != "archived" for txid in txids):
        if time.time() > end:
            raise SystemExit("the coins were not archived")
        time.sleep(0.2)


def measure(coins: int, directory: Path) -> dict[str, Any]:
    """Fill a network of one, start it anew, look."""
    devnet, network = start_devnet(directory, 1, 5, 1_000)
    try:
        fill(network, coins)
    finally:
        stop_devnet(devnet)
    began = time.time()
    devnet, network = start_devnet(directory, 1, 5, 1_000)
    try:
        waited = time.time() - began
        pid = network["nodes"][0]["pid"]
        count = _client(network).call("gettxoutsetinfo")["txouts"]
        return {
            "coins": count,
            "seconds_to_voting": round(waited, 2),
            "rss_mb": rss_mb(pid),
            "peak_rss_mb": peak_rss_mb(pid),
        }
    finally:
        stop_devnet(devnet)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--coins", type=int, default=200_000)
    arguments = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="timecoin-startup-"))
    try:
        print(json.dumps(measure(arguments.coins, directory), indent=1))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
