"""Every rule of one Tendermint height, driven by hand."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.consensus.tendermint_rules import RULES, Rule
from timecoin.consensus.tendermint import Height


class RuleTests(SynchronousTestCase):
    """One test for each function of ``tendermint_rules``."""


def _test(rule: Rule) -> object:
    def test(self: SynchronousTestCase) -> None:
        rule(Height)

    test.__doc__ = rule.__doc__
    return test


for _name, _rule in RULES.items():
    setattr(RuleTests, f"test_{_name}", _test(_rule))
