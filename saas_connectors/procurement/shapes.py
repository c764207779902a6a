"""The official JSON schema, read as shapes: Arrow types, and one meaning for the two ways of writing a value.

1. A shape knows its Arrow type, how to take its value out of JSON, and how to take it out of XML. The same contract gives the
   same record in both.
2. An object that has one key is that key's value (`acheteur: {id}`), and a list of one-key objects is a list of what they hold
   (`titulaires: [{titulaire: …}]` in JSON, `<titulaires><titulaire/>…` in XML).
3. An optional field left out, null, or empty is absent: publishers write all three.
4. Numbers are exact decimals of 6 places. One that has more is rounded, and the remark `FIELD:precision` is counted.
5. A value the schema lets through but no column can hold (2024-13-45) raises `Unfit`: its record is set aside.

It validates nothing else; that is `validation`.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal, InvalidOperation
from typing import Protocol

import pyarrow as pa
from lxml import etree

from saas_connectors.connector import Json

Remarks = Counter[str]

NUMBER = pa.decimal128(28, 6)
_EXPONENT = Decimal("0.000001")
_PRECISION = Context(prec=28)
# A date, and what sloppy publishers or XML add to it: a time, or a zone.
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(T.*|Z|[+-]\d{2}:\d{2})?")
_DATE_PATTERN = r"\d{4}-\d{2}-\d{2}"
_TRUTHS = {"oui": True, "true": True, "1": True, "non": False, "false": False, "0": False}


class Unfit(Exception):
    """A value that its column cannot hold."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class Shape(Protocol):
    """What one place of the schema holds."""

    @property
    def type(self) -> pa.DataType:
        """The Arrow type of its values."""
        ...

    def json(self, value: Json, remarks: Remarks) -> Json:
        """The value written in JSON as `value`."""
        ...

    def xml(self, element: etree._Element, remarks: Remarks) -> Json:
        """The value written in XML as `element`."""
        ...

    def tidy_json(self, value: Json) -> None:
        """Take out of `value`, in place, the optional fields that hold nothing."""
        ...

    def tidy_xml(self, element: etree._Element) -> None:
        """Take out of `element`, in place, the optional fields that hold nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Leaf:
    """A text, a number, a whole number, a yes or no, a day."""

    name: str
    type: pa.DataType

    def json(self, value: Json, remarks: Remarks) -> Json:
        """The value; None when there is nothing."""
        if value is None or (isinstance(value, str) and not value.strip()):
            return None
        if pa.types.is_string(self.type):
            return value
        if pa.types.is_boolean(self.type):
            return value if isinstance(value, bool) else _TRUTHS.get(value.strip())
        if pa.types.is_date(self.type):
            return _day(value, self.name)
        number = _number(value, self.name)
        if pa.types.is_integer(self.type):
            if not -(2**63) <= number < 2**63 or number != int(number):
                raise Unfit(f"{self.name}:range")
            return int(number)
        rounded = _round(number, self.name)
        if rounded != number:
            remarks[f"{self.name}:precision"] += 1
        return rounded

    def xml(self, element: etree._Element, remarks: Remarks) -> Json:
        """The value; None when the element is empty."""
        return self.json(element.text, remarks)

    def tidy_json(self, value: Json) -> None:
        """Nothing to take out."""

    def tidy_xml(self, element: etree._Element) -> None:
        """Nothing to take out."""


@dataclass(frozen=True, slots=True)
class Record:
    """Named fields."""

    fields: Mapping[str, Shape]
    required: frozenset[str]

    @property
    def type(self) -> pa.DataType:
        """A struct of the fields."""
        return pa.struct([(name, shape.type) for name, shape in self.fields.items()])

    def json(self, value: Json, remarks: Remarks) -> Json:
        """A dict of all the fields, None for those left out."""
        return {
            name: None if (held := value.get(name)) is None else shape.json(held, remarks)
            for name, shape in self.fields.items()
        }

    def xml(self, element: etree._Element, remarks: Remarks) -> Json:
        """A dict of all the fields, None for those left out."""
        held = {child.tag: child for child in element}
        return {name: shape.xml(held[name], remarks) if name in held else None for name, shape in self.fields.items()}

    def tidy_json(self, value: Json) -> None:
        """Optional fields that are null, empty text, empty list or empty object are taken out."""
        if not isinstance(value, dict):
            return
        for name in [name for name in value if name in self.fields]:
            held = value[name]
            if name not in self.required and (held in (None, [], {}) or (isinstance(held, str) and not held.strip())):
                del value[name]
            else:
                self.fields[name].tidy_json(held)

    def tidy_xml(self, element: etree._Element) -> None:
        """Optional fields whose element is empty are taken out."""
        for child in list(element):
            shape = self.fields.get(str(child.tag))
            if shape is None:
                continue
            if child.tag not in self.required and len(child) == 0 and not (child.text or "").strip():
                element.remove(child)
            else:
                shape.tidy_xml(child)


@dataclass(frozen=True, slots=True)
class Only:
    """The value of an object's single key."""

    key: str
    held: Shape

    @property
    def type(self) -> pa.DataType:
        """The type of what the key holds."""
        return self.held.type

    def json(self, value: Json, remarks: Remarks) -> Json:
        """What the key holds."""
        return self.held.json(value.get(self.key), remarks)

    def xml(self, element: etree._Element, remarks: Remarks) -> Json:
        """What the child of that name holds."""
        child = element.find(self.key)
        return None if child is None else self.held.xml(child, remarks)

    def tidy_json(self, value: Json) -> None:
        """Look further inside."""
        if isinstance(value, dict):
            self.held.tidy_json(value.get(self.key))

    def tidy_xml(self, element: etree._Element) -> None:
        """Look further inside."""
        for child in element:
            self.held.tidy_xml(child)


@dataclass(frozen=True, slots=True)
class Many:
    """A list: in JSON `[{key: item}, …]` or, when `inside`, `{key: [item, …]}`; in XML children of one name."""

    key: str
    item: Shape
    inside: bool

    @property
    def type(self) -> pa.DataType:
        """A list of the items' type."""
        return pa.list_(self.item.type)

    def json(self, value: Json, remarks: Remarks) -> Json:
        """The items; None when there is none."""
        return [self.item.json(item, remarks) for item in self._items(value)] or None

    def xml(self, element: etree._Element, remarks: Remarks) -> Json:
        """The items; None when there is none. Their tag is left to the XSD, which once differs from the JSON schema's key."""
        return [self.item.xml(child, remarks) for child in element] or None

    def tidy_json(self, value: Json) -> None:
        """Look inside each item."""
        for item in self._items(value):
            self.item.tidy_json(item)

    def tidy_xml(self, element: etree._Element) -> None:
        """Look inside each item."""
        for child in element:
            self.item.tidy_xml(child)

    def _items(self, value: Json) -> list[Json]:
        if self.inside:
            held = value.get(self.key) if isinstance(value, dict) else None
            return held if isinstance(held, list) else []
        return [item.get(self.key) for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def shape_of(node: Mapping[str, Json], schema: Mapping[str, Json], name: str = "") -> Shape:
    """The shape that one node of a draft-07 schema describes; local references only."""
    while "$ref" in node:
        node = _at(schema, node["$ref"])
    if "properties" in node:
        fields = {key: shape_of(held, schema, key) for key, held in node["properties"].items()}
        if len(fields) > 1:
            return Record(fields, frozenset(node.get("required", ())))
        ((key, held),) = fields.items()
        if isinstance(held, Many) and not held.key:
            return Many(key, held.item, inside=True)
        return Only(key, held)
    if node.get("type") == "array":
        item = shape_of(node["items"], schema, name)
        return Many(item.key, item.held, inside=False) if isinstance(item, Only) else Many("", item, inside=False)
    match node.get("type", "string"):
        case "integer":
            return Leaf(name, pa.int64())
        case "number":
            return Leaf(name, NUMBER)
        case "boolean":
            return Leaf(name, pa.bool_())
    return Leaf(name, pa.date32() if node.get("pattern") == _DATE_PATTERN else pa.string())


def _at(schema: Mapping[str, Json], reference: str) -> Mapping[str, Json]:
    for step in reference.removeprefix("#/").split("/"):
        schema = schema[step]
    return schema


def _day(value: Json, name: str) -> date:
    found = _DAY.fullmatch(value.strip())
    if found is None:
        raise Unfit(f"{name}:date")
    try:
        return date.fromisoformat(found[1])
    except ValueError:
        raise Unfit(f"{name}:date") from None


def _number(value: Json, name: str) -> Decimal:
    try:
        return Decimal(value.strip() if isinstance(value, str) else value)
    except (InvalidOperation, ValueError):
        raise Unfit(f"{name}:number") from None


def _round(number: Decimal, name: str) -> Decimal:
    try:
        return number.quantize(_EXPONENT, context=_PRECISION)
    except InvalidOperation:
        raise Unfit(f"{name}:range") from None
