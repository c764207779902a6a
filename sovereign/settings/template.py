"""The `sovereign.toml` that `sovereign init` writes: short, commented in French and in English."""

import json

_TEXT = """\
# Sovereign : ce que ce site copie, d'où et quand.
# Sovereign: what this site copies, from where and when.
# Aucun secret ici : « sovereign secret set » les scelle dans keys/.
# No secret in here: `sovereign secret set` seals them in keys/.

[site]
name = {name}
language = "{language}"          # fr | en
zone = "Europe/Paris"    # pour les horaires / for schedules

[keys]
provider = {provider}   # où vit la clé maîtresse / where the master key lives
period = "year"          # une clé par an (ou month) / one key a year (or month)

[limits]
memory = "512 MiB"       # par requête / per query
threads = 2
query_seconds = 60

# La porte des applications. / The door of applications.
#
# [gateway]
# listen = "127.0.0.1:8460"
# hosts = ["passerelle.ville.fr"]                 # noms acceptés / accepted names
# certificate = "tls/cert.pem"
# key = "tls/key.pem"

# Le journal d'audit, horodaté chaque jour (RFC 3161) et suivi par votre SIEM (syslog, TLS).
# The audit log, time-stamped every day (RFC 3161) and followed by your SIEM (syslog, TLS).
#
# [audit.timestamps]
# url = "https://tsa.exemple.fr"
# authority = "tsa.pem"                           # ses certificats / its certificates
#
# [audit.export]
# host = "siem.ville.fr"
# ca_bundle = "siem-ca.pem"
#
# Un témoin du journal d'audit : « sovereign witness init » ailleurs donne sa clé.
# A witness of the audit log: `sovereign witness init` elsewhere gives its key.
#
# [audit.witnesses.archives]
# url = "https://temoin.ville.fr"
# key = "temoin.ville.fr+38449603+BDrdgYoITqpCDvaaGiNTyWWoWbZgHBnACB0bXnKzqSML"

# Une source, en quelques lignes. / A source, in a few lines.
#
# [connections.arbres]
# connector = "rest"                              # rest | decp | ogc-features | …
# url = "https://api.exemple.fr/v1/arbres"        # https: (ou/or folder:DOSSIER)
# secret = "arbres"                               # nom du secret / name of the secret
# auth = {{ kind = "bearer" }}
# schedule = "every day at 03:30"                 # ou/or every = "15 minutes"
# network = {{ proxy = "http://proxy.ville.fr:3128", ca_bundle = "ca.pem" }}
# limits = {{ rate = 5, concurrency = 4 }}          # requêtes/s, simultanées / requests/s, at once
# guards = {{ max_fall = 0.5, max_deletions = 0.3 }} # au-delà : quarantaine / beyond: quarantine
"""


def template(name: str, provider: str, language: str = "fr") -> str:
    """The text of a new site's settings.

    name: what the site is called; provider: the key provider's address; language: `fr` or `en`.
    """
    # A JSON string without escaped astral characters is a TOML basic string (TOML 1.0, "String").
    return _TEXT.format(
        name=json.dumps(name, ensure_ascii=False), provider=json.dumps(provider, ensure_ascii=False), language=language
    )
