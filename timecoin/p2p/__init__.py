"""Talking to other nodes: frames, messages, handshake, peers, addresses and dialling (protocol.md, sections 8
and 9).
"""
