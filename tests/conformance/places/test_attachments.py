"""The attachments of a real mailbox as a place: whose they are, which of them counts, and that nothing there is touched."""

from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from saas_connectors.connector import Json
from saas_connectors.errors import NotFound, SettingsError
from saas_connectors.files.places import open_place
from saas_connectors.files.writing import make
from tests.conformance.places.conftest import Served
from tests.servers import dovecot
from tests.servers.mailbox import way_out


def letter(sender: str, subject: str, **attached: bytes) -> bytes:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, "a@b.example", subject
    made.set_content("Bonjour,\n")
    for name, content in attached.items():
        made.add_attachment(content, maintype="text", subtype="csv", filename=name.replace("_", "."))
    return made.as_bytes()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dovecot.Dovecot]:
    dovecot.required()
    with dovecot.running(tmp_path_factory.mktemp("mail")) as running:
        running.put(letter("RH <export@rh.example>", "Export paie 1", agents_csv=b"old", autre_csv=b"x;y\r\n1;2\r\n"))
        running.put(letter("export@rh.example", "Export paie 2", agents_csv="é;2\n".encode() * 1000))
        running.put(letter("export@rh.example.evil.example", "Export paie 3", agents_csv=b"forged"))
        running.put(letter("Export@rh.example <x@evil.example>", "Export paie 3", agents_csv=b"forged"))
        running.put(letter("export@rh.example, x@evil.example", "Export paie 3", agents_csv=b"two senders"))
        running.put(letter("export@rh.example", "Bonjour", agents_csv=b"another subject"))
        running.put(letter("export@rh.example", "Export paie", été_csv=b"3"), "Exports &AOk-t&AOk-")
        yield running


def there(server: dovecot.Dovecot, **options: Json) -> Served:
    place = {"kind": "imaps", "from": "export@rh.example", "subject": "Export paie*", **options}
    return Served(open_place("connections.paie", server.url, place), way_out(server), [])


def test_the_latest_file_of_each_name_from_the_known_sender_is_listed_and_read(server: dovecot.Dovecot) -> None:
    made = there(server)
    listed = made.listed()
    assert list(listed) == ["agents.csv", "autre.csv"]
    content = {name: made.run(made.place.read(entry, 10**6)).body for name, entry in listed.items()}
    assert content == {"agents.csv": "é;2\n".encode() * 1000, "autre.csv": b"x;y\r\n1;2\r\n"}
    assert made.content("agents.csv") == (200, content["agents.csv"]), "by its name alone, too"
    assert made.content("gone.csv") == (404, b"")
    assert made.listed() == listed
    made.out.close()


def test_every_message_counts_when_it_is_said(server: dovecot.Dovecot) -> None:
    made = there(server, messages="all")
    assert list(made.listed()) == ["1-agents.csv", "1-autre.csv", "2-agents.csv"]
    made.out.close()


@pytest.mark.parametrize(
    ("sender", "names"), [("*@rh.example", 2), ("*@*.example", 2), ("nobody@rh.example", 0), ("EXPORT@RH.example", 2)]
)
def test_a_sender_may_be_a_pattern_of_one_domain(server: dovecot.Dovecot, sender: str, names: int) -> None:
    made = there(server, **{"from": sender})
    assert len(made.listed()) == names
    made.out.close()


def test_nothing_is_marked_as_seen(server: dovecot.Dovecot) -> None:
    made = there(server)
    for entry in made.listed().values():
        made.run(made.place.read(entry, 10**6))
    made.out.close()
    with server.client() as client:
        client.select("INBOX", readonly=True)
        assert client.search(None, "SEEN")[1] == [b""]


def test_a_folder_is_named_as_people_do(server: dovecot.Dovecot) -> None:
    made = there(server, folder="Exports été")
    assert [(name, made.content(name)) for name in made.listed()] == [("été.csv", (200, b"3"))]
    made.out.close()


def test_a_folder_that_is_not_there_is_told(server: dovecot.Dovecot) -> None:
    made = there(server, folder="Nulle part")
    with pytest.raises(NotFound):
        made.listed()
    made.out.close()


@pytest.mark.parametrize(
    ("options", "field"),
    [({}, "from"), ({"from": "*"}, "from"), ({"from": "*@*"}, "from"), ({"from": 'a"@b.example'}, "from"),
     ({"from": "rh.example"}, "from"),
     ({"from": "a@b.c", "messages": "some"}, "messages"), ({"from": "a@b.c", "body": "x"}, "body")],
)  # fmt: skip
def test_a_wrong_setting_is_named(options: dict[str, Json], field: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        open_place("connections.paie", "imaps://mail.example", {"kind": "imaps", **options})
    assert refusal.value.fields["field"] == f"connections.paie.place.{field}"


def test_nothing_can_be_written_to_a_mailbox() -> None:
    place = {"kind": "imaps", "from": "a@b.example"}
    with pytest.raises(SettingsError) as refusal:
        make("paie", {"url": "imaps://mail.example", "place": place, "writes": ["*.csv"]})
    assert refusal.value.fields["field"] == "connections.paie.writes"
