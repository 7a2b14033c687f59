"""The ``timecoin`` command."""

from __future__ import annotations

import click

import timecoin
from timecoin.cli.lazy import LazyGroup

PLACES = {
    "rpc": "timecoin.cli.rpc:rpc",
    "status": "timecoin.cli.status:status",
    "completion": "timecoin.cli.completion:completion",
    "genesis": "timecoin.cli.genesis:genesis",
    "devnet": "timecoin.cli.devnet:devnet",
    "demo-payment": "timecoin.cli.payment_demo:demo_payment",
    "masternode": "timecoin.cli.masternode:masternode",
    "rpcauth": "timecoin.cli.rpcauth:rpcauth",
    "simulate": "timecoin.cli.simulate:simulate",
    "verify-proof": "timecoin.cli.verify_proof:verify_proof",
    "wallet": "timecoin.cli.wallet:wallet",
}


@click.group(cls=LazyGroup, places=PLACES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(timecoin.__version__, prog_name="timecoin")
def main() -> None:
    """Make and use TimeCoin networks. The node itself is `twistd timecoin`."""
