"""Bitcoin Core's error codes of wallets (src/rpc/protocol.h), and which one a wallet's own complaint gets."""

from __future__ import annotations

from typing import Final

from timecoin.rpc.errors import INVALID_ADDRESS_OR_KEY, RpcError
from timecoin.wallet import errors

WALLET_ERROR: Final = -4
INSUFFICIENT_FUNDS: Final = -6
IN_INITIAL_DOWNLOAD: Final = -10
INVALID_LABEL_NAME: Final = -11
KEYPOOL_RAN_OUT: Final = -12
UNLOCK_NEEDED: Final = -13
PASSPHRASE_INCORRECT: Final = -14
WRONG_ENC_STATE: Final = -15
ENCRYPTION_FAILED: Final = -16
ALREADY_UNLOCKED: Final = -17
NOT_FOUND: Final = -18
NOT_SPECIFIED: Final = -19
ALREADY_LOADED: Final = -35
ALREADY_EXISTS: Final = -36

_CODES: Final[dict[type[errors.WalletError], int]] = {
    errors.VaultLocked: UNLOCK_NEEDED,
    errors.WrongPassphrase: PASSPHRASE_INCORRECT,
    errors.BadPassphrase: ENCRYPTION_FAILED,
    errors.BadDescriptor: INVALID_ADDRESS_OR_KEY,
    errors.BadKey: INVALID_ADDRESS_OR_KEY,
    errors.BadWords: INVALID_ADDRESS_OR_KEY,
    errors.RangeExhausted: KEYPOOL_RAN_OUT,
}
_LOCKED: Final = "Error: Please enter the wallet passphrase with walletpassphrase first."


def wallet_error(problem: errors.WalletError) -> RpcError:
    """The RPC error for what the wallet's pure parts raise; their messages hold no secrets."""
    if isinstance(problem, errors.VaultLocked):
        return RpcError(UNLOCK_NEEDED, _LOCKED)
    for kind, code in _CODES.items():
        if isinstance(problem, kind):
            return RpcError(code, f"Error: {problem}")
    return RpcError(WALLET_ERROR, f"Error: {problem}")
