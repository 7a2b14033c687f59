"""``timecoin genesis``: make a network's genesis file and the keys of its masternodes and funds.

By itself it makes a whole network at one place; its subcommands hold a ceremony of several operators.
"""

from __future__ import annotations

import time as clock
from pathlib import Path

import click
import msgspec

from timecoin.cli.genesis_options import parse_allocation, parse_parameters, parse_seat, write_new
from timecoin.cli.lazy import LazyGroup
from timecoin.cli.new_network import GENESIS_FILE, NewNetwork, make_network
from timecoin.ledger import networks
from timecoin.ledger.genesis import GenesisError
from timecoin.node.key_files import KeyFileError
from timecoin.primitives.amounts import AmountError, parse_amount
from timecoin.primitives.hashes import display

CEREMONY = {
    "propose": "timecoin.cli.genesis_ceremony:propose",
    "contribute": "timecoin.cli.genesis_ceremony:contribute",
    "combine": "timecoin.cli.genesis_ceremony:combine_parts",
    "check": "timecoin.cli.genesis_ceremony:check",
}


def write_network(made: NewNetwork, directory: Path) -> None:
    """Write the genesis, a directory of keys per masternode, and funds.json when there are funds."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number, keys in enumerate(made.masternodes):
        keys.write(directory / f"masternode{number}")
    if made.funds:
        shown = msgspec.json.format(msgspec.json.encode([fund.to_json() for fund in made.funds]), indent=1)
        write_new(directory / "funds.json", shown + b"\n", 0o600)
    write_new(directory / GENESIS_FILE, made.genesis.encode(), 0o644)


@click.group(cls=LazyGroup, places=CEREMONY, invoke_without_command=True)
@click.option(
    "--network",
    default="devnet",
    show_default=True,
    help="The network's name; mainnet, testnet, devnet or your own.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Directory for the files; it must hold no genesis.json.  [required]",
)
@click.option(
    "--masternode",
    "masternodes",
    multiple=True,
    help="TIER@ADDRESS:PORT, once per masternode.  [required]",
)
@click.option("--allocate", "allocations", multiple=True, help="ADDRESS=AMOUNT in TIME, once per coin.")
@click.option(
    "--funds",
    type=click.IntRange(0, 1_000_000),
    default=0,
    help="Coins with fresh keys, written to funds.json.",
)
@click.option("--fund-amount", default="100", show_default=True, help="TIME in each of them.")
@click.option("--epoch-seconds", type=click.IntRange(1, 86_400), default=600, show_default=True)
@click.option("--time", "when", type=int, default=None, help="Genesis time in Unix seconds. [default: now]")
@click.option("--parameter", "parameters", multiple=True, help="NAME=NUMBER: another value for a network parameter.")
@click.pass_context
def genesis(
    context: click.Context,
    network: str,
    out: Path | None,
    masternodes: tuple[str, ...],
    allocations: tuple[str, ...],
    funds: int,
    fund_amount: str,
    epoch_seconds: int,
    when: int | None,
    parameters: tuple[str, ...],
) -> None:
    """Make a network: OUT/genesis.json for everybody, and secret keys (mode 0600) for each masternode.

    Give OUT/masternodeN to the operator of the N-th one: operator.key for [masternode] operator_key_file,
    node.key for the data directory, owner.key and payout.key to be kept elsewhere.

    When each operator shall make its own keys, hold a ceremony: propose, contribute, combine, check.
    """
    if context.invoked_subcommand is not None:
        return
    if out is None or not masternodes:
        raise click.UsageError("Missing option '--out'." if out is None else "Missing option '--masternode'.")
    if (out / GENESIS_FILE).exists():
        raise click.ClickException(f"{out / GENESIS_FILE} is there already")
    try:
        hrp = networks.get(network).hrp
        made = make_network(
            network,
            int(clock.time()) if when is None else when,
            [parse_seat(each) for each in masternodes],
            parse_parameters(epoch_seconds, parameters),
            fund_count=funds,
            fund_amount=parse_amount(fund_amount),
            allocations=[parse_allocation(each, hrp) for each in allocations],
        )
        write_network(made, out)
    except (GenesisError, KeyFileError, AmountError, ValueError, OSError) as problem:
        raise click.ClickException(str(problem)) from None
    click.echo(f"{out / GENESIS_FILE}: network {network}, genesis hash {display(made.genesis.chain_id)}")
