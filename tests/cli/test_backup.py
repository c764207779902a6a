"""`backup` and `restore`, typed: what each says, in two languages and in JSON, and what each refuses."""

import hashlib
import json
import shutil
import socket
from pathlib import Path

import pytest

from tests.cli.conftest import Run, Said

TARGETS = """
[backup]
keys = "../apart"

[backup.targets.nas]
folder = "../nas"
"""
ASKED = "SELECT count(*) AS n, min(maire) AS one FROM geo.communes"


@pytest.fixture
def saved(run: Run, pulled: Path, tmp_path: Path) -> Path:
    """A site with a target and a recovery kit, backed up once."""
    with (pulled / "sovereign.toml").open("a") as settings:
        settings.write(TARGETS)
    assert run("keys", "export-recovery", "--threshold", "2", "--shares", "3", "--output", str(tmp_path / "shares")).code == 0
    assert run("backup", "create").code == 0
    return pulled


def answer(run: Run, site: Path) -> object:
    said = run("--site", str(site), "query", ASKED, "--clearance", "personal", "--json")
    assert said.code == 0, said.err
    return said.of("row")


def restored(run: Run, tmp_path: Path, *more: str, into: str = "again") -> Said:
    return run("restore", str(tmp_path / "nas"), str(tmp_path / into), "--keys", str(tmp_path / "apart"), *more)


def test_four_commands_save_a_site_and_bring_it_back(run: Run, saved: Path, tmp_path: Path) -> None:
    before = answer(run, saved)
    said = run("backup", "create", "nas", "--json")
    (made,) = said.of("backup.created")
    listed = run("backup", "list", "--json").of("backup")
    assert [each["id"] for each in listed] == [made["parent"], made["id"]]
    assert made["objects"] < made["files"] / 2, "only what changed is copied"
    for more in ((), ("--read-all",), ("--backup", made["parent"])):
        said = run("backup", "verify", "nas", "--json", *more)
        assert (said.code, said.of("verdict")[0]["ok"]) == (0, True)
    shutil.rmtree(saved)
    said = restored(run, tmp_path, "--read-all", "--json")
    assert said.code == 0, said.err
    (told,) = said.of("restored")
    assert (told["id"], told["path"], told["files"]) == (made["id"], str(tmp_path / "again"), made["files"])
    assert (told["entries"], len(told["root"]), told["unknown"], told["held"]) == (made["entries"], 64, 0, 0)
    assert [(each["dataset"], each["rows"], each["erased"]) for each in said.of("dataset")] == [("geo/communes", 250, 0)]
    again = tmp_path / "again"
    assert answer(run, again) == before
    assert run("--site", str(again), "fsck").code == 0
    acts = [each["act"] for each in run("--site", str(again), "audit", "show", "--json").of("entry")]
    assert {"backup.created", "site.restored"} <= set(acts)


def test_a_person_reads_it_in_french_and_in_english(
    run: Run, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {
        "en": ("Backup ", "backup", "every byte read again", "Site restored in", "must never run again"),
        "fr": ("Sauvegarde ", "sauvegarde", "chaque octet relu", "Site restauré dans", "ne doit plus jamais tourner"),
    }
    for language, (created, listed, read, back, never) in words.items():
        monkeypatch.setenv("SOVEREIGN_LANG", language)
        assert created in run("backup", "create").out
        assert listed in run("backup", "list").out.splitlines()[0]
        assert read in run("backup", "verify", "--read-all").out
        said = restored(run, tmp_path, into=language)
        assert said.code == 0
        assert back in said.out
        assert never in said.out + said.err
        assert "geo.communes" in said.out


def test_without_a_recovery_kit_or_a_place_for_keys_nothing_is_copied(run: Run, pulled: Path, tmp_path: Path) -> None:
    nas, keys = str(tmp_path / "nas"), str(tmp_path / "apart")
    for line, code, why in (
        (("nas-that-is-none",), 2, "backup.no_target"),
        ((), 2, "backup.no_target"),
        ((nas,), 2, "backup.no_keys"),
        ((nas, "--keys-to", f"{nas}/keys"), 2, "backup.keys_within"),
        ((nas, "--keys-to", str(pulled / "copies")), 2, "backup.keys_within"),
        ((nas, "--keys-to", keys), 12, "backup.not_recoverable"),
    ):
        said = run("backup", "create", *line, "--json")
        assert (said.code, said.errors[0]["code"]) == (code, why)
    assert not Path(nas).exists()
    assert not Path(keys).exists()


def test_a_folder_that_holds_something_and_keys_that_are_others_are_refused(run: Run, saved: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    said = restored(run, tmp_path, "--json", into="mine")
    assert (said.code, said.errors[0]["code"]) == (2, "restore.not_empty")
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    said = restored(run, tmp_path, "--json", into=saved.name)
    assert (said.code, said.errors[0]["code"]) == (2, "restore.not_empty")
    assert answer(run, saved)

    (tmp_path / "empty").mkdir()
    nas = str(tmp_path / "nas")
    said = run("restore", nas, str(tmp_path / "again"), "--keys", str(tmp_path / "empty"), "--json")
    assert (said.code, said.errors[0]["code"]) == (12, "backup.keys_missing")
    said = restored(run, tmp_path, "--backup", "20200101-000000000-00000000", "--json", into="none")
    assert (said.code, said.errors[0]["code"]) == (2, "backup.none")
    said = run("restore", str(tmp_path / "nowhere"), str(tmp_path / "none"), "--keys", str(tmp_path / "apart"), "--json")
    assert (said.code, said.errors[0]["code"]) == (2, "backup.none")
    assert not (tmp_path / "none").exists()
    assert restored(run, tmp_path).code == 0, "a refusal spoils nothing: the same folder is taken once the keys are right"


def test_keys_of_another_site_open_nothing(run: Run, saved: Path, tmp_path: Path) -> None:
    (id_,) = [each["id"] for each in run("backup", "list", "--json").of("backup")]
    assert run("init", str(tmp_path / "other"), "--keys", "systemd-cred:city").code == 0
    shutil.copytree(tmp_path / "other" / "keys", tmp_path / "others" / id_)
    said = run(
        "restore", str(tmp_path / "nas"), str(tmp_path / "again"), "--keys", str(tmp_path / "others"), "--json"
    )  # fmt: skip
    assert (said.code, said.errors[0]["code"]) == (20, "backup.forged")
    assert run("--site", str(tmp_path / "again"), "query", "SELECT 1").code == 10


def test_a_passphrase_opens_the_restore_on_another_machine_and_no_other_does(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "right").write_text("the right passphrase\n")
    (tmp_path / "wrong").write_text("the wrong passphrase\n")
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(tmp_path / "right"))
    site = str(tmp_path / "town")
    assert run("init", site).code == 0
    assert run("--site", site, "keys", "export-recovery", "--output", str(tmp_path / "shares")).code == 0
    said = run("--site", site, "backup", "create", str(tmp_path / "nas"), "--keys-to", str(tmp_path / "apart"))
    assert said.code == 0, said.err
    shutil.rmtree(site)
    monkeypatch.setattr(socket, "gethostname", lambda: "another-machine")
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(tmp_path / "wrong"))
    said = restored(run, tmp_path, "--json")
    assert (said.code, said.errors[0]["code"]) == (12, "vault.wrong_passphrase")
    assert "passphrase\n" not in said.err
    assert not (tmp_path / "again" / "sovereign.toml").exists()
    monkeypatch.delenv("SOVEREIGN_PASSPHRASE_FILE")
    said = restored(run, tmp_path, "--json")
    assert (said.code, said.errors[0]["code"]) == (12, "passphrase.none")
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(tmp_path / "right"))
    assert restored(run, tmp_path).code == 0
    assert run("--site", str(tmp_path / "again"), "keys", "check").code == 0


def test_shares_of_the_recovery_kit_restore_a_site_whose_master_is_lost(
    run: Run, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answer(run, saved)
    shutil.rmtree(saved)
    shutil.rmtree(tmp_path / "credentials")
    shares = sorted((tmp_path / "shares").iterdir())
    (tmp_path / "passphrase").write_text("a new beginning\n")
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    assert restored(run, tmp_path).code == 12, "the master is lost"
    new = ("--provider", "file:keys/master.json", "--json")
    said = restored(run, tmp_path, "--share", str(shares[0]), *new)
    assert said.code not in (0, 20)
    assert not (tmp_path / "again" / "sovereign.toml").exists()
    assert not list((tmp_path / "again").rglob("master.json")), "too few shares make no new master"
    said = restored(run, tmp_path, "--share", str(shares[0]), "--share", str(shares[2]), *new)
    assert said.code == 0, said.err
    assert shares[0].read_text().strip()[:40] not in said.out + said.err
    again = tmp_path / "again"
    assert 'provider = "file:keys/master.json"' in (again / "sovereign.toml").read_text()
    assert answer(run, again) == before
    assert run("--site", str(again), "keys", "check").code == 0
    acts = {each["act"] for each in run("--site", str(again), "audit", "show", "--json").of("entry")}
    assert {"recovery.restored", "site.restored"} <= acts


def test_what_is_damaged_is_named_by_verify_and_by_restore(run: Run, saved: Path, tmp_path: Path) -> None:
    objects = sorted(
        (each for each in (tmp_path / "nas" / "data").rglob("*") if each.is_file()), key=lambda p: p.stat().st_size
    )
    victim = objects[-1]
    data = bytearray(victim.read_bytes())
    data[7] ^= 1
    victim.write_bytes(data)
    assert run("backup", "verify").code == 0, "lengths alone do not show it"
    said = run("backup", "verify", "--read-all", "--json")
    (found,) = said.of("finding")
    assert (said.code, found["code"], victim.name[:16] in found["what"]) == (20, "backup.altered", True)
    said = restored(run, tmp_path, "--json")
    assert (said.code, said.errors[0]["code"], said.errors[0]["object"]) == (20, "backup.altered", victim.name[:16])
    assert run("--site", str(tmp_path / "again"), "query", "SELECT 1").code == 10
    assert run("backup", "list").code == 0
    (record,) = (tmp_path / "nas" / "backups").iterdir()
    record.write_bytes(record.read_bytes()[:-40])
    said = run("backup", "list", "--json")
    assert (said.code, said.errors[0]["code"]) == (3, "backup.forged")
    assert run("backup", "verify").code == 20
    assert restored(run, tmp_path, into="none").code == 20


def test_a_restore_from_an_object_store_asks_for_what_opens_it_and_names_it_when_it_does_not_answer(
    run: Run, saved: Path, tmp_path: Path
) -> None:
    (tmp_path / "apart-secret").write_text("never-to-be-said\n")
    line = ("restore", "s3://city/town", str(tmp_path / "again"), "--keys", str(tmp_path / "apart"), "--json")
    assert run(*line).code == 2
    opened = ("--endpoint", "http://127.0.0.1:9", "--access-key", "k", "--secret-file", str(tmp_path / "apart-secret"))
    said = run(*line, *opened)
    assert (said.code, said.errors[0]["code"], said.errors[0]["target"]) == (1, "backup.target", "s3://city/town")
    assert "never-to-be-said" not in said.out + said.err


def test_doctor_tells_where_backups_go_and_how_old_the_last_one_is(
    run: Run, pulled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> list[tuple[str, str]]:
        checks = run("doctor", "--json").of("check")
        return [(each["state"], each["what"]) for each in checks if "backup" in each["what"] or "nas" in each["what"]]

    assert told() == []
    with (pulled / "sovereign.toml").open("a") as settings:
        settings.write(
            TARGETS + '\n[backup.targets.cloud]\nbucket = "city"\nprefix = "town/"\nurl = "https://s3.town.example"\n'
            'access_key = "town"\nsecret = "cloud"\n'
        )
    states = [state for state, _ in told()]
    said = " ".join(what for _, what in told())
    assert states.count("error") == 1
    assert "sovereign secret set backup --name cloud" in said
    assert "never backed up" in said
    assert "https://s3.town.example (city/town/)" in said
    (tmp_path / "secret").write_text("never-to-be-said\n")
    assert run("secret", "set", "backup", "--name", "cloud", "--file", str(tmp_path / "secret")).code == 0
    assert ["backup", "cloud"] in [line.split() for line in run("secret", "list").out.splitlines()]
    assert run("keys", "export-recovery", "--output", str(tmp_path / "shares")).code == 0
    assert run("backup", "create", "nas").code == 0
    assert {state for state, _ in told()} == {"info"}
    assert restored(run, tmp_path).code == 0
    monkeypatch.setenv("SOVEREIGN_SITE", str(tmp_path / "again"))
    assert any(
        "one gateway alone" in what for _, what in [(c["state"], c["what"]) for c in run("doctor", "--json").of("check")]
    )
    assert run("secret", "remove", "backup", "cloud").code == 0
    assert "never-to-be-said" not in json.dumps(run("doctor", "--json").records)


def test_pruning_shows_what_each_rule_keeps_and_then_does_it(
    run: Run, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = run("backup", "prune", "--json")
    assert (said.code, said.errors[0]["code"]) == (2, "backup.no_policy")
    assert run("backup", "create").code == 0
    former, newest = [each["id"] for each in run("backup", "list", "--json").of("backup")]
    with (saved / "sovereign.toml").open("a") as settings:
        settings.write("[backup.keep]\nlast = 1\nweekly = 1\n")
    said = run("backup", "prune", "--dry-run", "--json")
    assert [(each["id"], each["state"], each["why"]) for each in said.of("backup")] == [
        (newest, "kept", ["last", "weekly"]),
        (former, "removed", []),
    ]
    (done,) = said.of("backup.pruned")
    assert (said.code, done["kept"], done["removed"], done["dry_run"]) == (0, 1, 1, True)
    for language, told in {"fr": "rien n'a été fait", "en": "nothing was done"}.items():
        monkeypatch.setenv("SOVEREIGN_LANG", language)
        assert told in run("backup", "prune", "--dry-run").out
    assert run("backup", "prune", "--keep-daily", "0", "--json").code == 2, "a rule that keeps none is none"
    assert len(list((tmp_path / "apart").iterdir())) == 2
    assert run("backup", "prune", "--json").of("backup.pruned")[0]["bytes"] == done["bytes"] > 0
    assert [each["id"] for each in run("backup", "list", "--json").of("backup")] == [newest]
    assert [each.name for each in (tmp_path / "apart").iterdir()] == [newest]
    assert run("backup", "verify", "--read-all").code == 0
    assert restored(run, tmp_path).code == 0


def test_a_place_that_lost_the_latest_backup_does_not_pass_an_older_one_off_as_the_latest(
    run: Run, saved: Path, tmp_path: Path
) -> None:
    (made,) = run("backup", "create", "--json").of("backup.created")
    (tmp_path / "nas" / "backups" / f"{made['id']}.backup").unlink()
    said = restored(run, tmp_path, "--json")
    (told,) = said.of("restored")
    assert (said.code, told["id"], told["unlisted"]) == (0, made["parent"], [made["id"]])
    said = restored(run, tmp_path, into="read")
    assert f"a later backup, {made['id']}, which this place does not have" in said.err
    (again,) = run("backup", "create", "--json").of("backup.created")
    (told,) = restored(run, tmp_path, "--json", into="latest").of("restored")
    assert (told["id"], told["unlisted"]) == (again["id"], [])
    (told,) = restored(run, tmp_path, "--backup", made["parent"], "--json", into="chosen").of("restored")
    assert told["unlisted"] == [made["id"]], "one that is listed is a choice, one that is not is a loss"


def test_a_disk_that_is_not_mounted_is_not_taken_for_an_empty_place(run: Run, saved: Path, tmp_path: Path) -> None:
    for place in ("nas", "apart"):
        (tmp_path / place).rename(tmp_path / f"{place}.away")
        (tmp_path / place).mkdir()
        said = run("backup", "create", "--json")
        assert (said.code, said.errors[0]["code"]) == (1, "backup.emptied")
        assert place in said.errors[0]["what"]
        assert not list((tmp_path / place).iterdir()), "nothing is written under the place where the disk should be"
        (tmp_path / place).rmdir()
        (tmp_path / f"{place}.away").rename(tmp_path / place)
        assert run("backup", "create").code == 0
    shutil.rmtree(tmp_path / "nas")
    assert run("backup", "create").code == 1
    assert run("backup", "create", "--anew").code == 0
    assert run("backup", "create").code == 0
    assert saved.is_dir()


def test_what_rots_at_the_target_is_put_again_while_the_site_has_it(run: Run, saved: Path, tmp_path: Path) -> None:
    (part,) = (each for each in (saved / "snapshots" / "geo" / "communes" / "parts").iterdir() if ".internal." in each.name)
    name = hashlib.sha256(part.read_bytes()).hexdigest()
    rotten = tmp_path / "nas" / "data" / name[:2] / name
    rotten.write_bytes(b"\x00" * rotten.stat().st_size)
    assert run("backup", "create").code == 0
    assert run("backup", "verify", "--read-all").code == 20, "by its length, it is there"
    (made,) = run("backup", "create", "--read-all", "--json").of("backup.created")
    for backup in (made["id"], made["parent"]):
        assert run("backup", "verify", "--backup", backup, "--read-all").code == 0
    (later,) = run("backup", "create", "--read-all", "--json").of("backup.created")
    assert later["objects"] < made["files"] / 2, "what is sound is not copied again"
