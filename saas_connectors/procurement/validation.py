"""What is wrong with a record: the official schemas' rules that it breaks, and SIRETs that cannot be.

1. JSON is judged by the JSON schema 2.0.3, XML by the XSD 2.0.2, one record at a time; both are compiled once and come from the
   package, never from the network.
2. A judgement is the name of the broken rule (`codeCPV:pattern`), made of the schema's own words alone: never a value.
3. A wrong SIRET (length, check digit) does not make a record invalid: the official examples hold some. It is remarked.
"""

import functools
import importlib.resources
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import fastjsonschema
from lxml import etree
from stdnum.exceptions import InvalidLength, ValidationError
from stdnum.fr import siret

from saas_connectors.connector import Json

_SCHEMAS = importlib.resources.files("saas_connectors.procurement") / "schemas"
_XML_RULES = {"CVC_DATATYPE_VALID_1_2_1": "type", "CVC_ENUMERATION_VALID": "enum", "ELEMENT_CONTENT": "content"}
_SIRET = 14
_FACET = re.compile(r"SCHEMAV_CVC_([A-Z]+)_VALID")


@functools.cache
def json_schema() -> Mapping[str, Any]:
    """The official JSON schema, version 2.0.3 (draft-07)."""
    found: dict[str, Any] = json.loads((_SCHEMAS / "schema_decp_v2.0.3.json").read_bytes())
    return found


@functools.cache
def _xsd() -> etree.XMLSchema:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    return etree.XMLSchema(etree.parse(io.BytesIO((_SCHEMAS / "schema_decp_v2.0.2.xsd").read_bytes()), parser))


@functools.cache
def _names() -> frozenset[str]:
    def walk(node: Json) -> Iterator[str]:
        if isinstance(node, dict):
            yield from node.get("properties", ())
            for held in node.values():
                yield from walk(held)

    return frozenset(walk(json_schema()))


@functools.cache
def words() -> frozenset[str]:
    """The names of the schema's fields, the texts of its code lists, how XML writes its truths."""

    def walk(node: Json) -> Iterator[str]:
        for held in node.values() if isinstance(node, dict) else node:
            if isinstance(held, dict | list):
                yield from walk(held)
        if isinstance(node, dict) and isinstance(node.get("enum"), list):
            yield from node["enum"]

    return _names() | frozenset(walk(json_schema())) | {"oui", "non"}


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"a schema refers outside itself: {uri}")


@functools.cache
def _validator(kind: str) -> Callable[[Any], Any]:
    schema = {"$ref": f"#/definitions/{kind}", "definitions": json_schema()["definitions"]}
    compiled: Callable[[Any], Any] = fastjsonschema.compile(schema, handlers={"https": _refuse, "http": _refuse})
    return compiled


def broken_json_rule(kind: str, record: Json) -> str | None:
    """The first rule of the JSON schema that a `marche` or `contrat-concession` breaks; None when it is valid."""
    try:
        _validator(kind)(record)
    except fastjsonschema.JsonSchemaValueException as refusal:
        named = [str(step) for step in refusal.path if str(step) in _names()]
        return f"{named[-1] if named else kind}:{refusal.rule}"
    return None


def broken_xml_rule(element: etree._Element) -> str | None:
    """The first rule of the XSD that a `marche` or `contrat-concession` element breaks; None when it is valid."""
    schema = _xsd()
    if schema.validate(element):
        return None
    tag = str(element.tag)
    for refusal in schema.error_log:
        named = [step for step in re.findall(r"[\w-]+", refusal.path or "") if step in _names()]
        facet = _FACET.fullmatch(refusal.type_name)
        rule = _XML_RULES.get(refusal.type_name.removeprefix("SCHEMAV_")) or (facet[1].lower() if facet else "content")
        return f"{named[-1] if named else tag}:{rule}"
    return f"{tag}:content"


@functools.lru_cache(maxsize=65_536)
def wrong_siret(value: str | None) -> str | None:
    """What is wrong with a SIRET: `siret_length` or `siret_checksum`; None when it is right (La Poste's own rule included)."""
    if len(value or "") != _SIRET:  # stdnum forgives blanks; the official field does not
        return "siret_length"
    try:
        siret.validate(value or "")
    except InvalidLength:
        return "siret_length"
    except ValidationError:
        return "siret_checksum"
    return None
