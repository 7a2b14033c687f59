"""A peer's block, whatever is in it, is taken or refused with ``BlockInvalid``. Anything else halts the node."""

from __future__ import annotations

from collections import Counter
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.effort import effort
from tests.fuzz.hostile_block import judge
from timecoin.ledger.errors import BlockInvalid


class JudgingTest(SynchronousTestCase):
    def test_bent_blocks(self) -> None:
        random, outcomes = Random(7), Counter[str]()
        for _ in range(500 * effort()):
            data = random.randbytes(64)
            try:
                judge(data)
                outcomes["taken"] += 1
            except BlockInvalid as error:
                outcomes[":".join(str(error).split(":")[:2])] += 1
            except Exception as error:
                raise AssertionError(f"{data.hex()}: {type(error).__name__}: {error}") from error
        self.assertGreater(outcomes["taken"], 50)
        self.assertGreater(len(outcomes), 12, outcomes)
