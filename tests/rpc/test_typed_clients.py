"""Answers have what clients with static types (Rust, Go) demand; the cases hold real answers to the same schemas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from tests.rpc.typed_fields import FIELDS
from timecoin.rpc.methods import all_methods
from timecoin.rpc.openrpc import document

_TYPES: Final = {"int": "integer", "num": "number", "str": "string", "bool": "boolean", "arr": "array", "obj": "object"}
#: Members that Core leaves out, too: of what is not there, by what is asked for, of an address that is none.
_SOMETIMES: Final = {
    "analyzepsbt": "inputs",
    "createwallet": "name",
    "estimaterawfee": "long",
    "getblockstats": " ".join(FIELDS["getblockstats"].values()),
    "getchaintxstats": "txcount",
    "getpeerinfo": "[].addrbind",
    "gettransaction": "details[].address",
    "listunspent": "[].address",
    "scantxoutset": "unspents[].blockhash",
    "testmempoolaccept": "[].allowed",
    "validateaddress": "address scriptPubKey isscript iswitness",
}
_FITS: Final = {"num": {"number", "integer"}}


class Schemas:
    """The schemas of results, followed along paths."""

    def __init__(self) -> None:
        made: Any = document(all_methods())
        self._named = made["components"]["schemas"]
        self._results = {each["name"]: each["result"]["schema"] for each in made["methods"]}

    def plain(self, schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Its alternatives, none of them a reference."""
        if "$ref" in schema:
            yield from self.plain(self._named[schema["$ref"].rsplit("/", 1)[1]])
        elif "anyOf" in schema:
            for each in schema["anyOf"]:
                yield from self.plain(each)
        else:
            yield schema

    def lacks(self, method: str, path: str, kind: str) -> bool:
        """Whether every alternative may be without that member, or has it of another kind."""
        *way, name = path.split(".")
        found = list(self.plain(self._results[method]))
        for step in way:
            found = list(self._members(found, step))
        if path in _SOMETIMES.get(method, "").split():
            found = [each | {"required": [name]} for each in found]
        return not any(self._has(each, name, _FITS.get(kind, {_TYPES[kind]})) for each in found)

    def _has(self, schema: dict[str, Any], name: str, kinds: set[str]) -> bool:
        shown = self.plain(schema.get("properties", {}).get(name, {}))
        return name in schema.get("required", ()) and all(self._types(each) <= kinds for each in shown)

    def _members(self, found: list[dict[str, Any]], step: str) -> Iterator[dict[str, Any]]:
        name = step.removesuffix("[]")
        for each in found:
            inside = list(self.plain(each.get("properties", {}).get(name, each.get("additionalProperties") or {})))
            for x in inside if name else [each]:
                if step.endswith("[]"):
                    yield from self.plain(x.get("items", {}))
                else:
                    yield x

    def _types(self, schema: dict[str, Any]) -> set[str]:
        names = {str: "string", bool: "boolean", int: "integer"}
        if "enum" in schema:
            return {names[type(each)] for each in schema["enum"]}
        return {schema.get("type", "nothing")}


class TypedClientTests(SynchronousTestCase):
    def test_what_they_demand_is_always_there(self) -> None:
        schemas = Schemas()
        missing = [
            f"{method}: {path} ({kind})"
            for method, kinds in FIELDS.items()
            for kind, paths in kinds.items()
            for path in paths.split()
            if schemas.lacks(method.split()[0], path, kind)
        ]
        self.assertEqual(missing, [])
