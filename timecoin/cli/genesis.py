"""``timecoin genesis``: make a network's genesis file and the keys of its masternodes and funds."""

from __future__ import annotations

import os
import time as clock
from pathlib import Path

import click
import msgspec

from timecoin.cli.new_network import GENESIS_FILE, NewNetwork, Seat, make_network
from timecoin.ledger import networks
from timecoin.ledger.genesis import GenesisError
from timecoin.ledger.params import Parameters
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.tiers import Tier
from timecoin.node.key_files import KeyFileError
from timecoin.primitives import address
from timecoin.primitives.amounts import AmountError, parse_amount
from timecoin.primitives.hashes import display
from timecoin.primitives.transaction import TxOutput


def parse_seat(text: str) -> Seat:
    """``tier@address:port``, such as ``bronze@203.0.113.5:24100``; click.BadParameter for anything else."""
    tier, _, service = text.partition("@")
    try:
        return Seat(Tier[tier.upper()], ServiceAddress.parse(service))
    except (KeyError, ValueError):
        raise click.BadParameter(
            f"{text!r}: must be TIER@ADDRESS:PORT, tier gold, silver, bronze or free"
        ) from None


def parse_allocation(text: str, hrp: str) -> TxOutput:
    """``address=amount`` in TIME; click.BadParameter for anything else."""
    where, _, amount = text.partition("=")
    try:
        return TxOutput(parse_amount(amount), address.decode(where, hrp))
    except (AmountError, address.AddressError) as problem:
        raise click.BadParameter(f"{text!r}: {problem}") from None


def parse_parameters(epoch_seconds: int, assignments: tuple[str, ...]) -> Parameters:
    """Parameters for an epoch length, with ``name=integer`` overrides; click.BadParameter when one is
    unknown."""
    values: dict[str, int] = {}
    for text in assignments:
        name, _, value = text.partition("=")
        if name not in Parameters.__struct_fields__ or not value.isdecimal():
            raise click.BadParameter(f"{text!r}: must be NAME=NUMBER, a parameter of the genesis file")
        values[name] = int(value)
    return Parameters.for_epoch_seconds(epoch_seconds, **values)


def write_network(made: NewNetwork, directory: Path) -> None:
    """Write the genesis, a directory of keys per masternode, and funds.json when there are funds."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number, keys in enumerate(made.masternodes):
        keys.write(directory / f"masternode{number}")
    if made.funds:
        shown = msgspec.json.format(msgspec.json.encode([fund.to_json() for fund in made.funds]), indent=1)
        _write_new(directory / "funds.json", shown + b"\n", 0o600)
    _write_new(directory / GENESIS_FILE, made.genesis.encode(), 0o644)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


@click.command()
@click.option(
    "--network",
    default="devnet",
    show_default=True,
    help="The network's name; mainnet, testnet, devnet or your own.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    help="Directory for the files; it must hold no genesis.json.",
)
@click.option(
    "--masternode",
    "masternodes",
    multiple=True,
    required=True,
    help="TIER@ADDRESS:PORT, once per masternode.",
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
@click.option(
    "--parameter", "parameters", multiple=True, help="NAME=NUMBER: another value for a network parameter."
)
def genesis(
    network: str,
    out: Path,
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
    """
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
