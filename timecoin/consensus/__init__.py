"""Pure protocol machines: bundles, finality, one Tendermint height, the participant that joins them."""
