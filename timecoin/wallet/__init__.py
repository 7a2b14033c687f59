"""What a wallet knows and decides: words, keys, descriptors, secrets, scripts; pure, without clock, disk or reactor."""
