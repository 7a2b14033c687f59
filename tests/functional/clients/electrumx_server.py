"""``python -m tests.functional.clients.electrumx_server``: ElectrumX as its own command runs it, with our coin."""

from __future__ import annotations

import asyncio
import logging
import sys

from electrumx import Controller, Env

from tests.functional.clients.electrumx_coin import TimeCoinDevnet

if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, level=logging.INFO)
    asyncio.run(Controller(Env(TimeCoinDevnet)).run())
