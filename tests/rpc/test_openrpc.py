"""The OpenRPC document tells the truth: every method, parameter, error; results are validated in ``cases``."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import jsonschema
from twisted.trial.unittest import SynchronousTestCase

from timecoin.rpc.methods import all_methods
from timecoin.rpc.openrpc import document, text

_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": False, "patternProperties": {"^x-": True}}
_TEXT = {"type": "string", "minLength": 1}


def _closed(demanded: str, /, **members: Any) -> dict[str, Any]:
    return _OBJECT | {"properties": members, "required": demanded.split()}


# What https://spec.open-rpc.org (1.3.2) demands of the parts that the document has, in our words.
_DESCRIPTOR = _closed(
    "name schema", name=_TEXT, description={"type": "string"}, required={"type": "boolean"}, schema={"type": "object"}
)
_METHOD = _closed(
    "name params result",
    name=_TEXT,
    summary={"type": "string"},
    description={"type": "string"},
    tags={"type": "array", "items": _closed("name", name=_TEXT)},
    paramStructure={"enum": ["by-name", "by-position", "either"]},
    params={"type": "array", "items": _DESCRIPTOR},
    result=_DESCRIPTOR,
    errors={
        "type": "array",
        "items": _closed("code message", code={"type": "integer"}, message={"type": "string"}),
    },
)
_INFO = _closed(
    "title version",
    title=_TEXT,
    version=_TEXT,
    description=_TEXT,
    license=_closed("name", name=_TEXT, url=_TEXT),
)
META = _closed(
    "openrpc info methods",
    openrpc={"type": "string", "pattern": r"^1\.\d+\.\d+$"},
    info=_INFO,
    methods={"type": "array", "items": _METHOD},
    components=_closed("", schemas={"type": "object", "additionalProperties": {"type": "object"}}),
)

METHODS = all_methods()


class OpenRpcTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.document = document(METHODS)
        self.methods = {each["name"]: each for each in self.document["methods"]}

    def test_its_form(self) -> None:
        jsonschema.validate(self.document, META, jsonschema.Draft7Validator)

    def test_every_schema_is_one_and_leads_somewhere(self) -> None:
        named = self.document["components"]["schemas"]
        schemas = list(named.values())
        for each in self.methods.values():
            schemas += [each["result"]["schema"], *(param["schema"] for param in each["params"])]
        for schema in schemas:
            jsonschema.Draft7Validator.check_schema(schema)
            for reference in _references(schema):
                self.assertIn(reference.removeprefix("#/components/schemas/"), named)

    def test_every_method_and_nothing_else(self) -> None:
        self.assertEqual(set(self.methods), set(METHODS))
        self.assertEqual(len(self.document["methods"]), len(METHODS))

    def test_every_parameter_as_the_function_has_it(self) -> None:
        for name, method in METHODS.items():
            declared = list(inspect.signature(method.call).parameters.values())[1:]
            shown = self.methods[name]["params"]
            self.assertEqual([each["name"] for each in shown], [each.name for each in declared], name)
            for param, each in zip(shown, declared, strict=True):
                self.assertEqual(param["required"], each.default is inspect.Parameter.empty, (name, each.name))
                if "default" in param["schema"]:
                    jsonschema.validate(param["schema"]["default"], param["schema"])

    def test_required_parameters_come_first(self) -> None:
        for name, each in self.methods.items():
            required = [param["required"] for param in each["params"]]
            self.assertEqual(required, sorted(required, reverse=True), name)

    def test_every_documented_error(self) -> None:
        for name, method in METHODS.items():
            codes = [each["code"] for each in self.methods[name].get("errors", [])]
            self.assertEqual(sorted(codes), sorted({code for code, _ in method.said.errors}), name)

    def test_help_shows_every_parameter(self) -> None:
        for name, method in METHODS.items():
            for each in method.parameters:
                self.assertIn(f". {each.name}  (", method.text, name)

    def test_the_file_in_docs(self) -> None:
        shipped = Path(__file__).parents[2] / "docs" / "openrpc.json"
        if json.loads(shipped.read_text(encoding="utf-8")) != json.loads(text(METHODS)):
            self.fail("methods have changed: python -m timecoin.rpc.openrpc > docs/openrpc.json")


def _references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [found for each in schema for found in _references(each)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
    return own + [found for each in schema.values() for found in _references(each)]
