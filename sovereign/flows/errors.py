"""Faults of flows.

SovereignError
└── FlowError
    ├── UnknownFlow     no flow file of that name
    ├── UnknownTemplate no template of that name
    ├── BadFlow         a flow file that cannot be taken; names the field and what was expected
    ├── NotEnabled      a flow that nobody enabled, or whose file changed since
    ├── NotCleared      a flow that reads more than whoever answers for it may
    ├── EventAbove      a flow that waits for events of a class above its clearance
    ├── UnknownOccasion no occasion of that name
    ├── UnknownRecord   a record that a flow never did anything for
    ├── NotHeld         an occasion that nothing holds
    ├── Older           an older word about a record, once a later one was handled: only a person's word lets it go
    ├── Unforeseen      what nothing here foresaw; names its kind alone
    └── Unmapped        a row that gives no payload; names the place, never a value
"""

from sovereign.errors import SovereignError


class FlowError(SovereignError):
    """A fault of flows."""

    code = "flow"


class UnknownFlow(FlowError):
    """No flow file of that name."""

    code = "flow.unknown"
    kind = "usage"
    fr = "Aucun flux ne s'appelle {flow} dans ce site."
    en = "No flow is called {flow} on this site."
    todo_fr = "Flux connus : {known}. Un flux est un fichier flows/NOM.toml."
    todo_en = "Flows known: {known}. A flow is a file flows/NAME.toml."


class UnknownTemplate(FlowError):
    """No template of that name."""

    code = "flow.template"
    kind = "usage"
    fr = "Aucun modèle de flux ne s'appelle {template}."
    en = "No template of a flow is called {template}."
    todo_fr = "Modèles : {known}."
    todo_en = "Templates: {known}."


class BadFlow(FlowError):
    """A flow file that cannot be taken."""

    code = "flow.bad"
    kind = "usage"
    fr = "Flux {flow}, champ « {field} » : {expected_fr}."
    en = "Flow {flow}, field `{field}`: {expected_en}."
    todo_fr = "Corrigez flows/{flow}.toml, puis « sovereign flow check {flow} ». Rien n'a changé."
    todo_en = "Correct flows/{flow}.toml, then `sovereign flow check {flow}`. Nothing changed."


class NotEnabled(FlowError):
    """A flow that nobody enabled, or whose file changed since."""

    code = "flow.not_enabled"
    kind = "denied"
    fr = "Le flux {flow} n'est pas en service : {reason_fr}."
    en = "Flow {flow} is not enabled: {reason_en}."
    todo_fr = "Regardez-le à blanc (flow dry-run {flow}), puis « sovereign flow enable {flow} »."
    todo_en = "Look at a dry run (flow dry-run {flow}), then `sovereign flow enable {flow}`."


class NotCleared(FlowError):
    """A flow that reads more than whoever answers for it may."""

    code = "flow.not_cleared"
    kind = "denied"
    fr = "Le flux {flow} lit {connection} sous l'habilitation {clearance}, que {owner}, qui en répond, n'a pas."
    en = "Flow {flow} reads {connection} at clearance {clearance}, which {owner}, who answers for it, does not hold."
    todo_fr = (
        "Baissez « clearance » dans le flux, ou donnez le droit : "
        "sovereign access grant {owner} --clearance {clearance} --connection {connection} --until DATE --reason …"
    )
    todo_en = (
        "Lower `clearance` in the flow, or give the right: "
        "sovereign access grant {owner} --clearance {clearance} --connection {connection} --until DATE --reason …"
    )


class EventAbove(FlowError):
    """A flow that waits for events of a class above its clearance."""

    code = "flow.event_class"
    kind = "denied"
    fr = (
        "Le flux {flow} attend des événements « {type} », de classe « {held} », sous l'habilitation « {clearance} » : il n'en "
        "lit aucun. Rien n'est perdu : ils l'attendent."
    )
    en = (
        "Flow {flow} waits for events `{type}`, of class `{held}`, at clearance `{clearance}`: it reads none. Nothing is lost: "
        "they wait for it."
    )
    todo_fr = (
        "S'il doit les lire : clearance = \"{held}\" dans flows/{flow}.toml, puis « sovereign flow enable {flow} ». S'ils ne "
        'disent rien de tel : class = "{clearance}" dans la table [events.NOM] de chaque source qui les dit.'
    )
    todo_en = (
        'If it is to read them: clearance = "{held}" in flows/{flow}.toml, then `sovereign flow enable {flow}`. If they say '
        'no such thing: class = "{clearance}" in the table [events.NAME] of each source that tells them.'
    )


class UnknownOccasion(FlowError):
    """No occasion of that name."""

    code = "flow.occasion"
    kind = "usage"
    fr = "Le flux {flow} n'a pas d'occasion « {occasion} »."
    en = "Flow {flow} has no occasion `{occasion}`."
    todo_fr = "« sovereign flow show {flow} » donne les dernières."
    todo_en = "`sovereign flow show {flow}` gives the latest."


class UnknownRecord(FlowError):
    """A record that a flow never did anything for."""

    code = "flow.record"
    kind = "usage"
    fr = "Le flux {flow} n'a rien fait pour cet enregistrement."
    en = "Flow {flow} did nothing for this record."
    todo_fr = "Donnez sa clé entière : une valeur par colonne de « key », dans l'ordre, --key répété."
    todo_en = "Give its whole key: a value for each column of `key`, in order, --key repeated."


class NothingFailed(FlowError):
    """A record none of whose steps failed for good."""

    code = "flow.nothing_failed"
    kind = "usage"
    fr = "Aucune étape de cet enregistrement du flux {flow} n'a échoué pour de bon."
    en = "No step of this record of flow {flow} failed for good."
    todo_fr = (
        "« sovereign flow show {flow} --key … » dit où en est chacune ; une issue inconnue se règle par « delivery resolve »."
    )
    todo_en = (
        "`sovereign flow show {flow} --key …` tells where each stands; an unknown outcome is settled by `delivery resolve`."
    )


class NotHeld(FlowError):
    """An occasion that nothing holds."""

    code = "flow.not_held"
    kind = "usage"
    fr = "Rien ne retient l'occasion « {occasion} » du flux {flow} : elle est « {state} »."
    en = "Nothing holds occasion `{occasion}` of flow {flow}: it is `{state}`."
    todo_fr = "« sovereign flow show {flow} » dit où elle en est."
    todo_en = "`sovereign flow show {flow}` says where it stands."


class Older(FlowError):
    """An older word about a record, once a later one was handled."""

    code = "flow.older"
    kind = "usage"
    fr = (
        "Occasion « {occasion} » du flux {flow} : {count} écriture(s) portent sur ce dont une occasion plus récente a déjà "
        "traité. Les laisser partir ferait l'ancien après le nouveau. Rien n'a changé."
    )
    en = (
        "Occasion `{occasion}` of flow {flow}: {count} write(s) are about what a later occasion handled already. Letting them "
        "go would do the older word after the newer. Nothing changed."
    )
    todo_fr = (
        "« sovereign flow show {flow} --occasion {occasion} » les montre, « flow show {flow} --key … » ce qui est venu depuis"
        " ; si elles doivent partir malgré tout, redites la commande avec --older."
    )
    todo_en = (
        "`sovereign flow show {flow} --occasion {occasion}` shows them, `flow show {flow} --key …` what came since; if they "
        "are to leave all the same, give the command again with --older."
    )


class Unforeseen(FlowError):
    """What nothing here foresaw: a value that no library could carry, a defect."""

    code = "flow.unforeseen"
    fr = "Le flux {flow} n'a pas pu agir : {kind}, que rien ne prévoyait."
    en = "Flow {flow} could not act: {kind}, which nothing foresaw."
    todo_fr = "Il est réessayé et n'en retient aucun autre ; « sovereign flow show {flow} » dit à quelle occasion. Signalez-le."
    todo_en = "It is tried again, and keeps no other waiting; `sovereign flow show {flow}` says on which occasion. Report it."


class Unmapped(FlowError):
    """A row that gives no payload."""

    code = "flow.unmapped"
    fr = "Étape {step}, à « {pointer} » : {expected_fr}."
    en = "Step {step}, at `{pointer}`: {expected_en}."
    todo_fr = "Corrigez la source ou le flux ; la ligne est gardée à part, les autres continuent."
    todo_en = "Correct the source or the flow; the row is kept aside, the others go on."
