"""Documents asked for by a person: listed, or one opened, under the keys of one clearance and nothing else.

1. A document is given only when a record of the snapshot that is read names it, in a field that the clearance sees today. An
   address alone gives nothing, but that it was destroyed, to whoever may read documents of its class in that stream.
2. Each opening is entered before the first byte is given: which document, of which stream, at which clearance; a refusal is
   entered too. No name of a file is.
3. What can no longer be given is told by why: destroyed after its time (and when), its keys destroyed, or missing.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

from snapshots import document_keeping, reclassed
from snapshots.dataset import DatasetId, visible
from snapshots.documents import Documents, classes_of
from snapshots.manifest import Manifest
from sovereign.errors import SovereignError
from vault.errors import Corrupt

if TYPE_CHECKING:
    from sovereign.parts import Parts

_ADDRESS: Final = re.compile(r"d[0-9a-f]{32}")
State = Literal["held", "destroyed", "sealed", "missing"]


class DocumentError(SovereignError):
    """A document that is not given."""

    code = "document"


class UnknownDocument(DocumentError):
    """No record of the snapshot names it."""

    code = "document.unknown"
    kind = "usage"
    fr = "Aucun enregistrement de {dataset}, instantané {sequence}, ne nomme le document {document}."
    en = "No record of {dataset}, snapshot {sequence}, names document {document}."
    todo_fr = "« sovereign document list » montre ceux d'aujourd'hui ; --as-of lit un instantané d'avant."
    todo_en = "`sovereign document list` shows those of today; --as-of reads an earlier snapshot."


class DocumentDenied(DocumentError):
    """The clearance does not reach it."""

    code = "document.denied"
    kind = "denied"
    fr = "L'habilitation {clearance} n'ouvre pas ce document de {dataset} ; il en est de classe plus haute : {above}."
    en = "Clearance {clearance} does not open this document of {dataset}; there are some of a higher class: {above}."
    todo_fr = "Demandez-le sous l'habilitation qui convient : --clearance. L'acte est inscrit au journal."
    todo_en = "Ask under the clearance that is needed: --clearance. The act is entered in the audit log."


class DocumentDestroyed(DocumentError):
    """Its time had passed."""

    code = "document.destroyed"
    fr = "Le document {document} a été détruit le {destroyed} : sa durée de conservation était passée."
    en = "Document {document} was destroyed on {destroyed}: its time had passed."
    todo_fr = "Cette durée se règle par documents_days dans sovereign.toml ; le journal d'audit garde l'acte."
    todo_en = "That time is set by documents_days in sovereign.toml; the audit log keeps the act."


class DocumentMissing(DocumentError, Corrupt):
    """A record names it and no pack holds it."""

    code = "document.missing"
    kind = "unverified"
    fr = "Le document {document}, que {dataset} nomme, n'est plus dans ce site."
    en = "Document {document}, which {dataset} names, is no longer on this site."
    todo_fr = "« snapshot verify » dit ce qui manque ; restaurez-le d'une sauvegarde, ou relancez « sync run --full »."
    todo_en = "`snapshot verify` says what is missing; restore it from a backup, or run `sync run --full`."


@dataclass(frozen=True, slots=True)
class Listed:
    """A document that records of a stream name: its size in bytes and kind, None when it is not held; how many name it."""

    dataset: DatasetId
    document: str
    state: State
    size: int | None
    media_type: str | None
    records: int
    destroyed: str = ""


def listed(site: "Parts", manifest: Manifest, clearance: str) -> Iterator[Listed]:
    """Give the documents that the records of a snapshot name, as far as a clearance sees; none when the stream has none."""
    store, names = _seen(site, manifest, clearance)
    counts = Counter(_named(site, manifest, names, clearance))
    gone = _gone(store)
    sealed = any(shelf.shredded for shelf in store.shelves()) and not any(shelf.damaged for shelf in store.shelves())
    for address, records in sorted(counts.items()):
        found = store.find(address)
        if found is not None:
            yield Listed(manifest.id, address, "held", found[1].size, found[1].media_type, records)
        elif address in gone:
            yield Listed(manifest.id, address, "destroyed", None, None, records, gone[address])
        else:
            yield Listed(manifest.id, address, "sealed" if sealed else "missing", None, None, records)


def opened(site: "Parts", manifest: Manifest, document: str, clearance: str) -> bytes:
    """Open a document that a record of a snapshot names; the entry is written first.

    Errors: UnknownDocument, DocumentDenied, DocumentDestroyed, DocumentMissing, Shredded; those of reading rows and packs.
    """
    dataset = manifest.id
    subject = {"connection": dataset.connection, "stream": dataset.stream}
    named = document if _ADDRESS.fullmatch(document) else "?"  # what a person typed instead may be anything
    facts: dict[str, object] = {"document": named, "sequence": manifest.sequence, "clearance": clearance}
    store, names = _seen(site, manifest, clearance)
    found, gone = store.find(document), _gone(store)
    if found is None and names and document in gone:
        site.audit.append("document.refused", subject, facts)
        raise DocumentDestroyed(document=document, destroyed=_day(gone[document]))
    if document not in set(_named(site, manifest, names, clearance)):
        if not names:
            _tell_shut(store)
        above = [] if names else _above(site, manifest, store, clearance)
        if above:
            site.audit.append("document.refused", subject, facts)
            raise DocumentDenied(clearance=clearance, dataset=_dotted(dataset), above=", ".join(above))
        site.audit.append("document.refused", subject, facts)
        raise UnknownDocument(dataset=_dotted(dataset), sequence=manifest.sequence, document=document)
    if found is None:
        _tell_shut(store)
        raise DocumentMissing(document=document, dataset=_dotted(dataset), what=document)
    site.audit.append("document.opened", subject, facts | {"bytes": found[1].size})
    content = store.read(document)
    if content is None:
        raise DocumentMissing(document=document, dataset=_dotted(dataset), what=document)
    return content


def _seen(site: "Parts", manifest: Manifest, clearance: str) -> tuple[Documents, list[str]]:
    """Give the store as a clearance opens it, and the fields of the stream that name documents and that it sees today."""
    store = Documents(site.repository, manifest.id.connection, visible(clearance))
    fields = {name for shelf in store.shelves() for name in shelf.fields.get(manifest.id.stream, ())}
    return store, sorted(fields - reclassed.withheld(site.repository, manifest, clearance))


def _named(site: "Parts", manifest: Manifest, names: list[str], clearance: str) -> Iterator[str]:
    """Give the addresses that records name, once a record; raises Shredded when none is seen and keys of a class are gone."""
    if not names:
        return
    readable = site.repository.readable(manifest)
    classes = [each for each in visible(clearance) if each in readable]
    some = False
    for address in document_keeping.naming(site.repository, manifest, names, classes):
        some = True
        yield address
    if not some and len(classes) < len(visible(clearance)):
        site.repository.shape(manifest, visible(clearance))


def _tell_shut(store: Documents) -> None:
    """Say which packs do not open, when what is asked for may lie in one."""
    for shelf in store.shelves():
        for fault in [*shelf.shredded.values(), *shelf.damaged.values()]:
            raise fault


def _above(site: "Parts", manifest: Manifest, store: Documents, clearance: str) -> list[str]:
    """Give the classes above a clearance of which there are documents, or to which fields of this stream rose."""
    above = [each for each in classes_of(site.repository, manifest.id.connection) if each not in visible(clearance)]
    if above:
        return above
    fields = {name for shelf in store.shelves() for name in shelf.fields.get(manifest.id.stream, ())}
    hidden = fields & reclassed.withheld(site.repository, manifest, clearance)
    declared = site.repository.declared(manifest.id)
    return sorted({declared.get(name, "personal") for name in hidden})


def _gone(store: Documents) -> dict[str, str]:
    return {address: when for shelf in store.shelves() for address, when in shelf.gone.items()}


def _day(when: str) -> str:
    return datetime.fromisoformat(when).date().isoformat() if when else "?"


def _dotted(dataset: DatasetId) -> str:
    return f"{dataset.connection}.{dataset.stream}"
