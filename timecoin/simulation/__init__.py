"""Whole networks of the real ledger, mempool, finality, block and journal objects in one process, on virtual time.

Everything here is decided by one integer seed: no wall clock, no global random numbers, no order of sets. The same
seed gives the same bytes on any machine and any Python from 3.11 on.
"""
