"""The ledger's cost of a payment: ``python -m benchmarks.ledger [payments]`` prints µs of CPU as JSON.

Payments are 1-in/2-out P2WPKH; "check" is validation with its sighash and without ECDSA itself.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from tests.ledger.builders import BACKEND, Chain, many_payments
from timecoin.ledger.assembly import Assembled
from timecoin.ledger.blocktx import BlockTx
from timecoin.ledger.state import LedgerState
from timecoin.ledger.validation import check_inputs, check_transaction, signature_checks
from timecoin.ledger.verify import verify_proposal
from timecoin.primitives.transaction import Transaction

_REPEATS = 3


def _best(run: Callable[[], object]) -> float:
    times = []
    for _ in range(_REPEATS):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return min(times)


def _check(chain: Chain, txs: list[BlockTx]) -> None:
    state = chain.state
    for item in txs:
        check_transaction(chain.params, item.tx)
        check_inputs(chain.params, state.registry, state.epoch, item.tx, item.coins)
        signature_checks(item.tx, item.coins)


def _verify(chain: Chain, built: Assembled, txs: list[BlockTx]) -> None:
    verify_proposal(
        chain.params, chain.state, built.block.header, txs, chain.tip_commit, (), BACKEND, chain.archived_in
    )


def main(count: int) -> dict[str, float]:
    """The figures, by name."""
    chain, signed = many_payments(count)
    txs = [Transaction.decode(tx.raw) for tx in signed]
    resolved = chain.resolve(txs)
    built = chain.assemble(txs)
    totals = {
        "check": _best(lambda: _check(chain, resolved)),
        "resolve": _best(lambda: chain.resolve(txs)),
        "resolve_and_assemble": _best(lambda: chain.assemble(txs)),
        "verify_proposal": _best(lambda: _verify(chain, built, resolved)),
    }
    figures = {name: round(total / count * 1e6, 1) for name, total in totals.items()}
    encoded = built.state.encode()
    decoding = _best(lambda: LedgerState.decode(encoded))
    return figures | {
        "payments": count,
        "state_bytes": len(encoded),
        "decode_state": round(decoding * 1e6, 1),
    }


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000)))
