"""Network parameters: every number that protocol.md names, in one frozen value of the genesis file."""

from __future__ import annotations

from typing import Final

import msgspec

from .tiers import TIERS_BY_POWER, Tier

#: Largest frame of the wire protocol in bytes (protocol.md section 8); blocks and proposals stay below it.
MAX_FRAME: Final = 4 * 1024 * 1024
#: Largest integer that RFC 8785 can carry exactly.
MAX_SAFE_INTEGER: Final = 2**53 - 1
#: Parameters in base units; as decimal strings in the genesis file because they may pass 2^53.
AMOUNTS: Final = frozenset(
    {"max_money", "base_reward", "dust", "bronze_collateral", "silver_collateral", "gold_collateral"}
)

_HEADER_BYTES: Final = 351
_COMMIT_BYTES: Final = 49
_SIGNATURE_BYTES: Final = 66
_PROPOSAL_ITEM_BYTES: Final = 64
_PROPOSAL_FIXED_BYTES: Final = 512
_MAY_BE_ZERO: Final = frozenset(
    {
        "base_reward",
        "dust",
        "min_fee_rate",
        "max_free",
        "free_power_permille",
        "seal_lead",
        "clock_tolerance",
        "seal_wait",
        "seal_wait_delta",
        "timeout_delta",
    }
)


class ParameterError(ValueError):
    """Parameters that contradict each other or their ranges.

    ``parameter`` names the first parameter of the broken rule; the message states the rule.
    """

    def __init__(self, parameter: str, rule: str) -> None:
        super().__init__(f"{parameter}: {rule}")
        self.parameter = parameter
        self.rule = rule


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """The constants of one network (protocol.md sections 2-12); the defaults are mainnet's.

    Amounts are base units (1 TIME = 100,000,000), times are milliseconds unless the name says seconds or
    epochs, sizes are bytes, powers have no unit. Construction does not check anything: call `validate`.
    """

    epoch_seconds: int = 600

    max_money: int = 10**18
    base_reward: int = 100 * 10**8
    dust: int = 10_000
    min_fee_rate: int = 100
    max_tx_bytes: int = 100_000

    bronze_collateral: int = 1_000 * 10**8
    silver_collateral: int = 10_000 * 10**8
    gold_collateral: int = 100_000 * 10**8
    free_power: int = 1
    bronze_power: int = 10
    silver_power: int = 100
    gold_power: int = 1_000
    unbonding_epochs: int = 144
    jail_epochs: int = 1_008
    absent_epochs: int = 144
    max_set: int = 100
    max_free: int = 100
    free_power_permille: int = 100
    min_paid: int = 4

    max_chain: int = 25
    pending_epochs: int = 6
    max_block_bytes: int = 2_000_000
    max_block_txs: int = 30_000
    interim_bytes: int = 1_000_000
    interim_txs: int = 5_000
    max_evidence: int = 16
    max_evidence_bytes: int = 256 * 1024

    timeout_propose: int = 3_000
    timeout_prevote: int = 1_000
    timeout_precommit: int = 1_000
    timeout_delta: int = 500
    seal_lead: int = 2_000
    clock_tolerance: int = 10_000
    seal_wait: int = 1_000
    seal_wait_delta: int = 250
    sync_interval: int = 1_000
    idle_timeout: int = 60_000
    snapshot_epochs: int = 144

    @classmethod
    def for_epoch_seconds(cls, epoch_seconds: int, **overrides: int) -> Parameters:
        """Parameters for epochs of ``epoch_seconds``: with short ones clock bounds, time-outs and interim blocks
        shrink.

        Smaller interim blocks leave less for the closing one, whose decision is the pause at the border. Nothing
        grows beyond the defaults; ``overrides`` replace single values afterwards. Not validated.
        """
        epoch = epoch_seconds * 1_000
        scaled = {
            "clock_tolerance": min(10_000, epoch // 8),
            "seal_lead": min(2_000, epoch // 10),
            "timeout_propose": min(3_000, epoch // 4),
            "timeout_prevote": min(1_000, epoch // 8),
            "timeout_precommit": min(1_000, epoch // 8),
            "timeout_delta": min(500, epoch // 16),
            "seal_wait": min(1_000, epoch // 12),
            "seal_wait_delta": min(250, epoch // 32),
            "sync_interval": min(1_000, epoch // 16),
            "interim_txs": min(5_000, 100 * epoch_seconds),
            "interim_bytes": min(1_000_000, 25_000 * epoch_seconds),
        }
        return cls(epoch_seconds=epoch_seconds, **(scaled | overrides))

    @property
    def epoch_milliseconds(self) -> int:
        """Length of an epoch in milliseconds."""
        return self.epoch_seconds * 1_000

    def threshold(self, tier: Tier) -> int:
        """Collateral in base units that ``tier`` asks for (0 for Free)."""
        return {
            Tier.FREE: 0,
            Tier.BRONZE: self.bronze_collateral,
            Tier.SILVER: self.silver_collateral,
            Tier.GOLD: self.gold_collateral,
        }[tier]

    def power(self, tier: Tier) -> int:
        """Voting power of a masternode of ``tier``."""
        return {
            Tier.FREE: self.free_power,
            Tier.BRONZE: self.bronze_power,
            Tier.SILVER: self.silver_power,
            Tier.GOLD: self.gold_power,
        }[tier]

    def paid_tier(self, value: int) -> Tier | None:
        """Highest paid tier that a collateral of ``value`` base units reaches; None below Bronze."""
        return next((tier for tier in TIERS_BY_POWER if value >= self.threshold(tier)), None)

    def validate(self) -> None:
        """Raise `ParameterError` for the first rule that these values break (protocol.md section 12)."""
        self._check_ranges()
        self._check_sizes()
        self._check_times()
        self._check_masternodes()

    def _check_ranges(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if type(value) is not int:
                raise ParameterError(name, "must be an integer")
            if value < (0 if name in _MAY_BE_ZERO else 1):
                raise ParameterError(name, "is below its minimum")
            if name not in AMOUNTS and value >= 2**31:
                raise ParameterError(name, "must be below 2^31")
        _require(self.max_money < 2**63, "max_money", "must be below 2^63")
        for name in sorted(AMOUNTS - {"max_money"}):
            _require(getattr(self, name) <= self.max_money, name, "must not exceed max_money")

    def _check_sizes(self) -> None:
        _require(
            2 * self.interim_bytes <= self.max_block_bytes, "interim_bytes", "exceeds max_block_bytes / 2"
        )
        _require(2 * self.interim_txs <= self.max_block_txs, "interim_txs", "exceeds max_block_txs / 2")
        _require(4 * self.max_tx_bytes <= self.max_block_bytes, "max_tx_bytes", "exceeds max_block_bytes / 4")
        _require(self.max_set <= 0xFFFF, "max_set", "must fit the u16 signer index")
        overhead = _HEADER_BYTES + _COMMIT_BYTES + _SIGNATURE_BYTES * self.max_set + self.max_evidence_bytes
        block = overhead + self.max_block_bytes
        _require(block < MAX_FRAME, "max_block_bytes", "a block must stay below 4 MiB")
        proposal = overhead + _PROPOSAL_FIXED_BYTES + _PROPOSAL_ITEM_BYTES * self.max_block_txs
        _require(proposal < MAX_FRAME, "max_block_txs", "a proposal must stay below 4 MiB")

    def _check_times(self) -> None:
        _require(
            4 * (self.clock_tolerance + self.seal_lead) <= self.epoch_milliseconds,
            "clock_tolerance",
            "clock_tolerance + seal_lead must be at most a quarter of the epoch",
        )
        _require(self.seal_wait < self.timeout_propose, "seal_wait", "must be below timeout_propose")
        _require(
            self.seal_wait_delta <= self.timeout_delta, "seal_wait_delta", "must not exceed timeout_delta"
        )

    def _check_masternodes(self) -> None:
        _require(
            self.bronze_collateral < self.silver_collateral < self.gold_collateral,
            "bronze_collateral",
            "the collaterals must ascend from bronze to gold",
        )
        _require(
            self.free_power <= self.bronze_power < self.silver_power < self.gold_power,
            "free_power",
            "the powers must ascend from free to gold",
        )
        _require(self.dust <= self.bronze_collateral, "dust", "must not exceed bronze_collateral")
        _require(
            self.free_power_permille < 500, "free_power_permille", "Free seats must hold less than a third"
        )
        _require(self.min_paid <= self.max_set, "min_paid", "must not exceed max_set")


def _require(condition: bool, parameter: str, rule: str) -> None:
    if not condition:
        raise ParameterError(parameter, rule)
