"""Whoever holds everything here, the signing key too, cannot change what a witness saw: it refuses, and verifying says so."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import delete, update

from sovereign.audit import AuditLog, Damaged
from sovereign.state import State
from sovereign.state.schema import (
    audit_bodies,
    audit_checkpoints,
    audit_entries,
    audit_tiles,
    audit_witnesses,
    counters,
)
from tests.servers.city import City, new_city
from tests.servers.witness import init, serving
from vault.cosignatures import Cosignatory

SEEN = 300
"""Entries that the witness saw."""


@dataclass
class Robbed:
    """A site whose witness saw all of its log; and what someone kept of it: the published folder of that day."""

    city: City
    witness: Cosignatory
    folder: Path
    kept: Path


@pytest.fixture(scope="module")
def robbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robbed]:
    root = tmp_path_factory.mktemp("robbed")
    with pytest.MonkeyPatch.context() as patch, new_city(root, patch) as city:
        log = city.site.audit
        witness = init(root / "witness", log.checkpoints.verifier)
        with serving(root / "witness") as (place, _):
            city.witness("archives", place, witness)
            city.enter(SEEN - 1)
            city.site.audit.publication.publish()
            assert city.site.witnesses.ask_all() == ()
            assert city.seen() == [SEEN]
            city.close()
            shutil.copytree(city.root / "audit", root / "kept")
            shutil.copytree(city.root, root / "honest")
            yield Robbed(city, witness, root / "witness", root / "kept")


@pytest.fixture(autouse=True)
def _restored(robbed: Robbed) -> None:
    """Each theft begins from the honest site."""
    robbed.city.close()
    shutil.rmtree(robbed.city.root)
    shutil.copytree(robbed.kept.parent / "honest", robbed.city.root)


def forge(city: City, kept: int, more: list[str], *, forget: bool) -> None:
    """Keep the first entries, enter others, and sign it all anew, leaving nothing here that disagrees.

    forget: whether what the witness had cosigned is taken away too.
    """
    keys, clock = city.site.keys, city.clock
    city.close()
    with State(city.root / "state.db") as state:
        with state.begin() as connection:
            for table in (audit_bodies, audit_entries):
                connection.execute(delete(table).where(table.c.seq >= kept))
            for table in (audit_tiles, audit_checkpoints, *([audit_witnesses] if forget else [])):
                connection.execute(delete(table))
            connection.execute(update(counters).where(counters.c.name == "audit").values(value=kept))
        shutil.rmtree(city.root / "audit")
        log = AuditLog(state, keys, clock)  # the thief's: all keys, all code
        for each in more:
            log.append("query.ran", {}, {"what": each})
        log.publication.publish()
        assert log.verify() == kept + len(more), "everything here agrees with everything else"
        log.close()


def swapped(count: int) -> list[str]:
    return [f"entry {number}" for number in reversed(range(count))]


FORGERIES: dict[str, tuple[int, list[str], str]] = {
    "rewritten and longer": (100, [f"another {number}" for number in range(250)], "rewritten"),
    "rewritten at the same size": (100, [f"another {number}" for number in range(SEEN - 100)], "fork"),
    "reordered": (1, swapped(SEEN + 20), "rewritten"),
    "truncated": (SEEN - 1, [], "shorter"),
    "truncated to little": (1, [], "shorter"),
    "forked at the end": (SEEN - 1, ["another end"], "fork"),
    "forked, then gone on": (SEEN - 1, ["another end", "and more"], "rewritten"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forgery_with_the_stolen_key_is_refused_by_the_witness_and_told(robbed: Robbed, forgery: str) -> None:
    kept, more, how = FORGERIES[forgery]
    city = robbed.city
    shutil.rmtree(robbed.folder / "refused", ignore_errors=True)
    forge(city, kept, more, forget=True)
    code, _, said = city.run("audit", "verify")
    assert (code, "audit.contradicted" in said, f'"how":"{how}"' in said) == (20, True, True)
    assert city.seen() == [0], "not one cosignature"
    refused = [each.read_text() for each in (robbed.folder / "refused").glob("*")]
    assert bool(refused) == (how != "shorter"), "what the stolen key signed is evidence"

    # From files and public keys alone: nothing is cosigned; or what someone kept is contradicted.
    alone = ("audit", "verify", "--folder", str(city.root / "audit"), "--key", city.site.audit.checkpoints.verifier.vkey)
    code, _, said = city.run(*alone, "--witness", robbed.witness.vkey)
    assert (code, "audit.unwitnessed" in said) == (20, True)
    code, _, said = city.run(*alone, "--witness", robbed.witness.vkey, "--earlier", str(robbed.kept / "checkpoint"))
    assert (code, "audit.contradicted" in said) == (20, True)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_cosignature_left_behind_betrays_the_forgery_without_the_network(robbed: Robbed, forgery: str) -> None:
    kept, more, _ = FORGERIES[forgery]
    city, name = robbed.city, robbed.witness.key_id.hex()
    forge(city, kept, more, forget=False)
    code, _, said = city.run("audit", "verify", "--offline")
    assert (code, "audit.contradicted" in said) == (20, True), "what state.db kept of the witness"
    city.close()
    (city.root / "audit" / "witnessed").mkdir(mode=0o700)
    shutil.copy(robbed.kept / "witnessed" / name, city.root / "audit" / "witnessed" / name)
    alone = ("audit", "verify", "--folder", str(city.root / "audit"), "--key", city.site.audit.checkpoints.verifier.vkey)
    code, _, said = city.run(*alone, "--witness", robbed.witness.vkey)
    assert (code, "audit.contradicted" in said) == (20, True), "what the folder kept of it"
    assert city.run(*alone)[0] == 20, "the log's own signature is enough to see it"


def test_what_no_witness_saw_can_still_be_changed(robbed: Robbed) -> None:
    """The limit that the threat model states, so that it is known when it moves."""
    city = robbed.city
    city.enter(5)
    city.close()
    forge(city, SEEN, ["another", "past"], forget=False)
    code, said, _ = city.run("audit", "verify", "--offline")
    (whole,) = [each for each in said if each["type"] == "audit"]
    assert (code, whole["witnessed"], whole["unwitnessed"]) == (0, SEEN, 2), "in the window, and the window is told"


def test_a_cosignature_moved_to_another_tree_is_seen(robbed: Robbed) -> None:
    city = robbed.city
    forge(city, 100, ["another past"], forget=True)
    path = city.root / "audit" / "checkpoint"
    line = next(each for each in (robbed.kept / "checkpoint").read_text().splitlines() if robbed.witness.name in each)
    path.write_text(path.read_text() + line + "\n")
    alone = ("--folder", str(city.root / "audit"), "--key", city.site.audit.checkpoints.verifier.vkey)
    code, _, said = city.run("audit", "verify", *alone, "--witness", robbed.witness.vkey)
    assert (code, Damaged.code in said) == (20, True)
