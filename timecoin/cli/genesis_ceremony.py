"""``timecoin genesis propose | contribute | combine | check``: a genesis by several operators, all offline."""

from __future__ import annotations

import time as clock
from dataclasses import replace
from pathlib import Path

import click

from timecoin.cli.genesis_options import parse_allocation, parse_parameters, parse_seat, write_new
from timecoin.cli.new_network import GENESIS_FILE, OPERATOR_KEY, OWNER_KEY, PAYOUT_KEY
from timecoin.ledger.ceremony import CeremonyError, Part, Terms, combine, compare
from timecoin.ledger.first import first_state
from timecoin.ledger.genesis import Genesis, GenesisError
from timecoin.node.key_files import KeyFileError, new_key, write_key
from timecoin.node.keys import NODE_KEY, read_secret
from timecoin.node.root import StartRefused
from timecoin.primitives import address
from timecoin.primitives.amounts import format_amount
from timecoin.primitives.hashes import display, hash160
from timecoin.primitives.script import p2wpkh
from timecoin.primitives.signing import SignatureBackend, get_backend

_MAX_FILE = 4 << 20
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW_FILE = click.Path(dir_okay=False, path_type=Path)
_TERMS = click.option("--terms", "terms_file", type=_FILE, required=True, help="The terms that all agreed on.")


@click.command()
@click.option("--network", required=True, help="The network's name; mainnet, testnet, devnet or your own.")
@click.option("--operators", type=click.IntRange(1, 0xFFFF), required=True, help="How many parts there will be.")
@click.option("--epoch-seconds", type=click.IntRange(1, 86_400), default=600, show_default=True)
@click.option("--time", "when", type=int, default=None, help="Genesis time in Unix seconds. [default: now]")
@click.option("--parameter", "parameters", multiple=True, help="NAME=NUMBER: another value for a network parameter.")
@click.option("--out", type=_NEW_FILE, required=True, help="File for the terms; it must not be there yet.")
def propose(
    network: str, operators: int, epoch_seconds: int, when: int | None, parameters: tuple[str, ...], out: Path
) -> None:
    """Write the terms of a ceremony: network, time, parameters, number of operators.

    Give the file to every operator. Each reads it before it contributes: everything in it holds for good.
    """
    values = parse_parameters(epoch_seconds, parameters)
    terms = Terms(network, int(clock.time()) if when is None else when, values, operators)
    try:
        terms.validate()
        write_new(out, Terms.load(terms.encode()).encode(), 0o644)
    except (CeremonyError, OSError) as problem:
        raise _refusal(out, problem) from None
    click.echo(f"{out}: terms {display(terms.hash)}")


@click.command()
@_TERMS
@click.option("--name", required=True, help="What the others call you; it stays out of the genesis.")
@click.option("--masternode", "seat", required=True, help="TIER@ADDRESS:PORT of your masternode.")
@click.option(
    "--keys",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Directory for your secret keys (mode 0600); those that are there are used again.",
)
@click.option("--owner-key", default=None, help="Public owner key, 66 hex digits, if its secret is kept elsewhere.")
@click.option("--payout", default=None, help="Address for rewards. [default: of a key made here]")
@click.option("--collateral", default=None, help="Address that owns the collateral. [default: the payout address]")
@click.option("--allocate", "allocations", multiple=True, help="ADDRESS=AMOUNT in TIME: a coin you ask for.")
@click.option("--out", type=_NEW_FILE, required=True, help="File for the part; it must not be there yet.")
def contribute(
    terms_file: Path,
    name: str,
    seat: str,
    keys: Path,
    owner_key: str | None,
    payout: str | None,
    collateral: str | None,
    allocations: tuple[str, ...],
    out: Path,
) -> None:
    """Make your part of a genesis, signed with your operator key. Send the part, keep the keys.

    KEYS gets operator.key and node.key for the masternode's machine, and owner.key and payout.key, which belong
    elsewhere, unless you named a public owner key and a payout address.
    """
    backend, terms = get_backend(), _terms(terms_file)
    if out.exists():
        raise click.ClickException(f"{out} is there already")
    place = parse_seat(seat)
    asked = tuple(parse_allocation(each, terms.hrp) for each in allocations)
    where, locked = (None if each is None else _script(each, terms.hrp) for each in (payout, collateral))
    owner = None if owner_key is None else _public_key(owner_key, backend)
    try:
        keys.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret = _secret(keys / OPERATOR_KEY, backend)
        own_payout = where or p2wpkh(hash160(backend.public_key(_secret(keys / PAYOUT_KEY, backend))))
        part = Part(
            name=name,
            operator_key=backend.public_key(secret),
            owner_key=owner or backend.public_key(_secret(keys / OWNER_KEY, backend)),
            node_key=backend.public_key(_secret(keys / NODE_KEY, backend)),
            payout=own_payout,
            collateral=locked or own_payout,
            service=place.service,
            tier=place.tier,
            allocations=asked,
        )
        part = replace(part, signature=backend.sign_compact(secret, part.digest(terms)))
        write_new(out, Part.load(part.encode(terms), terms, backend).encode(terms), 0o644)
    except (CeremonyError, KeyFileError, StartRefused, OSError) as problem:
        raise _refusal(out, problem) from None
    click.echo(f"{out}: part of {name}, operator key {part.operator_key.hex()}")
    click.echo(f"Send this file. Keep {keys}: nobody else needs what is in it.")


@click.command(name="combine")
@_TERMS
@click.argument("parts", nargs=-1, type=_FILE, required=True)
@click.option("--out", type=_NEW_FILE, default=Path(GENESIS_FILE), show_default=True, help="File for the genesis.")
def combine_parts(terms_file: Path, parts: tuple[Path, ...], out: Path) -> None:
    """Combine all PARTS into the genesis: the same file for everybody, whatever their order."""
    terms = _terms(terms_file)
    try:
        genesis = combine(terms, [_part(each, terms) for each in parts])
        write_new(out, genesis.encode(), 0o644)
    except (CeremonyError, OSError) as problem:
        raise _refusal(out, problem) from None
    click.echo(f"{out}: network {genesis.network}, genesis hash {display(genesis.chain_id)}")
    click.echo("Send it to every operator; each runs `timecoin genesis check` before its node starts.")


@click.command()
@_TERMS
@click.argument("genesis_file", metavar="GENESIS", type=_FILE)
@click.option("--part", "own", type=_FILE, required=True, help="Your own part, as you sent it.")
@click.option(
    "--keys",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=None,
    help="Your keys: also check that the part is of your operator key.",
)
@click.argument("parts", nargs=-1, type=_FILE)
def check(terms_file: Path, genesis_file: Path, own: Path, keys: Path | None, parts: tuple[Path, ...]) -> None:
    """Check that GENESIS keeps to the terms and holds your part unchanged; with all PARTS, that nothing else is in it.

    Prints the genesis hash, to be compared with every other operator by another way than the one the file came.
    """
    terms = _terms(terms_file)
    part = _part(own, terms)
    if keys is not None:
        _check_mine(part, keys)
    try:
        genesis = Genesis.load(_read(genesis_file))
        compare(genesis, terms, part)
        if parts:
            _check_whole(genesis, terms, part, parts)
    except (CeremonyError, GenesisError) as problem:
        raise _refusal(genesis_file, problem) from None
    _tell(genesis, part, whole=bool(parts))


def _check_mine(part: Part, keys: Path) -> None:
    backend = get_backend()
    try:
        mine = backend.public_key(read_secret(keys / OPERATOR_KEY, backend))
    except StartRefused as problem:
        raise click.ClickException(str(problem)) from None
    if mine != part.operator_key:
        raise click.ClickException(f"the part is of another operator key than {keys / OPERATOR_KEY}")


def _check_whole(genesis: Genesis, terms: Terms, own: Part, files: tuple[Path, ...]) -> None:
    parts = {part.operator_key: part for part in (_part(each, terms) for each in files)}
    if parts.setdefault(own.operator_key, own) != own:
        raise CeremonyError("among the parts is another one of your operator key")
    if combine(terms, parts.values()).encode() != genesis.encode():
        raise CeremonyError("it is not what follows from these parts: there is more, less or something else in it")


def _tell(genesis: Genesis, own: Part, *, whole: bool) -> None:
    hrp = genesis.network_info.hrp
    locked = {each.collateral for each in genesis.registrations if each.is_paid}
    members = first_state(genesis)[1].current
    powers, total = {each.operator_key: each.power for each in members.members}, members.total
    click.echo(f"Network {genesis.network}, supply {format_amount(genesis.supply)} TIME, power {total}:")
    for each in genesis.registrations:
        mark = "  <- you" if each.operator_key == own.operator_key else ""
        click.echo(f"  {each.operator_key.hex()} {each.service} power {powers.get(each.operator_key, 0)}{mark}")
    for index, output in enumerate(genesis.allocations):
        what = "locked" if index in locked else "free"
        click.echo(f"  {format_amount(output.value)} TIME to {address.encode(output.script, hrp)} ({what})")
    if 3 * max(powers.values()) >= total:
        click.echo("Warning: one operator has a third of the power or more: it can stop the network.")
    click.echo("Your part is in it, unchanged, and the terms are kept.")
    click.echo(
        "Nothing is in it that is not in the parts."
        if whole
        else "Whether the others' parts are in it unchanged only they know, or you with all parts: give them, too."
    )
    digits = display(genesis.chain_id)
    click.echo("\nGenesis hash:\n  " + " ".join(digits[at : at + 8] for at in range(0, 64, 8)))
    click.echo(
        "Read it to every other operator by phone. The same hash: all have the same file, to the last byte.\n"
        "Another hash: somebody has another file. Then start nothing, and find out whose differs."
    )


def _terms(path: Path) -> Terms:
    try:
        return Terms.load(_read(path))
    except CeremonyError as problem:
        raise _refusal(path, problem) from None


def _part(path: Path, terms: Terms) -> Part:
    try:
        return Part.load(_read(path), terms, get_backend())
    except CeremonyError as problem:
        raise _refusal(path, problem) from None


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
    except OSError as problem:
        raise _refusal(path, problem) from None
    if len(data) > _MAX_FILE:
        raise click.ClickException(f"{path}: is larger than 4 MiB")
    return data


def _secret(path: Path, backend: SignatureBackend) -> bytes:
    """The key in a file, made when it is not there."""
    if not path.exists():
        write_key(path, new_key(backend))
    return read_secret(path, backend)


def _script(text: str, hrp: str) -> bytes:
    try:
        return address.decode(text, hrp)
    except address.AddressError as problem:
        raise click.BadParameter(f"{text!r}: {problem}") from None


def _public_key(text: str, backend: SignatureBackend) -> bytes:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if not backend.is_public_key(key):
        raise click.BadParameter(f"{text[:80]!r}: must be a compressed public key, 66 hex digits")
    return key


def _refusal(path: Path, problem: Exception) -> click.ClickException:
    text = problem.strerror or str(problem) if isinstance(problem, OSError) else str(problem)
    return click.ClickException(text if text.startswith(str(path)) else f"{path}: {text}")
