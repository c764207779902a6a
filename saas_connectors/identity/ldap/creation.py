"""The entry of a new account: its name, its classes, what it bears."""

from collections.abc import Mapping
from typing import Final

from saas_connectors.connector import Json
from saas_connectors.errors import BadPayload
from saas_connectors.identity.ldap import calls, names, records
from saas_connectors.identity.ldap.calls import Entry
from saas_connectors.identity.ldap.looks import Looks
from saas_connectors.identity.ldap.operations import FIELDS, WHO
from saas_connectors.identity.ldap.pull import Where
from saas_connectors.identity.ldap.settings import Said
from saas_connectors.payloads import pointer
from saas_connectors.request import Request

_CLASSES: Final = {
    True: ("top", "person", "organizationalPerson", "user"),
    False: ("top", "person", "organizationalPerson", "inetOrgPerson"),
}
_SHUT: Final = "514"
"""userAccountControl of an ordinary account that is shut (512 | 2)."""


def added(said: Said, where: Where, payload: Mapping[str, Json]) -> Request:
    """The request that adds the account; raises `BadPayload`."""
    create, shape = said.settings.create, said.shape(active=where.active)
    if create is None:  # the settings were held to it
        raise BadPayload(pointer="", expected_fr="une table « create »", expected_en="a `create` table")
    unit = payload.get("unit", create.unit)
    if not names.under(unit, create.unit):
        raise BadPayload(
            pointer="/unit", expected_fr="une unité sous celle de « create »", expected_en="a unit below that of `create`"
        )  # fmt: skip
    common: str = payload.get("display_name") or " ".join(
        str(payload[name]) for name in ("given_name", "surname") if name in payload
    )  # fmt: skip
    wire = records.wire(active=where.active)
    held: dict[str, str] = {**create.attributes, "cn": common}
    held |= {wire[name]: value for name, value in payload.items() if name in FIELDS}
    held |= {shape.fields[name][0]: payload[name] for name in WHO if name in payload and name in shape.fields}
    held |= {"userAccountControl": _SHUT} if where.active else {}
    rdn = create.rdn or ("cn" if where.active else "uid")
    dn = f"{rdn}={names.escaped(held.get(rdn) or payload['login'])},{unit}"
    attributes = {"objectClass": list(create.classes or _CLASSES[where.active])}
    return calls.write(said.url, "ADD", dn=dn, attributes={**attributes, **{name: [value] for name, value in held.items()}})


def differences(looks: Looks, payload: Mapping[str, Json], held: Entry) -> tuple[str, ...]:
    """JSON pointers of what an account does not bear as it was asked."""
    wire = looks.wire
    found = [name for name, value in payload.items() if name in FIELDS and held.text(wire[name]) != value]
    found += [name for name in WHO if name in payload and not looks.bears(held, name, str(payload[name]))]
    return tuple(pointer((name,)) for name in found)
