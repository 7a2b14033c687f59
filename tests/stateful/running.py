"""How a rule-based machine becomes a test: the same examples each time, more of them when asked for."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.fuzz.effort import effort


def run(machine: type[RuleBasedStateMachine], examples: int, steps: int) -> None:
    """Let ``machine`` live ``examples`` times (more with ``TIMECOIN_TEST_EFFORT``), ``steps`` steps each."""
    chosen = settings(
        max_examples=examples * effort(),
        stateful_step_count=steps,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=chosen)
