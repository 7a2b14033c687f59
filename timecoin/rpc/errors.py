"""RPC errors with Bitcoin Core's codes (src/rpc/protocol.h), and which code a refused transaction gets."""

from __future__ import annotations

from typing import Final

from timecoin.ledger.errors import MissingInputs, TxInvalid
from timecoin.mempool.errors import AlreadyKnown, MissingParents, NotAdmitted
from timecoin.rpc.facade import BlockPruned, FeeAboveLimit

INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
PARSE_ERROR: Final = -32700
MISC_ERROR: Final = -1
TYPE_ERROR: Final = -3
INVALID_ADDRESS_OR_KEY: Final = -5
INVALID_PARAMETER: Final = -8
DESERIALIZATION_ERROR: Final = -22
VERIFY_ERROR: Final = -25
VERIFY_REJECTED: Final = -26
VERIFY_ALREADY_IN_CHAIN: Final = -27
IN_WARMUP: Final = -28
CLIENT_NODE_ALREADY_ADDED: Final = -23
CLIENT_NODE_NOT_ADDED: Final = -24
CLIENT_NODE_NOT_CONNECTED: Final = -29
CLIENT_INVALID_IP_OR_SUBNET: Final = -30
CLIENT_P2P_DISABLED: Final = -31


class RpcError(Exception):
    """An error that the caller gets as ``{"code": …, "message": …}``."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def from_exception(problem: BaseException) -> RpcError | None:
    """The RPC error for an exception of a method or of the node; None when it is a bug to be logged."""
    if isinstance(problem, RpcError):
        return problem
    if isinstance(problem, MissingInputs | MissingParents):
        return RpcError(VERIFY_ERROR, MissingInputs.code)
    if isinstance(problem, TxInvalid):
        return RpcError(VERIFY_REJECTED, str(problem))
    if isinstance(problem, FeeAboveLimit):
        return RpcError(VERIFY_ERROR, "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)")
    if isinstance(problem, BlockPruned):
        return RpcError(MISC_ERROR, "Block not available (pruned data)")
    if isinstance(problem, AlreadyKnown) and problem.archived:
        return RpcError(VERIFY_ALREADY_IN_CHAIN, "Transaction outputs already in utxo set")
    if isinstance(problem, NotAdmitted):
        return RpcError(VERIFY_REJECTED, problem.code)
    return None
