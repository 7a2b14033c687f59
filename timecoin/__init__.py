"""TimeCoin: a cryptocurrency node whose masternodes finalise every payment by quorum votes."""

__version__ = "0.1.0"
