"""Pure values: keys and signatures, hashes, scripts, transactions, blocks, addresses, amounts."""
