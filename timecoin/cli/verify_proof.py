"""``timecoin verify-proof FILE``: check a finality or inclusion proof with neither node nor network."""

from __future__ import annotations

import sys
import time as clock
from pathlib import Path

import click
import msgspec

from timecoin.ledger.closing_chain import Anchor, genesis_anchor
from timecoin.ledger.genesis import Genesis, GenesisError
from timecoin.node.anchor import parse_trust
from timecoin.primitives.block import HEADER_SIZE, Header
from timecoin.primitives.codec import DecodeError
from timecoin.primitives.signing import get_backend
from timecoin.proofs.ages import check_age
from timecoin.proofs.errors import BadProof
from timecoin.proofs.proof_file import MAX_BYTES, decode
from timecoin.proofs.verifying import verify
from timecoin.rpc import codec
from timecoin.rpc.results_proofs import Verification, accepted, refused

EXIT_REFUSED, EXIT_UNREADABLE = 1, 3
_MAX_GENESIS = 64 * 1024 * 1024


class Unreadable(Exception):
    """A file cannot be read, or is not what it should be; one line."""


def read_bounded(path: Path, limit: int) -> bytes:
    """A file's content, ``-`` for standard input; ``Unreadable`` above ``limit`` bytes."""
    try:
        with click.open_file(str(path), "rb") as file:
            data: bytes = file.read(limit + 1)
    except OSError as problem:
        raise Unreadable(f"{path}: {problem.strerror}") from None
    if len(data) > limit:
        raise Unreadable(f"{path}: longer than {limit} bytes")
    return data


def read_genesis(path: Path) -> Genesis:
    """The genesis file; ``Unreadable``."""
    try:
        return Genesis.load(read_bounded(path, _MAX_GENESIS))
    except GenesisError as problem:
        raise Unreadable(f"{path}: {problem}") from None


def read_header(path: Path) -> Anchor:
    """The block of a header file, which has 351 bytes or their hexadecimal digits; ``Unreadable``."""
    data = read_bounded(path, 4 * HEADER_SIZE)
    try:
        header = Header.decode(
            data if len(data) == HEADER_SIZE else bytes.fromhex(data.decode("ascii").strip(' \n\r\t"'))
        )
    except (DecodeError, ValueError) as problem:
        raise Unreadable(f"{path}: no block header: {problem}") from None
    if not header.closing:
        raise Unreadable(
            f"{path}: block {header.height} is no closing block, so that it proves nothing about later ones"
        )
    return Anchor(header.height, header.hash)


def parse_trusted(text: str) -> Anchor:
    """``HEIGHT:HASH``; click.BadParameter for anything else."""
    try:
        anchor = parse_trust(text).anchor
    except ValueError:
        anchor = None
    if anchor is None:
        raise click.BadParameter("must be HEIGHT:HASH of a closing block", param_hint="--trusted")
    return anchor


def examine(data: bytes, genesis: Genesis | None, anchor: Anchor, now: int) -> Verification:
    """The outcome for the proof in ``data``, judged at ``now`` in Unix seconds."""
    chain_id = None if genesis is None else genesis.chain_id
    try:
        proved = verify(decode(data), anchor, get_backend(), chain_id=chain_id)
        age = None if genesis is None else check_age(proved, genesis.parameters, now)
    except BadProof as problem:
        return refused(problem)
    return accepted(proved, age, None if genesis is None else genesis.network_info.hrp)


def lines(found: Verification, anchor_is: str) -> list[str]:
    """The outcome in words; what it relies on is always said."""
    if not found["valid"]:
        return [f"NOT PROVED: {found['reason']} ({found['code']})"]
    shown = [f"PROVED: transaction {found['txid']}"]
    if found["status"] == "final":
        shown.append(f"  is final: acked in epoch {found['epoch']} by {_power(found)}")
    else:
        shown.append(f"  is archived in block {found['height']} {found['blockhash']}")
        signed = f", whose commit is signed by {_power(found)}" if found["signers"] else ""
        shown.append(f"  of epoch {found['epoch']}, at position {found['position']}{signed}")
    shown += [
        f"  output {each['n']}: {bytes(each['value']).decode()} TIME to {each.get('address', each['script'])}"
        for each in found.get("outputs", [])
    ]
    anchor = found["anchor"]
    shown.append(f"  relying on block {anchor['height']} {anchor['hash']} ({anchor_is}) of epoch {anchor['epoch']}")
    if anchor["links"]:
        shown.append(f"  and on the signed closing blocks of the {anchor['links']} epochs after it")
    return shown + [f"  Warning: {each}." for each in found["warnings"]]


def _power(found: Verification) -> str:
    return f"{found['power']} of {found['total_power']} power ({len(found['signers'])} masternodes)"


@click.command("verify-proof")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--genesis", type=click.Path(path_type=Path), help="The network's genesis file.")
@click.option("--trusted", metavar="HEIGHT:HASH", help="A closing block that you trust, instead of block 0.")
@click.option("--header", type=click.Path(path_type=Path), help="The same, as a file with its header.")
@click.option("--time", "now", type=int, help="Unix seconds at which ages are judged. [default: now]")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
def verify_proof(
    file: Path, genesis: Path | None, trusted: str | None, header: Path | None, now: int | None, as_json: bool
) -> None:
    """Check the proof in FILE (- for standard input), made by `timecoin rpc getfinalityproof TXID`.

    Neither a node nor the network is asked. It relies on the genesis file, or on a closing block that you trust and
    that the proof begins with. Without --genesis neither addresses nor ages can be told.

    Exit status: 0 proved, 1 not proved, 2 wrong usage, 3 a file cannot be read.
    """
    if trusted is not None and header is not None:
        raise click.UsageError("--trusted and --header exclude each other")
    if genesis is None and trusted is None and header is None:
        raise click.UsageError("something must be trusted: give --genesis, --trusted or --header")
    try:
        network = None if genesis is None else read_genesis(genesis)
        anchor, anchor_is = _anchor(network, trusted, header)
        found = examine(read_bounded(file, MAX_BYTES), network, anchor, int(clock.time()) if now is None else now)
    except Unreadable as problem:
        click.echo(f"error: {problem}", err=True)
        sys.exit(EXIT_UNREADABLE)
    if as_json:
        click.echo(msgspec.json.format(codec.encode(found), indent=2).decode("utf-8"))
    else:
        click.echo("\n".join(lines(found, anchor_is)))
    if not found["valid"]:
        sys.exit(EXIT_REFUSED)


def _anchor(genesis: Genesis | None, trusted: str | None, header: Path | None) -> tuple[Anchor, str]:
    if trusted is not None:
        return parse_trusted(trusted), "named by --trusted"
    if header is not None:
        return read_header(header), "the header given"
    assert genesis is not None
    return genesis_anchor(genesis), "the genesis file"
