"""Canonical JSON (RFC 8785) of objects, lists, strings and integers, and a strict reader for it.

Floats, booleans, null, duplicate keys and integers beyond ±(2^53 - 1) have no place where a hash is taken.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import NoReturn, TypeAlias

import rfc8785

from .params import MAX_SAFE_INTEGER

Json: TypeAlias = "int | str | list[Json] | dict[str, Json]"


class CanonicalError(ValueError):
    """Text that is no JSON of the allowed kind, or a value that has no canonical form."""


def dumps(value: Json) -> bytes:
    """Return the RFC 8785 form; CanonicalError for a value outside `Json` or not expressible in it."""
    _check(value)
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise CanonicalError(str(error)) from error


def loads(data: bytes) -> Json:
    """Return the value of a JSON text in UTF-8, in any spacing and order; CanonicalError otherwise."""
    try:
        value: Json = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
        _check(value)
    except CanonicalError:
        raise
    except (ValueError, RecursionError) as error:
        raise CanonicalError(f"not JSON in UTF-8: {error}") from error
    return value


def _object(pairs: Iterable[tuple[str, Json]]) -> dict[str, Json]:
    result: dict[str, Json] = {}
    for key, value in pairs:
        if key in result:
            raise CanonicalError(f"duplicate key {key!r}")
        result[key] = value
    return result


def _refuse_number(text: str) -> NoReturn:
    raise CanonicalError(f"only integers are allowed, not {text[:40]}")


def _check(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | str | list | Mapping):
        raise CanonicalError(f"only objects, lists, strings and integers are allowed, not {value!r}")
    if isinstance(value, int) and abs(value) > MAX_SAFE_INTEGER:
        raise CanonicalError(f"integer beyond 2^53 - 1: {value.bit_length()} bits")
    if isinstance(value, list):
        for item in value:
            _check(item)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_key(key)
            _check(item)


def _check_key(key: object) -> None:
    if not isinstance(key, str):
        raise CanonicalError(f"object keys are strings, not {key!r}")
