"""One request for approval on the screen: what is asked, what it changes field by field, who spoke and who can."""

import re
from typing import TYPE_CHECKING, Any, Final

from sovereign.cli.door import Door
from sovereign.cli.marks import lasting, number
from sovereign.cli.output import Column, shown
from sovereign.language import language, say

if TYPE_CHECKING:
    from sovereign.deciding import Request
    from sovereign.gateway.effect import Effect, FieldEffect, RecordEffect
    from sovereign.gateway.intent import WriteIntent

FACTS: Final = (
    Column("intent", "remise", "delivery"),
    Column("connection", "connexion", "connection"),
    Column("client", "application", "client"),
    Column("operation", "opération", "operation"),
    Column("state", "état", "state", "state"),
    Column("why", "retenue parce que", "held because"),
    Column("findings", "trouvé", "found"),
    Column("quorum", "quorum", "quorum", "number"),
    Column("groups", "groupes", "groups"),
    Column("expires_at", "échéance", "until", "time"),
    Column("digest", "empreinte", "digest"),
    Column("person", "pour", "on behalf of"),
    Column("entity", "entité", "entity"),
    Column("path", "chemin", "path"),
    Column("content_type", "type", "content type"),
    Column("headers", "en-têtes", "headers"),
    Column("clearance", "habilitation", "clearance"),
    Column("payload", "contenu", "payload"),
)
VOICES: Final = (
    Column("person", "personne", "person"),
    Column("verdict", "vote", "voice"),
    Column("at", "le", "at", "time"),
    Column("reason", "raison", "reason"),
)
WHO: Final = (
    Column("person", "personne", "person"),
    Column("can", "peut approuver", "can approve"),
    Column("why", "parce que", "because"),
    Column("groups", "groupes", "groups"),
)
_WHOLE: Final = 65_536
"""The longest body that is shown without a look for files in it, in bytes."""
_LONG: Final = 2_000
"""The longest text in base64 of a longer body that is shown, in characters."""
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]++=*+")
SIGNS: Final = {"create": "+", "update": "~", "delete": "\u2212", "unchanged": "="}
STYLES: Final = {"create": "green", "update": "yellow", "delete": "red", "unchanged": "dim"}
WIDEST: Final = 120
"""Characters shown of one value."""


def show(door: Door, found: "Request", effect: "Effect | None") -> None:
    """Show it all, as far as the clearance of `effect` sees; rows that would be empty are left out."""
    values = facts(found, effect)
    pairs = [(column, values[column.key]) for column in FACTS if values[column.key] not in (None, "")]
    if door.out.json:
        door.out.record(
            "approval", **{column.key: value for column, value in pairs},
            effect=None if effect is None else effect.record(language()),
            voices=[{"person": v.person, "verdict": v.verdict, "at": v.at, "reason": v.reason} for v in found.voices],
            who=[{"person": w.person, "groups": list(w.groups), "can": w.why is None, "why": _because(w)} for w in found.who],
        )  # fmt: skip
        return
    door.out.facts("approval", pairs)
    if effect is not None:
        changes(door, effect)
    if found.voices:
        door.out.say()
        door.out.say("Se sont prononcés", "Who has spoken", style="bold")
        rows = [
            {"person": v.person, "verdict": _VERDICTS[v.verdict](), "at": v.at, "reason": v.reason or None}
            for v in found.voices
        ]
        door.out.table("voice", VOICES, rows)
    if found.who:
        door.out.say()
        door.out.say("Qui peut décider", "Who can decide", style="bold")
        who = [{"person": w.person, "can": w.why is None, "why": _because(w), "groups": list(w.groups)} for w in found.who]
        door.out.table("entitled", WHO, who)


def facts(found: "Request", effect: "Effect | None") -> dict[str, Any]:
    """What is asked; what lies above the clearance is said to, and not given."""
    sent = found.intent
    told: dict[str, Any] = {
        "intent": found.asked.intent, "connection": found.asked.connection, "client": found.asked.client,
        "state": found.asked.state, "why": say(found.fr, found.en),
        "findings": ", ".join(f"{kind}: {count}" for kind, count, *_ in found.findings), "quorum": found.asked.quorum,
        "groups": ", ".join(found.asked.groups), "expires_at": found.asked.expires_at,
    }  # fmt: skip
    told |= dict.fromkeys(("operation", "digest", "person", "entity", "path", "content_type", "headers", "clearance"))
    if sent is None or effect is None:
        return told | {"payload": say("effacé, son temps passé", "erased, its time past")}
    hidden = say("au-dessus de l'habilitation", "above the clearance")
    needed = max(effect.classes, key=["internal", "personal", "sensitive"].index, default="internal")
    unseen = say(f"données « {needed} » : {hidden}", f"`{needed}` data: {hidden}")
    return told | {
        "operation": sent.operation, "digest": sent.digest.hex(), "person": sent.person,
        "entity": hidden if effect.hides_names else sent.entity,
        "path": hidden if effect.hides_names and sent.path else f"{sent.method} {sent.path}".strip(),
        "content_type": sent.content_type, "headers": "; ".join(f"{name}: {value}" for name, value in sent.headers),
        "clearance": effect.clearance or say("aucune", "none"),
        "payload": _payload(sent) if effect.covers(effect.classes) else unseen,
    }  # fmt: skip


def _payload(sent: "WriteIntent") -> str:
    """The body; a long one by its length and its hash, by which it is compared with what its author holds."""
    if sent.upload is None:
        return sent.body.decode(errors="replace") if len(sent.body) <= _WHOLE else _folded(sent)
    size, digest = number(sent.upload.size), sent.upload.sha256.hex()
    return say(f"fichier de {size} octets, SHA-256 {digest}", f"file of {size} bytes, SHA-256 {digest}")


def _folded(sent: "WriteIntent") -> str:
    """A long body, its files in base64 by their length and their hash; whole when it is no JSON."""
    import hashlib

    import orjson

    def fold(value: Any) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(value, dict):
            return {name: fold(each) for name, each in value.items()}
        if isinstance(value, list):
            return [fold(each) for each in value]
        return told(value.encode()) if isinstance(value, str) and len(value) > _LONG and _BASE64.fullmatch(value) else value

    def told(text: bytes) -> str:
        size, digest = number(len(text)), hashlib.sha256(text).hexdigest()
        return say(f"texte de {size} octets, SHA-256 {digest}", f"text of {size} bytes, SHA-256 {digest}")

    try:
        return orjson.dumps(fold(orjson.loads(sent.body))).decode()
    except ValueError:
        return sent.body.decode(errors="replace")


def changes(door: Door, effect: "Effect") -> None:
    """Before and after, with the counts and the age of the copy."""
    door.out.say()
    if effect.absent is not None:
        door.out.say(*(f"! {each}" for each in effect.absent), style="yellow")
        return
    summed = counted(effect.counts)
    age = lasting(effect.age or 0)
    fr, en = f"Ce qui change : {summed}, par rapport à une copie de {age}", f"What changes: {summed}, against a copy {age} old"
    door.out.say(fr, en, style="bold")
    for record in effect.records:
        head = _headed(record)
        door.out.say(head, head, style=STYLES[record.kind])
        for field in record.fields:
            text = _field(record, field)
            door.out.say(text, text)


def counted(counts: Any) -> str:  # noqa: ANN401 - a mapping of counts
    """Creates, updates, deletes, in words."""
    names = {
        "create": ("à créer", "to create"), "update": ("à modifier", "to update"), "delete": ("à supprimer", "to delete"),
        "unchanged": ("sans changement", "unchanged"),
    }  # fmt: skip
    return ", ".join(f"{number(count)} {say(*names[kind])}" for kind, count in counts.items() if count or kind != "unchanged")


def _headed(record: "RecordEffect") -> str:
    hidden = say("non montré", "not shown")
    names = " ".join(f"{name}={hidden if value is None else value}" for name, value in record.names)
    return f"{SIGNS[record.kind]} {record.stream} {names}".rstrip()


def _field(record: "RecordEffect", field: "FieldEffect") -> str:
    if not field.seen:
        told = say("change, valeurs non montrées", "changes, values not shown")
        kept = say("ne change pas, valeur non montrée", "does not change, value not shown")
        return f"    {field.name} [{field.class_}]: {told if field.changes else kept}"
    if record.kind == "create":
        return f"    {field.name} [{field.class_}]: {_short(field.after)}"
    if record.kind == "delete":
        return f"    {field.name} [{field.class_}]: {_short(field.before)}"
    if not field.changes:
        return f"    {field.name} [{field.class_}]: {_short(field.before)} {say('(inchangé)', '(unchanged)')}"
    return f"    {field.name} [{field.class_}]: {_short(field.before)} → {_short(field.after)}"


def _short(value: object) -> str:
    text = shown(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _because(who: Any) -> str:  # noqa: ANN401 - an Entitled
    return say(*who.why) if who.why is not None else who.reason


_VERDICTS: Final = {
    "approve": lambda: say("approuve", "approves"),
    "refuse": lambda: say("refuse", "refuses"),
}
