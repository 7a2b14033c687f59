"""The ``timecoin`` command."""

from __future__ import annotations

import click

import timecoin
from timecoin.cli.devnet import devnet
from timecoin.cli.genesis import genesis
from timecoin.cli.payment_demo import demo_payment
from timecoin.cli.rpc import rpc
from timecoin.cli.simulate import simulate


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(timecoin.__version__, prog_name="timecoin")
def main() -> None:
    """Make and use TimeCoin networks. The node itself is `twistd timecoin`."""


for command in (rpc, genesis, devnet, demo_payment, simulate):
    main.add_command(command)
