"""All RPC methods of the node."""

from __future__ import annotations

from timecoin.rpc import (
    methods_chain,
    methods_consensus,
    methods_control,
    methods_finality,
    methods_masternode,
    methods_mempool,
    methods_network,
    methods_proofs,
    methods_psbt,
    methods_raw_build,
    methods_settings,
    methods_status,
    methods_util,
    methods_wallet_psbt,
)
from timecoin.rpc.table import Method, make_table

_MODULES = (
    methods_chain,
    methods_consensus,
    methods_control,
    methods_finality,
    methods_masternode,
    methods_mempool,
    methods_network,
    methods_proofs,
    methods_psbt,
    methods_raw_build,
    methods_settings,
    methods_status,
    methods_util,
    methods_wallet_psbt,
)


def all_methods() -> dict[str, Method]:
    """The methods by name."""
    return make_table(module.METHODS for module in _MODULES)
