"""RPC methods about partially signed transactions (BIP 174) that need no wallet."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import SystemRandom

from timecoin.primitives.signing import get_backend
from timecoin.primitives.transaction import OutPoint, Transaction, TxOutput, split_outpoint
from timecoin.rpc.arguments import OutputsArg
from timecoin.rpc.building import InputsArg, build, check_sighash, network_of
from timecoin.rpc.coin_sources import coins_of, previous_of
from timecoin.rpc.descriptor_arguments import (
    DescriptorsArg,
    Wanted,
    descriptors_of,
    facts_in,
    indexes,
    look_up,
    secrets_in,
)
from timecoin.rpc.errors import DESERIALIZATION_ERROR, INVALID_PARAMETER, RpcError
from timecoin.rpc.render_psbt import analysis_json, psbt_json
from timecoin.rpc.results_psbt import AnalyzedPsbt, DecodedPsbt, FinalizedPsbt, ProcessedPsbt
from timecoin.rpc.table import Context, method
from timecoin.wallet.descriptors import Descriptor
from timecoin.wallet.psbt import Psbt
from timecoin.wallet.psbt_analyse import analyse
from timecoin.wallet.psbt_combine import combine, join
from timecoin.wallet.psbt_errors import MalformedPsbt, PsbtError, PsbtMismatch, PsbtRefused
from timecoin.wallet.psbt_finalise import extract, finalise, is_valid
from timecoin.wallet.psbt_sign import sign
from timecoin.wallet.psbt_update import ScriptFacts, add_coin, add_previous, describe_input, describe_output

_MAX_PSBTS = 100
_MAX_DESCRIPTORS = 20


async def read_psbt(context: Context, text: str) -> Psbt:
    """The PSBT in base64; RPC error -22."""
    try:
        found = await context.aside(Psbt.from_text, text)
    except MalformedPsbt as problem:
        raise RpcError(DESERIALIZATION_ERROR, f"TX decode failed {problem}") from None
    if found.tx.size > context.node.parameters.max_tx_bytes:
        raise RpcError(DESERIALIZATION_ERROR, "TX decode failed the transaction is larger than the ledger takes")
    return found


async def _read_all(context: Context, texts: list[str], least: int) -> list[Psbt]:
    if not texts:
        raise RpcError(INVALID_PARAMETER, "Parameter 'txs' cannot be empty")
    if len(texts) < least:
        raise RpcError(INVALID_PARAMETER, "At least two PSBTs are required to join PSBTs.")
    if len(texts) > _MAX_PSBTS:
        raise RpcError(INVALID_PARAMETER, f"at most {_MAX_PSBTS} PSBTs are taken at a time")
    return [await read_psbt(context, text) for text in texts]


async def createpsbt(
    context: Context,
    inputs: InputsArg,
    outputs: OutputsArg,
    locktime: int = 0,
    replaceable: bool | None = None,
    version: int = 2,
) -> str:
    """Make a PSBT with nothing in it but the unsigned transaction.

    :param inputs: the coins: txid and vout, and optionally sequence
    :param outputs: addresses with amounts in TIME, and data with hex for one OP_RETURN output (at most 520 bytes)
    :param locktime: 0, or the height (below 500,000,000) or Unix time from which on it is voted for
    :param replaceable: may not be true: no transaction is ever replaced here
    :param version: 1 or 2
    :returns: the PSBT in base64
    :error -3: an amount is none
    :error -5: an address is none of this network
    :error -8: an input, the lock time, the version or the data is out of its range, or an output is named twice
    """
    made = await context.aside(build, context, inputs, outputs, locktime, replaceable, version)
    return Psbt.create(made).text


async def decodepsbt(context: Context, psbt: str) -> DecodedPsbt:
    """All that is in a PSBT.

    :param psbt: in base64
    :returns: the transaction and what is known of its inputs and outputs; the fee once every coin is in it
    :error -22: it is no PSBT of version 0
    """
    found = await read_psbt(context, psbt)
    return await context.aside(psbt_json, found, network_of(context))


async def combinepsbt(context: Context, txs: list[str]) -> str:
    """Merge what several PSBTs of one transaction know, above all their signatures.

    :param txs: PSBTs in base64, at most 100
    :returns: one PSBT in base64
    :error -8: none or too many are given, their transactions differ, or they contradict each other about a coin
    :error -22: one is no PSBT of version 0
    """
    return await _mismatch(context, combine, await _read_all(context, txs, 1), get_backend())


async def joinpsbts(context: Context, txs: list[str]) -> str:
    """Make one PSBT that spends and pays what several do, in random order; signatures are dropped.

    :param txs: PSBTs in base64, from 2 to 100; no two spend the same coin
    :returns: one PSBT in base64
    :error -8: too few or too many are given, one coin is spent twice, or there would be two OP_RETURN outputs
    :error -22: one is no PSBT of version 0
    """
    return await _mismatch(context, join, await _read_all(context, txs, 2), SystemRandom().shuffle)


async def _mismatch(context: Context, work: Callable[..., Psbt], *args: object) -> str:
    try:
        made = await context.aside(work, *args)
    except PsbtMismatch as problem:
        raise RpcError(INVALID_PARAMETER, str(problem)) from None
    return made.text


async def finalizepsbt(context: Context, psbt: str, extract: bool = True) -> FinalizedPsbt:
    """Make the witnesses of those inputs that have enough signatures, and the transaction when all have.

    Signatures are verified; an input that another program made final counts if the ledger would take its witness.

    :param psbt: in base64
    :param extract: answer with the transaction, not with the PSBT, when it is complete
    :returns: the PSBT, or the transaction in hex, and whether it is complete
    :error -22: it is no PSBT of version 0
    """
    found = await read_psbt(context, psbt)
    return await context.aside(finalized, found, extract)


def finalized(psbt: Psbt, extract_it: bool) -> FinalizedPsbt:
    """What finalizepsbt answers; for a thread."""
    backend = get_backend()
    done = finalise(psbt, backend)
    if not is_valid(done, backend):
        return {"psbt": done.text, "complete": False}
    if extract_it:
        return {"hex": extract(done).raw.hex(), "complete": True}
    return {"psbt": done.text, "complete": True}


async def analyzepsbt(context: Context, psbt: str) -> AnalyzedPsbt:
    """What a PSBT still needs, and who has to work on it next.

    :param psbt: in base64
    :returns: each input and the whole: creator, updater, signer, finalizer or extractor is next
    :error -22: it is no PSBT of version 0
    """
    found = await read_psbt(context, psbt)
    most = context.node.parameters.max_money
    return analysis_json(await context.aside(analyse, found, get_backend(), most))


async def utxoupdatepsbt(context: Context, psbt: str, descriptors: DescriptorsArg | None = None) -> str:
    """Add the coins of the chain and the pool to a PSBT, and what descriptors tell of keys and scripts.

    A coin goes in with the transaction that made it (non_witness_utxo), which proves its amount, and as witness_utxo;
    the latter alone when the block of that transaction is not kept here.

    :param psbt: in base64
    :param descriptors: descriptors, or objects of desc and range (an end, or begin and end; 0 to 1000 by default); at
        most 20, with 10,000 indexes each
    :returns: the PSBT in base64
    :error -5: a descriptor is malformed
    :error -8: a range is not one, or too many descriptors are given
    :error -22: it is no PSBT of version 0
    """
    places = await context.aside(_places, context, descriptors or [])
    found = await with_coins(context, await read_psbt(context, psbt))
    known = await context.aside(look_up, places, _scripts(found))
    return (await context.aside(described, found, await context.aside(facts_in, known))).text


def _places(context: Context, wanted: list[Wanted]) -> list[tuple[Descriptor, range]]:
    if len(wanted) > _MAX_DESCRIPTORS:
        raise RpcError(INVALID_PARAMETER, f"at most {_MAX_DESCRIPTORS} descriptors are taken at a time")
    network = network_of(context)
    return [(each, indexes(each, one.range)) for one in wanted for each in descriptors_of(one.text, network)]


def _scripts(psbt: Psbt) -> frozenset[bytes]:
    coins = [each.witness_utxo for each in psbt.inputs]
    return frozenset([*(each.script for each in psbt.tx.outputs), *(each.script for each in coins if each is not None)])


async def descriptorprocesspsbt(
    context: Context,
    psbt: str,
    descriptors: DescriptorsArg,
    sighashtype: str = "DEFAULT",
    bip32derivs: bool = True,
    finalize: bool = True,
) -> ProcessedPsbt:
    """Add what chain, pool and descriptors know to a PSBT, and sign what private descriptors have keys for.

    No wallet is asked, and nothing keeps two transactions that spend one coin from being signed: whoever sends both
    within an epoch blocks that coin until the epoch closes.

    :param psbt: in base64
    :param descriptors: descriptors, or objects of desc and range (an end, or begin and end; 0 to 1000 by default); at
        most 20, with 10,000 indexes each
    :param sighashtype: ALL, or DEFAULT which is the same
    :param bip32derivs: tell where keys come from
    :param finalize: make the witnesses of inputs that are completely signed
    :returns: the PSBT, whether it is complete, and then the transaction
    :error -5: a descriptor is malformed
    :error -8: a range is not one, too many descriptors are given, or a hash type that is not used here
    :error -22: it is no PSBT of version 0, or of a version of transactions that is not used here
    """
    places = await context.aside(_places, context, descriptors)
    check_sighash(sighashtype)
    found = await with_coins(context, await read_psbt(context, psbt))
    known = await context.aside(look_up, places, _scripts(found))
    found = await context.aside(described, found, await context.aside(facts_in, known, bip32derivs))
    secrets = await context.aside(secrets_in, known)
    try:
        found = await context.aside(sign, found, secrets, get_backend())
    except PsbtError as problem:
        raise RpcError(DESERIALIZATION_ERROR, str(problem)) from None
    return await context.aside(processed, found, finalize)


def processed(psbt: Psbt, finalize: bool) -> ProcessedPsbt:
    """What methods that sign answer; for a thread."""
    backend = get_backend()
    final = finalise(psbt, backend)
    shown = final if finalize else psbt
    if not is_valid(final, backend):
        return {"psbt": shown.text, "complete": False}
    if not finalize:
        return {"psbt": shown.text, "complete": True}
    return {"psbt": shown.text, "complete": True, "hex": extract(final).raw.hex()}


async def with_coins(context: Context, psbt: Psbt) -> Psbt:
    """Add what chain and pool know of the coins; inputs whose coins are not there stay as they are."""
    coins = await coins_of(context, psbt.tx)
    made_by = await previous_of(context, (split_outpoint(each)[0] for each in coins))
    return await context.aside(_filled, psbt, coins, made_by)


def _filled(psbt: Psbt, coins: dict[OutPoint, TxOutput], made_by: dict[bytes, Transaction]) -> Psbt:
    for index, spent in enumerate(psbt.tx.inputs):
        coin, previous = coins.get(spent.outpoint), made_by.get(spent.outpoint[:32])
        if coin is None or psbt.inputs[index].is_final:
            continue
        with suppress(PsbtRefused):
            psbt = add_coin(psbt, index, coin) if previous is None else add_previous(psbt, index, previous)
    return psbt


def described(psbt: Psbt, facts: dict[bytes, ScriptFacts]) -> Psbt:
    """Add what is known of scripts (``facts`` by output script); an input that contradicts itself stays as it is."""
    for index, known in enumerate(psbt.inputs):
        coin = known.witness_utxo
        if coin is not None and coin.script in facts and not known.is_final:
            with suppress(PsbtRefused):
                psbt = describe_input(psbt, index, facts[coin.script])
    for index, output in enumerate(psbt.tx.outputs):
        if output.script in facts:
            psbt = describe_output(psbt, index, facts[output.script])
    return psbt


def _size(psbt: str, *others: object) -> int:
    """A PSBT of usual size is a light call."""
    return 1 + len(psbt) // 20_000


def _sizes(txs: list[str]) -> int:
    return 1 + sum(map(len, txs)) // 20_000


METHODS = (
    method("Rawtransactions", analyzepsbt, cost=_size),
    method("Rawtransactions", combinepsbt, cost=_sizes),
    method("Rawtransactions", createpsbt),
    method("Rawtransactions", decodepsbt, cost=_size),
    method("Rawtransactions", descriptorprocesspsbt, cost=20),
    method("Rawtransactions", finalizepsbt, cost=_size),
    method("Rawtransactions", joinpsbts, cost=_sizes),
    method("Rawtransactions", utxoupdatepsbt, cost=20),
)
