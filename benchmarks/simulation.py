"""How fast networks are simulated: epochs a minute of one core, under mixed faults.

python -m benchmarks.simulation [--nodes 4] [--seeds 20]
"""

from __future__ import annotations

import argparse
import time

from timecoin.simulation.plan import Options
from timecoin.simulation.running import Totals, run_seed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    totals = Totals()
    began = time.process_time()
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        totals.add(run_seed(Options(seed=seed, nodes=arguments.nodes, profile="mixed")))
    took = time.process_time() - began
    print(totals.line())
    print(
        f"{took:.1f} s of one core: {60 * totals.epochs / took:.0f} epochs a minute with {arguments.nodes} masternodes"
    )


if __name__ == "__main__":
    main()
