"""What `sovereign.toml` promises to whoever writes it."""

import json
import os
import re
import stat
import threading
from pathlib import Path

import duckdb
import msgspec
import pytest

from sovereign.connecting import KEYWORDS
from sovereign.egress import policy_of
from sovereign.errors import BadSettings, NoSite
from sovereign.settings import (
    AuditSettings,
    Connection,
    Export,
    Timestamps,
    Witness,
    add_connection,
    load,
    parse,
    remove_connection,
    template,
)
from sovereign.settings import schema as tables
from sovereign.settings.reference import reference
from sovereign.settings.tables import expectation
from vault import notes
from vault.cosignatures import Cosignatory

WITNESS_KEY = notes.Verifier("w.example", bytes(32)), Cosignatory("w.example", bytes(32))
WITNESS = f'[audit.witnesses.w1]\nurl = "https://w.example"\nkey = "{WITNESS_KEY[1].vkey}"\n'
NAS = '[backup.targets.nas]\nfolder = "../nas"\n[backup]\n'
ARBRES = '[connections.arbres]\nconnector = "rest"\nurl = "https://api.ville.fr"\n'
EXPORT = '[audit.export]\nhost = "siem"\nca_bundle = "ca.pem"\n'
SFTP = ARBRES.replace("https:", "sftp:")
STAMPS = '[audit.timestamps]\nurl = "https://tsa.ville.fr"\nauthority = "tsa.pem"\n'


def wrong(text: str) -> BadSettings:
    with pytest.raises(BadSettings) as fault:
        parse(text, Path("/site/sovereign.toml"))
    return fault.value


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("[sit]\n", "sit"), ('[site]\nnom = "x"', "site.nom"), ('[site]\nzone = "Mars/Olympus"', "site.zone"),
        ('[site]\nzone = "../etc"', "site.zone"),
        ('[site]\nlanguage = "de"', "site.language"), ("site = 3", "site"), ('[keys]\nperiod = "week"', "keys.period"),
        ('[keys]\nprovider = "nothing"', "keys.provider"), ("[limits]\nthreads = 0", "limits.threads"),
        ('[limits]\nmemory = "lots"', "limits.memory"),
        ("[limits]\nmemory = 0", "limits.memory"), ("[limits]\nmemory = true", "limits.memory"),
        ("[connections.Arbres]\n", "connections.Arbres"),
        ("connections = 1", "connections"), ('[connections.a]\nconnector = "rest"', "connections.a.url"),
        ('[connections.a]\nurl = "https://x"', "connections.a.connector"),
        (ARBRES + "limits = { rate = 0 }", "connections.arbres.limits.rate"),
        (ARBRES + "limits = { raet = 1 }", "connections.arbres.limits.raet"),
        (ARBRES + 'limits = { rate = "5" }', "connections.arbres.limits.rate"),
        (ARBRES + "guards = { max_fall = 2 }", "connections.arbres.guards.max_fall"),
        (ARBRES + 'network = { allow = "x" }', "connections.arbres.network.allow"),
        (ARBRES + 'every = "a"\nschedule = "b"', "connections.arbres.schedule"),
        (NAS + 'every = "1 day"\nschedule = "every day at 03:30"\nkeys = "k"', "backup.schedule"),
        (NAS + 'every = "1 day"', "backup.every"),
        ('[backup]\nschedule = "every day at 03:30"\nkeys = "k"', "backup.schedule"),
        ("[backup.keep]\ndaily = 0", "backup.keep"),
        ("[backup.keep]\nyearly = 1", "backup.keep.yearly"),
        (ARBRES + 'zone = "Paris"', "connections.arbres.zone"), (ARBRES + 'mode = "all"', "connections.arbres.mode"),
        (ARBRES + "name = 1", "connections.arbres.name"),
        (ARBRES + 'network = { proxy = "proxy:3128" }', "connections.arbres.network.proxy"),
        (ARBRES + 'network = { proxy = "http://u:p@proxy:3128" }', "connections.arbres.network.proxy"),
        (ARBRES + 'network = { client_key = "k.pem" }', "connections.arbres.network.client_certificate"),
        (ARBRES + 'treatment = { country = "France" }', "connections.arbres.treatment.country"),
        (ARBRES + "treatment = { persons = 3 }", "connections.arbres.treatment.persons"),
        (ARBRES + 'treatment = { purposes = "x" }', "connections.arbres.treatment.purposes"),
        (ARBRES.replace("https", "http"), "connections.arbres.url"), (ARBRES.replace("api.", "u:p@"), "connections.arbres.url"),
        (ARBRES.replace("https:", "ftp:"), "connections.arbres.url"), ("a =", "1"),
        (SFTP, "connections.arbres.network.host_key"),
        (SFTP + 'network = { host_key = "SHA256:x" }', "connections.arbres.network.host_key"),
        (ARBRES + f'network = {{ host_key = "SHA256:{"a" * 43}" }}', "connections.arbres.network.host_key"),
        (SFTP + f'network = {{ host_key = "SHA256:{"a" * 43}", proxy = "http://p:1" }}', "connections.arbres.network.proxy"),
        ("\n[a\n", "2:3"), ("[audit.timestamps]\n", "audit.timestamps.url"), ("[audit]\nx = 1", "audit.x"),
        (STAMPS.replace("https", "ftp"), "audit.timestamps.url"), (STAMPS.replace("https", "http"), "audit.timestamps.url"),
        (STAMPS + 'policy = "1.2.03"', "audit.timestamps.policy"), (STAMPS + "every_hours = 0", "audit.timestamps.every_hours"),
        (STAMPS + "network = { privat = true }", "audit.timestamps.network.privat"),
        ('[audit.export]\nhost = "siem"', "audit.export.ca_bundle"), (EXPORT + "port = 0", "audit.export.port"),
        (EXPORT + "facility = 24", "audit.export.facility"), (EXPORT + 'client_key = "k"', "audit.export.client_certificate"),
        (EXPORT.replace("siem", "si em"), "audit.export.host"),
        (STAMPS + 'network = { proxy_secret = "x" }', "audit.timestamps.network.proxy_secret"),
        (WITNESS + "clef = 1", "audit.witnesses.w1.clef"), ("[audit.witnesses.W1]", "audit.witnesses.W1"),
        ("audit = 1", "audit"), ("[audit]\nwitnesses = 1", "audit.witnesses"), ("[audit]\nwitness = 1", "audit.witness"),
        ('[audit.witnesses.w1]\nurl = "https://w"', "audit.witnesses.w1.key"),
        (WITNESS.replace("https", "http"), "audit.witnesses.w1.url"),
        (WITNESS.replace("https://", "https://u:p@"), "audit.witnesses.w1.url"),
        (WITNESS.replace("w.example\"", "w.example?a\"", 1), "audit.witnesses.w1.url"),
        (WITNESS.replace("https://w.example", "w.example"), "audit.witnesses.w1.url"),
        (WITNESS.replace("https://w.example", "folder:w"), "audit.witnesses.w1.url"),
        (WITNESS.replace(WITNESS_KEY[1].vkey, WITNESS_KEY[0].vkey), "audit.witnesses.w1.key"),
        (WITNESS + 'network = { proxy = "proxy:3128" }', "audit.witnesses.w1.network.proxy"),
        (WITNESS + "network = { ca_bundle = 3 }", "audit.witnesses.w1.network.ca_bundle"),
        (WITNESS + 'network = { allow = ["https://x"] }', "audit.witnesses.w1.network.allow"),
        (WITNESS + "[audit]\ncosignatures = 2", "audit.cosignatures"), ("[audit]\ncosignatures = 1", "audit.cosignatures"),
        (WITNESS + "[audit]\ncosignatures = 0", "audit.cosignatures"),
        (WITNESS + WITNESS.replace("w1", "w2").replace("//w", "//x"), "audit.witnesses.w2.key"),
        ('[events.rh]\nscheme = "plain"', "events.rh.types"), ('[events.rh]\ntypes = ["rh.*.x"]', "events.rh.types"),
        ('[events.rh]\ntype = "rh.a"\ntypes = ["rh.b"]', "events.rh.types"),
        ('[events.rh]\nprefix = "rh."\nclass = "secret"', "events.rh.class"),
        ('[events.rh]\nprefix = "rh."\nclass_ = "personal"', "events.rh.class_"),
    ],
)  # fmt: skip
def test_an_error_names_the_dotted_field_and_says_what_was_expected_in_both_languages(text: str, field: str) -> None:
    fault = wrong(text)
    assert fault.fields["field"] == field
    for language in ("fr", "en"):
        said = fault.diagnostics(language)
        assert field in said.what
        assert len(said.what) > len(field) + 30
        assert said.todo


def test_the_nearest_known_field_is_suggested() -> None:
    assert "`provider`" in str(wrong('[keys]\nprovder = "file:x"'))
    assert "« concurrency »" in wrong(ARBRES + "limits = { concurency = 1 }").diagnostics("fr").what


@pytest.mark.parametrize(
    ("text", "field"),
    [
        *((f"limits = {{ rate = {value} }}", "limits.rate") for value in ("inf", "-inf", "nan", "-1", "0", "1e308", "10001")),
        ("limits = { timeout = nan }", "limits.timeout"), ("limits = { timeout = inf }", "limits.timeout"),
        ("guards = { max_fall = nan }", "guards.max_fall"), ("raw_days = 1e9", "raw_days"),
        ("documents_days = 0", "documents_days"),
        ('limits = { max_bytes = "999999999 TiB" }', "limits.max_bytes"), ("limits = { max_bytes = -1 }", "limits.max_bytes"),
        ("params = { since = inf }", "params.since"), ("streams = { a = { body = { x = [1.0, nan] } } }", "streams.a.body.x"),
    ],
)  # fmt: skip
def test_a_number_that_is_not_one_or_beyond_sense_is_refused_by_its_field(text: str, field: str) -> None:
    assert wrong(ARBRES + text).fields["field"] == f"connections.arbres.{field}"


@pytest.mark.parametrize(
    "text",
    ["x = " + "[" * 60 + "]" * 60, "x = " + "[" * 20_000, "x = " + "{a = " * 20_000, ".".join(["a"] * 200_000) + " = 1",
     "[" + ".".join(["'a'"] * 100_000) + "]\n"],
)  # fmt: skip
def test_nesting_without_end_is_refused_by_its_depth_and_costs_nothing(text: str) -> None:
    assert "at most 32 nested" in str(wrong(ARBRES + text))


def test_a_number_of_thousands_of_digits_is_refused_by_its_line() -> None:
    assert wrong("[limits]\nthreads = 1" + "0" * 5000).fields["line"] == 2


def test_a_wrong_value_is_not_repeated_in_the_error() -> None:
    fault = wrong('[site]\nlanguage = "hunter2"')
    assert "hunter2" not in f"{fault} {fault.fields}"
    assert "hunter2" not in str(wrong("password = hunter2"))


def test_what_is_not_ours_goes_to_the_connector_with_its_address_and_streams() -> None:
    ours = 'secret = "cle"\nauth = { kind = "bearer" }\nraw_days = 7\n'
    text = f'{ARBRES}records = "items"\n{ours}[connections.arbres.streams.arbres]\npath = "/a"\n'
    connection = parse(text, Path("x")).connections["arbres"]
    assert connection.options == {"url": "https://api.ville.fr", "records": "items", "streams": {"arbres": {"path": "/a"}}}
    assert (connection.secret, connection.auth, connection.raw_days) == ("cle", {"kind": "bearer"}, 7)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", 1), ('"256 MiB"', 2**28), ('"256 Mio"', 2**28), ('"1.5GB"', 1_500_000_000), ('"10 ko"', 10_000), ('"7"', 7)],
)
def test_a_size_is_a_number_of_bytes_or_a_text_in_either_language(text: str, expected: int) -> None:
    assert parse(f"[limits]\nmemory = {text}", Path("x")).limits.memory == expected


def test_every_field_says_what_it_expects_in_both_languages() -> None:
    from typing import get_args, get_type_hints

    structs = (
        tables.SiteSettings,
        tables.KeySettings,
        tables.Limits,
        tables.Network,
        tables.ConnectionLimits,
        tables.Guards,
        tables.Treatment,
        Timestamps,
        AuditSettings,
        Witness,
        Export,
        Connection,
    )
    for struct in structs:
        for field, hint in get_type_hints(struct, include_extras=True).items():
            if field != "options" and not any(isinstance(part, msgspec.StructMeta) for part in get_args(hint)):
                fr, en = expectation(hint)
                assert fr != en, f"{struct.__name__}.{field}"
                assert "another value" not in en, f"{struct.__name__}.{field}"


def test_all_witnesses_are_wanted_unless_fewer_are_asked_for() -> None:
    two = WITNESS + WITNESS.replace("w1", "w2").replace(WITNESS_KEY[1].vkey, Cosignatory("v.example", bytes(32)).vkey)
    for text, wanted in (("", 0), (WITNESS, 1), (two, 2), (two + "[audit]\ncosignatures = 1", 1)):
        assert parse(text, Path("x")).audit.wanted == wanted


def test_the_reference_page_says_what_the_fields_are() -> None:
    page = Path(__file__).parents[3] / "docs" / "settings.md"
    assert page.read_text("utf-8") == reference()


def test_settings_are_frozen() -> None:
    settings = parse(ARBRES, Path("x"))
    with pytest.raises(AttributeError):
        settings.connections["arbres"].url = "https://ailleurs"  # type: ignore[misc]


@pytest.mark.parametrize("name", ["Ville de Lyon", 'Ville "d\'ailleurs" \\ é \n x'])
def test_a_new_sites_settings_are_valid_and_commented_in_both_languages(name: str) -> None:
    text = template(name, "file:keys/master.json", "en")
    settings = parse(text, Path("x"))
    assert (settings.site.name, settings.keys.provider, settings.site.language) == (name, "file:keys/master.json", "en")
    sample = "\n".join(line[2:] for line in text.splitlines() if line.startswith("# ") and (" = " in line or "[" in line))
    assert parse(sample, Path("x")).connections["arbres"].limits.rate == 5


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "sovereign.toml"
    path.write_text(template("Ville", "file:keys/master.json"))
    return path


def test_adding_a_connection_keeps_every_comment_and_is_read_back(site: Path) -> None:
    before = site.read_text()
    values = {
        "connector": "rest", "url": "https://api.ville.fr", "secret": None, "auth": {"kind": "bearer"}, "network": {"allow": ("https://cdn.ville.fr",)},
        "streams": {"arbres": {"path": "/a", "classes": {"nom": "personal"}}}, "limits": {},
    }  # fmt: skip
    added = add_connection(site, "arbres", values)
    assert site.read_text().startswith(before.rstrip("\n"))
    assert load(site) == added
    assert added.connections["arbres"].network.allow == ("https://cdn.ville.fr",)
    assert added.connections["arbres"].streams == {"arbres": {"path": "/a", "classes": {"nom": "personal"}}}
    assert stat.S_IMODE(site.stat().st_mode) == 0o600
    assert os.listdir(site.parent) == ["sovereign.toml"]  # noqa: PTH208 - hidden files too


@pytest.mark.parametrize(
    "values",
    [
        {"connector": "rest"},
        {"connector": "rest", "url": "http://x"},
        {"connector": "rest", "url": "https://x", "raw_days": -1},
    ],
)
def test_a_refused_connection_leaves_the_file_untouched(site: Path, values: dict[str, object]) -> None:
    add_connection(site, "arbres", {"connector": "rest", "url": "https://x"})
    before = site.read_bytes()
    with pytest.raises(BadSettings):
        add_connection(site, "autre", values)
    with pytest.raises(BadSettings) as fault:
        add_connection(site, "arbres", {"connector": "rest", "url": "https://y"})
    assert fault.value.fields["field"] == "connections.arbres"
    assert site.read_bytes() == before


def test_a_connection_can_be_removed_and_only_once(site: Path) -> None:
    add_connection(site, "arbres", {"connector": "rest", "url": "https://x"})
    assert remove_connection(site, "arbres").connections == {}
    with pytest.raises(BadSettings):
        remove_connection(site, "arbres")


def test_two_writers_lose_nothing_of_each_other(site: Path) -> None:
    threads = [
        threading.Thread(target=add_connection, args=(site, f"c{number}", {"connector": "rest", "url": "https://x"}))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(load(site).connections) == 8


def test_a_folder_without_settings_is_not_a_site_and_a_monstrous_file_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(NoSite):
        load(tmp_path / "sovereign.toml")
    with (tmp_path / "sovereign.toml").open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(BadSettings) as fault:
        load(tmp_path / "sovereign.toml")
    assert "at most 1048576 bytes" in str(fault.value)
    (tmp_path / "sovereign.toml").write_bytes(b"\xff")
    with pytest.raises(BadSettings):
        load(tmp_path / "sovereign.toml")


def test_the_egress_policy_follows_the_settings_and_finds_secrets_and_files(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    network = 'network = { proxy = "http://proxy:3128", proxy_secret = "mandataire", ca_bundle = "ca.pem", private = true }\n'
    text = (
        ARBRES
        + network
        + 'auth = { kind = "oauth2", token_url = "https://sso.ville.fr/token" }\nlimits = { rate = 2, max_bytes = "1 MiB" }'
    )
    connection = parse(text, tmp_path / "sovereign.toml").connections["arbres"]
    policy = policy_of(connection, tmp_path, lambda name: {"mandataire": b"ville:motdepasse"}[name])
    assert policy.ca_bundle == tmp_path / "ca.pem"
    assert policy.credential_urls == ("https://sso.ville.fr/token",)
    assert (policy.rate, policy.max_bytes, policy.private, policy.proxy_credential) == (2.0, 2**20, True, "ville:motdepasse")
    assert "motdepasse" not in repr(policy)
    (tmp_path / "ca.pem").unlink()
    with pytest.raises(BadSettings) as fault:
        policy_of(connection, tmp_path, lambda _: b"x")
    assert fault.value.fields["field"] == "connections.arbres.network.ca_bundle"


def test_a_folder_is_taken_relative_to_the_site(tmp_path: Path) -> None:
    for url in ("folder:decp", f"folder:{tmp_path}/decp"):
        connection = parse(ARBRES.replace("https://api.ville.fr", url), tmp_path / "sovereign.toml").connections["arbres"]
        assert policy_of(connection, tmp_path, lambda _: b"").url == f"folder:{tmp_path}/decp"


@pytest.mark.parametrize("scheme", ["imaps", "imap", "ldaps", "ldap"])
def test_what_is_spoken_to_by_sessions_passes_a_proxy_over_http_alone(scheme: str, tmp_path: Path) -> None:
    text, path = ARBRES.replace("https://api.ville.fr", f"{scheme}://serveur.ville.fr"), tmp_path / "sovereign.toml"
    assert parse(text + 'network = { proxy = "http://proxy:3128" }', path).connections["arbres"].url.startswith(f"{scheme}:")
    with pytest.raises(BadSettings) as fault:
        parse(text + 'network = { proxy = "https://proxy:3128" }', path)
    assert fault.value.fields["field"] == "connections.arbres.network.proxy"


def test_words_refused_as_names_are_those_that_sql_does_not_read_as_a_schema() -> None:
    words = [word for (word,) in duckdb.sql("SELECT DISTINCT keyword_name FROM duckdb_keywords()").fetchall()]
    for word in words:
        if re.fullmatch(r"[a-z][a-z0-9_]{0,62}", word):
            ((read,),) = duckdb.execute("SELECT json_serialize_sql(?)", [f"FROM {word}.t"]).fetchall()
            table = {} if json.loads(read)["error"] else json.loads(read)["statements"][0]["node"]["from_table"]
            assert (table.get("schema_name") != word) == (word in KEYWORDS), word
