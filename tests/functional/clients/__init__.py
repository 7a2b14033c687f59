"""Clients that none of us wrote, against real nodes; what they need to know of TimeCoin is here, not in the package."""
