"""One record of a flow, followed from what made the flow act to what was read back: what it says of each system. Pure.

1. A step is judged by its latest row alone: what came before was done, taken back or replaced by then.
2. What is not done and whose instant is past is late, whoever it waits for; a step that was taken back, or undone, is over.
3. Nothing of a row is told but the pseudonym of its key; the key itself only to whoever asked for names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sovereign.reports.labels import STATES
from sovereign.reports.model import Alarm, Code, Words
from sovereign.reports.reasons import reason
from sovereign.reports.showing import lasting
from sovereign.state.refusals import CODE

Stage = Literal["done", "undone", "settled", "gone", "dated", "moving", "person", "failed"]
GRACE: Final = timedelta(minutes=15)
"""How long after its instant a step may still be under way before it is late."""
DONE: Final = frozenset({"confirmed", "landed", "delivered"})
READ_BACK: Final = frozenset({"confirmed", "landed"})
GONE: Final = frozenset({"cancelled"})
PERSON: Final = frozenset({"held", "inconclusive", "did_not_happen"})
FAILED: Final = frozenset({"denied", "refused", "expired", "rejected", "failed"})
OPEN: Final = frozenset({"dated", "moving", "person", "failed"})

ROWS: Final[Mapping[str, Words]] = {
    "waiting": Words("attend", "waits"),
    "asked": Words("confiée à la passerelle", "given to the gateway"),
    "held": Words("retenue", "held"),
    "stopped": Words("arrêtée", "stopped"),
    "cancelled": Words("annulée", "cancelled"),
    "settled": Words("réglée à la main", "settled by hand"),
}
OCCASIONS: Final[Mapping[str, Words]] = {
    "taken": Words("prise", "taken"),
    "held": Words("retenue", "held"),
    "failed": Words("en échec", "failed"),
    "dropped": Words("abandonnée", "dropped"),
}
WHY: Final[Mapping[str, Words]] = {
    "key_missing": Words("une ligne n'a pas de clé : rien ne part sans un regard", "a row has no key: nothing leaves unseen"),
    "key_repeated": Words(
        "une clé revient deux fois : rien ne part sans un regard", "a key comes twice: nothing leaves unseen"
    ),
    "too_many": Words("plus de lignes que le flux n'en permet (most)", "more rows than the flow allows (most)"),
    "loop": Words("le même enregistrement revient sans cesse : une boucle ?", "the same record comes again and again: a loop?"),
    "when": Words("la colonne de l'échéance n'est pas une date", "the column that says when is no date"),
    "flow.unmapped": Words("la ligne ne donne pas ce que l'étape attend", "the row does not give what the step expects"),
    "flow.unforeseen": Words("ce que rien ne prévoyait : à signaler", "what nothing foresaw: to be reported"),
    "replaced": Words("remplacé par ce que la source a dit ensuite", "replaced by what its source said afterwards"),
    "undo.none": Words("fait, et le flux ne dit pas comment le défaire", "done, and the flow does not say how to undo it"),
    "undo.settled": Words(
        "une personne l'avait réglé, et elle seule sait comment le défaire",
        "a person had settled it, who alone knows how to undo it",
    ),
    "settled": Words("une personne s'en est chargée", "a person dealt with it"),
    "undo.nothing": Words("rien n'avait été fait", "nothing had been done"),
    "undo.unchanged": Words(
        "rien à défaire : l'écriture avait trouvé le compte déjà ainsi, sa remise le prouve",
        "nothing to undo: the write found things so already, as its delivery proves",
    ),
    "undo.unknown": Words(
        "rien ne dit comment c'était avant l'écriture : une personne décide de défaire ou non",
        "nothing tells how things were before the write: a person decides whether to undo it",
    ),
    "late": Words(
        "plus ancien que ce qui fut traité depuis sur le même enregistrement : rien ne part sans la parole d'une personne",
        "older than what was handled since about the same record: nothing leaves without a person's word",
    ),
    "released": Words("libérée par une personne", "released by a person"),
    "dropped": Words("abandonnée par une personne", "dropped by a person"),
    "cancelled": Words("reprise par la source", "taken back by its source"),
}
STAGES: Final[Mapping[str, Words]] = {
    "done": Words("fait", "done"),
    "undone": Words("défait", "undone"),
    "settled": Words("réglé à la main", "settled by hand"),
    "gone": Words("annulé", "cancelled"),
    "dated": Words("attend sa date", "waits for its date"),
    "moving": Words("en cours", "under way"),
    "person": Words("attend une personne", "waits for a person"),
    "failed": Words("en échec", "failed"),
}


@dataclass(frozen=True, slots=True)
class Entered:
    """An entry of the audit log. digest: its leaf hash (hexadecimal); whole: whether it is what was written."""

    seq: int
    act: str
    at: datetime
    digest: str | None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """An approval that was asked for: of whom, how many voices, until when, and how that stands."""

    groups: tuple[str, ...]
    quorum: int
    expires_at: datetime
    state: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step for one record, by its latest row.

    state: that of the row, or of its write once the gateway has it (`taken`). wanted_at: from when it should be done. ended_at:
    when it was done. policies: those that decided, each with who answers for it. in_force: whether its flow may act. changed:
    whether the write changed something at the vendor, None when nothing tells.
    """

    flow: str
    record: str
    key: str
    occasion: str
    occasion_at: datetime
    name: str
    write: str
    undo: bool
    taken: bool
    state: str
    why: str | None
    wanted_at: datetime
    since: datetime
    owner: str
    ended_at: datetime | None = None
    next_at: datetime | None = None
    intent: str | None = None
    approval: Asked | None = None
    policies: tuple[tuple[str, str], ...] = ()
    in_force: bool = True
    entries: tuple[Entered, ...] = ()
    receipt: str = ""
    changed: bool | None = None

    def stage(self, now: datetime) -> Stage:
        """Where it stands, in the end."""
        if not self.taken:
            waits: Stage = "dated" if self.wanted_at > now else "moving"
            found: dict[str, Stage] = {"waiting": waits, "asked": "moving", "held": "person", "stopped": "failed"}
            if self.state == "settled":
                return "settled"
            return found.get(self.state, "gone")
        if self.state in DONE:
            return "undone" if self.undo else "done"
        if self.state in PERSON:
            return "person"
        return "gone" if self.state in GONE else "failed" if self.state in FAILED else "moving"

    @property
    def asks(self) -> bool:
        """Whether it waits for a person's word, whatever came after it."""
        return not self.taken and self.state == "held" and self.why == "late"

    def open(self, now: datetime) -> bool:
        """Whether something is still to come."""
        return self.stage(now) in OPEN

    def late(self, now: datetime, grace: timedelta = GRACE) -> float | None:
        """For how many seconds it should have been done, None while it is not late."""
        past = now - self.wanted_at
        return past.total_seconds() if self.open(now) and past > grace else None

    @property
    def seconds(self) -> float | None:
        """From when it should be done to when it was, read back when it is."""
        return None if self.ended_at is None else max((self.ended_at - self.wanted_at).total_seconds(), 0.0)

    @property
    def shut(self) -> bool:
        """Whether its vendor refuses the credential under which it would leave."""
        return self.taken and self.why == CODE and self.state in ("queued", "to_retry")

    @property
    def standing(self) -> Code:
        """Its state in words; marked while it waits for a secret that its vendor refuses."""
        if self.shut:
            return Alarm(
                self.state, Words(f"{STATES[self.state].fr}, secret refusé", f"{STATES[self.state].en}, secret refused")
            )
        return Code(self.state, STATES[self.state] if self.taken else ROWS.get(self.state, Words(self.state, self.state)))

    @property
    def reason(self) -> Code | None:
        """Why, in words."""
        if not self.why:
            return None
        if self.shut:
            return Alarm(self.why, reason(self.why).label)
        return reason(self.why) if self.taken or self.why not in WHY else Code(self.why, WHY[self.why])


@dataclass(frozen=True, slots=True)
class Seen:
    """An occasion: when it was seen, its state, how many rows it gave, the entries of what made it and its own."""

    flow: str
    name: str
    at: datetime
    state: str
    found: int
    why: str | None
    causes: tuple[Entered, ...] = ()
    entries: tuple[Entered, ...] = ()


@dataclass(frozen=True, slots=True)
class Trace:
    """What a flow did for one record. occasions: oldest first; steps: every row, whatever came after it."""

    flow: str
    title: Words
    owner: str
    record: str
    key: str
    steps: tuple[Step, ...]
    occasions: tuple[Seen, ...]


def alarm(seconds: float) -> Alarm:
    """How late something is."""
    told = lasting(seconds)
    return Alarm("late", Words(f"en retard de {told.fr}", f"late by {told.en}"))


def to_do(step: Step, now: datetime) -> tuple[Code, Code]:
    """What is to be done about a step that is open, and who decides."""
    return _of_write(step) if step.taken else _of_row(step, now)


def _of_row(step: Step, now: datetime) -> tuple[Code, Code]:
    """About a row that the gateway does not have yet."""
    owner = _owner(step)
    if step.state == "held":
        line = f"sovereign flow release {step.flow} {step.occasion} --reason …"
        if step.why == "late":
            said = Words(
                f"regarder ce qui est venu depuis, puis « sovereign flow drop {step.flow} {step.occasion} --reason … » ; "
                f"pour que l'ancien parte quand même : « {line} --older »",
                f"look at what came since, then `sovereign flow drop {step.flow} {step.occasion} --reason …`; "
                f"to let the older word leave all the same: `{line} --older`",
            )
            return Code("older", said), owner
        if step.why == "undo.unknown":
            said = Words(
                f"demander comment c'était avant ; à défaire : « {line} » ; à laisser ainsi : « drop »",
                f"ask how things were before; to undo it: `{line}`; to leave it as it is: `drop`",
            )
            return Code("undo", said), owner
        look = Words(f"regarder l'occasion, puis « {line} », ou « drop »", f"look at the occasion, then `{line}`, or `drop`")
        return Code("release", look), owner
    if step.state == "stopped":
        return _STOPPED.get(step.why or "", _MEND), owner
    if step.stage(now) == "dated":
        return _NOTHING, _NOBODY
    if not step.in_force:
        line = f"sovereign flow enable {step.flow}"
        return Code("enable", Words(f"le flux n'est pas en service : « {line} »", f"the flow is not in force: `{line}`")), owner
    return _SERVE, _SITE


def _of_write(step: Step) -> tuple[Code, Code]:
    """About a write that the gateway has."""
    if step.shut:
        line = f"sovereign secret set {step.write.partition('.')[0]}"
        return Code("secret", Words(f"déposer le nouveau secret : « {line} »", f"store the new secret: `{line}`")), _OPERATOR
    if step.state == "held" and step.approval is not None:
        line, groups, count = f"sovereign approval approve {step.intent}", ", ".join(step.approval.groups), step.approval.quorum
        who = Words(
            f"les approbateurs : {groups} ({count} voix)",
            f"the approvers: {groups} ({count} {'voice' if count == 1 else 'voices'})",
        )
        return Code("approve", Words(f"décider : « {line} », ou « refuse »", f"decide: `{line}`, or `refuse`")), Code(
            "approvers", who
        )
    if step.state in ("inconclusive", "did_not_happen"):
        line = f"sovereign delivery resolve {step.intent} … --reason …"
        look = Words(f"regarder chez le fournisseur, puis « {line} »", f"look at the vendor, then `{line}`")
        return Code("resolve", look), _OPERATOR
    if step.state in ("rejected", "failed"):
        line = f"sovereign delivery replay {step.intent} --reason …"
        return Code("replay", Words(f"lever la cause, puis « {line} »", f"remove the cause, then `{line}`")), _OPERATOR
    if step.state == "denied":
        named = ", ".join(dict.fromkeys(f"{owner} ({policy})" for policy, owner in step.policies if owner))
        if named:
            return _ASK, Code("policy", Words(named, named))
        line = f"sovereign policy open {step.write.replace('.', ' ', 1)} --client flow-{step.flow} --add"
        wanted = Words(f"ouvrir l'écriture si elle est voulue : « {line} »", f"open the write if it is wanted: `{line}`")
        return Code("open", wanted), Code("policy", _POLICY)
    return (_ANEW, _owner(step)) if step.state in ("refused", "expired") else (_WAIT, _NOBODY)


def _owner(step: Step) -> Code:
    return Code("owner", Words(f"{step.owner}, qui répond du flux", f"{step.owner}, who answers for the flow"))


_NOBODY: Final = Code("nobody", Words("personne : il suffit d'attendre", "nobody: waiting is enough"))
_NOTHING: Final = Code("nothing", Words("rien avant sa date", "nothing before its date"))
_WAIT: Final = Code("wait", Words("rien : la passerelle continue", "nothing: the gateway goes on"))
_MEND: Final = Code(
    "mend", Words("corriger la source, qui déclenchera le flux à nouveau", "correct the source, which makes the flow act again")
)
_STOPPED: Final[Mapping[str, Code]] = {
    "undo.settled": Code("by_hand", Words("défaire à la main chez le fournisseur", "undo it by hand at the vendor")),
    "undo.none": Code("by_hand", Words("défaire à la main chez le fournisseur", "undo it by hand at the vendor")),
    "loop": Code(
        "loop", Words("chercher qui change cet enregistrement sans cesse", "find what changes this record again and again")
    ),
}
_ASK: Final = Code(
    "ask",
    Words(
        "une politique la refuse : demander à qui en répond, ou faire à la main puis « sovereign flow settle »",
        "a policy denies it: ask whoever answers for the policy, or do it by hand, then `sovereign flow settle`",
    ),
)
_ANEW: Final = Code(
    "anew",
    Words("faire à la main, ou changer la source, qui le redemandera", "do it by hand, or change the source, which asks anew"),
)
_SERVE: Final = Code(
    "serve", Words("lancer « sovereign serve » ou « sovereign flow run »", "run `sovereign serve` or `sovereign flow run`")
)
_SITE: Final = Code("site", Words("qui exploite le site", "whoever runs the site"))
_OPERATOR: Final = Code(
    "operator", Words("qui tranche les remises (rôles dsi, rssi)", "whoever settles deliveries (roles dsi, rssi)")
)
_POLICY: Final = Words("qui écrit la politique (rôles dsi, rssi)", "whoever writes the policy (roles dsi, rssi)")


def latest(steps: Sequence[Step]) -> list[Step]:
    """The steps that count: for each record and step, that of the latest occasion; in one, what is done anew comes last.

    An older word that waits for a person comes before: it is what is left to decide.
    """
    found: dict[tuple[str, str, str], Step] = {}
    for step in sorted(steps, key=lambda each: (each.asks, each.occasion_at, not each.undo)):
        found[step.flow, step.record, step.name] = step
    return list(found.values())
