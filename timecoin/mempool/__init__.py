"""Unarchived transactions: conflicts, ancestors, limits, eviction."""
