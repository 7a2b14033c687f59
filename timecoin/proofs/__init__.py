"""Proofs for light clients (protocol.md section 11): made by a node, verified without one."""
