"""Mutations of byte strings from a seed: what is left of fuzzing where there is no coverage to guide it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFC, 0xFD, 0xFE, 0xFF, 0xFFFF, 0x10000, 2**31 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1)

Mutation = Callable[[Random, bytearray, Sequence[bytes]], None]


def _place(random: Random, data: bytearray) -> int:
    return random.randrange(len(data) + 1)


def _flip(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _set(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    if data:
        data[random.randrange(len(data))] = random.choice((0, 1, 0x7F, 0x80, 0xFD, 0xFF, random.randrange(256)))


def _cut(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    del data[_place(random, data) :]


def _drop(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    start = _place(random, data)
    del data[start : start + random.choice((1, 2, 4, 32, 64))]


def _insert(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    start = _place(random, data)
    data[start:start] = random.randbytes(random.choice((1, 2, 4, 9, 32)))


def _number(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    size = random.choice((1, 2, 4, 8))
    start = _place(random, data)
    value = random.choice(_NUMBERS) & ((1 << 8 * size) - 1)
    data[start : start + size] = value.to_bytes(size, random.choice(("little", "big")))


def _repeat(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    start = _place(random, data)
    piece = data[start : start + random.choice((1, 8, 64, 512))]
    data[start:start] = piece * random.choice((1, 2, 30))


def _splice(random: Random, data: bytearray, others: Sequence[bytes]) -> None:
    other = random.choice(others)
    start, end = sorted(random.randrange(len(other) + 1) for _ in range(2))
    at = _place(random, data)
    data[at : at + random.choice((0, end - start))] = other[start:end]


_MUTATIONS: tuple[Mutation, ...] = (_flip, _flip, _set, _set, _number, _number, _cut, _drop, _insert, _repeat, _splice)


def mutants(seeds: Sequence[bytes], count: int, seed: int, limit: int) -> Iterator[bytes]:
    """``count`` mutants of ``seeds``, of at most ``limit`` bytes; the same for the same arguments."""
    random = Random(seed)
    for _ in range(count):
        data = bytearray(random.choice(seeds))
        for _ in range(random.choice((1, 1, 2, 3, 6))):
            random.choice(_MUTATIONS)(random, data, seeds)
        yield bytes(data[:limit])
