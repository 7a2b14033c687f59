"""Chaos: real nodes under load while processes, links, disks and clocks fail, and what must hold all the time."""
