"""Framing, messages, handshake, peers, rate limits, address book, dialling."""
