"""Faults of the gateway's own rooms; each room adds its own below `SovereignError`.

Fault (vault.errors)
└── SovereignError
    ├── NoSite          the folder is not a site
    ├── SiteExists      a new site needs an absent or empty folder
    ├── NoMaster        a new site whose master key cannot be made there
    ├── BadSettings     sovereign.toml: names the field and what was expected
    ├── Locked          another process holds what is needed
    └── …               each room's errors, beside the room
"""

from vault.errors import Fault


class SovereignError(Fault):
    """A fault of the gateway."""

    code = "sovereign"


class NoSite(SovereignError):
    """The folder is not a site."""

    code = "site.none"
    kind = "no_site"
    fr = "{path} n'est pas un site Sovereign."
    en = "{path} is not a Sovereign site."
    todo_fr = "Créez-en un avec « sovereign init DOSSIER », ou désignez-le par --site."
    todo_en = "Make one with `sovereign init DIR`, or name it with --site."


class SiteExists(SovereignError):
    """The folder is already a site, or holds something else."""

    code = "site.exists"
    kind = "usage"
    fr = "{path} n'est pas vide."
    en = "{path} is not empty."
    todo_fr = "Choisissez un dossier absent ou vide."
    todo_en = "Choose a folder that is absent or empty."


class NoMaster(SovereignError):
    """The master key of a new site cannot be made where it was asked."""

    code = "site.no_master"
    kind = "sealed"
    fr = "La clé maîtresse ne peut pas être faite dans {uri} : {reason_fr}."
    en = "The master key cannot be made in {uri}: {reason_en}."
    todo_fr = "Rien n'a été écrit. Choisissez un autre endroit avec --keys, par exemple --keys file:keys/master.json."
    todo_en = "Nothing was written. Choose another place with --keys, for instance --keys file:keys/master.json."


class BadSettings(SovereignError):
    """A setting is missing or wrong."""

    code = "settings"
    kind = "usage"
    fr = "sovereign.toml, « {field} » : {expected_fr}."
    en = "sovereign.toml, `{field}`: {expected_en}."
    todo_fr = "Corrigez cette ligne ; rien n'a été changé."
    todo_en = "Correct this line; nothing was changed."


class Locked(SovereignError):
    """Another process holds what is needed."""

    code = "locked"
    kind = "locked"
    fr = "{what} est déjà utilisé par un autre processus."
    en = "{what} is already in use by another process."
    todo_fr = "Attendez qu'il finisse, ou arrêtez-le."
    todo_en = "Wait until it is done, or stop it."
