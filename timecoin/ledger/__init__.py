"""The ledger state machine: parameters, genesis, validation, coins, registry, sets, rewards, blocks."""
