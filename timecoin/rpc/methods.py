"""All RPC methods of the node."""

from __future__ import annotations

from importlib import import_module

from timecoin.rpc.table import Method, make_table

#: The modules beside this one, each with its ``METHODS``.
_MODULES = (
    "methods_addresses",
    "methods_chain",
    "methods_chain_stats",
    "methods_coins",
    "methods_consensus",
    "methods_control",
    "methods_fees",
    "methods_finality",
    "methods_masternode",
    "methods_mempool",
    "methods_mining",
    "methods_multisig",
    "methods_network",
    "methods_package",
    "methods_peers",
    "methods_process",
    "methods_proofs",
    "methods_psbt",
    "methods_raw_build",
    "methods_rawtx",
    "methods_settings",
    "methods_status",
    "methods_template",
    "methods_txoutproof",
    "methods_util",
    "methods_waiting",
    "methods_wallet_addresses",
    "methods_wallet_coins",
    "methods_wallet_descriptors",
    "methods_wallet_fund",
    "methods_wallet_history",
    "methods_wallet_locking",
    "methods_wallet_psbt",
    "methods_wallet_received",
    "methods_wallet_send",
    "methods_wallets",
)


def all_methods() -> dict[str, Method]:
    """The methods by name."""
    return make_table(import_module(f"timecoin.rpc.{name}").METHODS for name in _MODULES)
