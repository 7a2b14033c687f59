"""TimeCoin's devnet for ElectrumX: what an indexer made for Bitcoin has to be told."""

from __future__ import annotations

import os

from electrumx.lib.coins import Coin
from electrumx.lib.tx import DeserializerSegWit


class TimeCoinDevnet(Coin):
    """Headers are longer, and the outputs of block 0 are coins."""

    NAME, SHORTNAME, NET = "TimeCoin", "TIME", "regtest"
    BASIC_HEADER_SIZE = 351
    DESERIALIZER = DeserializerSegWit
    GENESIS_HASH = os.environ["GENESIS_HASH"]
    RPC_PORT = 24101
    TX_COUNT, TX_COUNT_HEIGHT, TX_PER_BLOCK = 1, 1, 100
    REQUIRED_DAEMON_INDEXES = ("txindex",)

    @classmethod
    def genesis_block(cls, block: bytes) -> bytes:
        """All of it, once it is the right one."""
        super().genesis_block(block)
        return block
