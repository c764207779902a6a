"""Faults of the author's kit.

SovereignError
├── BadName        what a connector cannot be called
├── NotEmpty       the folder holds something already
├── NoTarget       nothing to test there
│   └── NoRehearsal    a kind that only a connection can prove
├── BadFixtures    a fixtures folder that cannot be read: names the place
├── Unscrubbed     something of an answer cannot be scrubbed safely: names the place, never the value
└── Diverged       the scrubbed answers do not replay as the real ones did
"""

from sovereign.errors import SovereignError


class BadName(SovereignError):
    """A connector cannot have this name."""

    code = "authoring.name"
    kind = "usage"
    fr = "« {name} » ne peut pas nommer un connecteur : attendu {expected_fr}."
    en = "`{name}` cannot name a connector: expected {expected_en}."
    todo_fr = "Choisissez un autre nom."
    todo_en = "Choose another name."


class NotEmpty(SovereignError):
    """The folder holds something already."""

    code = "authoring.not_empty"
    kind = "usage"
    fr = "{path} n'est pas vide."
    en = "{path} is not empty."
    todo_fr = "Rien n'a été écrit. Choisissez un dossier absent ou vide."
    todo_en = "Nothing was written. Choose a folder that is absent or empty."


class NoTarget(SovereignError):
    """Nothing to test."""

    code = "authoring.no_target"
    kind = "usage"
    fr = "Rien à éprouver dans « {target} » : {why_fr}."
    en = "Nothing to test in `{target}`: {why_en}."
    todo_fr = "Donnez le dossier d'un paquet, un dossier de fixtures, ou un connecteur de « sovereign connector list »."
    todo_en = "Give the folder of a package, a fixtures folder, or a kind of `sovereign connector list`."


class NoRehearsal(NoTarget):
    """Nobody plays the vendor of this kind."""

    code = "authoring.no_rehearsal"
    fr = "Personne ne joue le fournisseur d'un connecteur « {target} » : il ne parle pas HTTP, et rien n'en est enregistré."
    en = "Nobody plays the vendor of a connector `{target}`: it speaks no HTTP, and nothing of it is recorded."
    todo_fr = "Éprouvez une connexion : « sovereign connection check NOM », puis « sovereign sync run NOM » et son verdict."
    todo_en = "Prove a connection: `sovereign connection check NAME`, then `sovereign sync run NAME` and its verdict."


class BadFixtures(SovereignError):
    """A fixtures folder cannot be read."""

    code = "authoring.fixtures"
    kind = "usage"
    fr = "Fixtures illisibles, « {place} » : attendu {expected_fr}."
    en = "Fixtures that cannot be read, `{place}`: expected {expected_en}."
    todo_fr = "Enregistrez-les à nouveau avec « sovereign connector dry-run »."
    todo_en = "Record them again with `sovereign connector dry-run`."


class Unscrubbed(SovereignError):
    """Something cannot be scrubbed safely."""

    code = "authoring.unscrubbed"
    fr = "Impossible de nettoyer sans risque {place} : {why_fr}. Rien n'a été enregistré."
    en = "{place} cannot be scrubbed safely: {why_en}. Nothing was recorded."
    todo_fr = "Réduisez l'essai (--stream, --pages) pour l'éviter, ou écrivez cette fixture à la main."
    todo_en = "Narrow the dry run (--stream, --pages) to avoid it, or write that fixture by hand."


class Diverged(SovereignError):
    """The scrubbed answers do not replay as the real ones."""

    code = "authoring.diverged"
    fr = "Une fois nettoyées, les réponses ne se relisent plus comme les vraies, à {place} : {why_fr}. Rien n'a été enregistré."
    en = "Once scrubbed, the answers no longer read as the real ones, at {place}: {why_en}. Nothing was recorded."
    todo_fr = "Classez « internal » le champ dont la lecture dépend (curseur, fenêtre), s'il ne dit rien de personne."
    todo_en = "Class as `internal` the field that the read hangs on (cursor, window), if it says nothing of anyone."
