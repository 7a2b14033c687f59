"""What the commands of ``timecoin genesis`` read from their options, and how they write files."""

from __future__ import annotations

import os
from pathlib import Path

import click

from timecoin.cli.new_network import Seat
from timecoin.ledger.params import Parameters
from timecoin.ledger.service_address import ServiceAddress
from timecoin.ledger.tiers import Tier
from timecoin.primitives import address
from timecoin.primitives.amounts import AmountError, parse_amount
from timecoin.primitives.transaction import TxOutput


def parse_seat(text: str) -> Seat:
    """``tier@address:port``, such as ``bronze@203.0.113.5:24100``; click.BadParameter for anything else."""
    tier, _, service = text.partition("@")
    try:
        return Seat(Tier[tier.upper()], ServiceAddress.parse(service))
    except (KeyError, ValueError):
        raise click.BadParameter(f"{text!r}: must be TIER@ADDRESS:PORT, tier gold, silver, bronze or free") from None


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


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that is not there yet; OSError (FileExistsError) when it is."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
