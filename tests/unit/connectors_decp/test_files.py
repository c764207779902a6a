"""What is read, what is not read again, and which publication of a contract stands."""

import json
from collections.abc import Iterator

import pytest

from saas_connectors import registry
from saas_connectors.connector import Checked
from saas_connectors.errors import Malformed, NotFound, ResumeLost, SettingsError
from sovereign.egress.policy import EgressPolicy
from sovereign.egress.transport import Transport, open_transport
from tests.servers import https
from tests.servers.pulls import NOW, converse, discover, plan_of, pull, resumed
from tests.unit.connectors_decp.conftest import OFFICIAL, Published, marche


def change(number: int, published: str) -> dict[str, object]:
    return {
        "modification": {
            "id": number,
            "dateNotificationModification": published,
            "datePublicationDonneesModification": published,
        }
    }


def test_the_last_publication_of_a_contract_stands_whatever_the_order_of_the_files(published: Published) -> None:
    published.json("a.json", marche(datePublicationDonnees="2026-03-01", objet="new"), marche(id="other"))
    published.json("b.json", marche(datePublicationDonnees="2026-02-01", objet="old"))
    pulled = published.pull()
    assert {row["id"]: row["objet"] for row in pulled.rows("marches")} == {"2026-001": "new", "other": "Entretien des arbres"}
    assert pulled.found("suspect_values", "marches")[0].detail["rules"] == {"republished": 1}


def test_of_two_publications_of_one_date_the_one_modified_last_stands(published: Published) -> None:
    published.json("a.json", marche(modifications=[change(1, "2026-05-01"), change(2, "2026-06-01")]))
    published.json("b.json", marche(modifications=[change(1, "2026-05-01")]))
    assert [row["id"] for row in published.pull().rows("modifications")] == [1, 2]


def test_of_two_like_publications_the_last_file_stands(published: Published) -> None:
    published.json("a.json", marche(objet="first"))
    published.json("b.json", marche(objet="second"))
    assert [row["objet"] for row in published.pull().rows("marches")] == ["second"]


def test_children_of_a_superseded_publication_do_not_remain(published: Published) -> None:
    gone = [{"titulaire": {"id": "38103128500491", "typeIdentifiant": "SIRET"}}]
    published.json("a.json", marche(titulaires=gone))
    published.json("b.json", marche(datePublicationDonnees="2026-03-01"))
    assert [row["id"] for row in published.pull().rows("titulaires")] == ["55204599900869"]


def test_where_the_last_publication_is_invalid_the_last_valid_one_stands(published: Published) -> None:
    published.json("a.json", marche(objet="oldest"))
    published.json("b.json", marche(objet="valid", datePublicationDonnees="2026-03-01"))
    published.json("c.json", marche(objet="broken", datePublicationDonnees="2026-04-01", nature="Bail"))
    pulled = published.pull()
    assert [row["objet"] for row in pulled.rows("marches")] == ["valid"]
    assert pulled.found("invalid_records")[0].detail == {"count": 1, "rules": {"nature:enum": 1}}


def test_a_marche_and_a_concession_of_one_number_are_two_contracts(published: Published) -> None:
    concession = json.loads((OFFICIAL / "concessions_avec_modifications.json").read_text())
    (record, *_) = concession["marches"]["contrat-concession"]
    record |= {"id": "2026-001", "autoriteConcedante": marche()["acheteur"]}
    published.json("a.json", marche(), concessions=[record])
    pulled = published.pull()
    assert (len(pulled.rows("marches")), len(pulled.rows("concessions"))) == (1, 1)


def test_an_invalid_record_is_set_aside_with_its_rule_and_no_value(published: Published) -> None:
    published.json(
        "a.json",
        marche(),
        marche(id="b", codeCPV="JEAN DUPONT"),
        marche(id="c", dateNotification="2026-13-45"),
        marche(id="d", montant=...),
        marche(id="e", secret="JEAN DUPONT"),
        marche(id="f", titulaires=[{"titulaire": {"id": 12, "typeIdentifiant": "SIRET"}}]),
    )
    body = json.loads((published.path / "a.json").read_text())
    body["marches"]["marche"] += ["JEAN DUPONT", None]
    published.text("a.json", json.dumps(body))
    pulled = published.pull()
    assert [row["id"] for row in pulled.rows("marches")] == ["2026-001"]
    (fact,) = (each for each in pulled.found("invalid_records") if each.stream == "marches")
    assert fact.holds is False
    assert fact.detail == {
        "count": 7,
        "rules": {
            "codeCPV:pattern": 1,
            "dateNotification:date": 1,
            "marche:required": 1,
            "marche:additionalProperties": 1,
            "id:type": 1,
            "marche:type": 2,
        },
    }
    assert "DUPONT" not in str(pulled.evidence)


def test_a_number_no_column_can_hold_is_set_aside(published: Published) -> None:
    published.json("a.json", marche(montant=1e300), marche(id="b", dureeMois=10**30))
    assert published.pull().found("invalid_records")[0].detail["rules"] == {"montant:range": 1, "dureeMois:range": 1}


def test_an_invalid_xml_record_is_set_aside_and_the_file_goes_on(published: Published) -> None:
    official = (OFFICIAL / "Marche.xml").read_text()
    published.text("a.xml", official.replace("<id>TEST2022</id>", "<id>A</id>", 1).replace("45000000-7", "JEAN DUPONT", 1))
    pulled = published.pull()
    assert [row["id"] for row in pulled.rows("marches")] == ["TEST2022"]
    assert pulled.found("invalid_records")[0].detail == {"count": 1, "rules": {"codeCPV:pattern": 1}}
    assert "DUPONT" not in str(pulled.evidence)


def test_an_invalid_contract_leaves_no_stream_that_hangs_on_it_complete(published: Published) -> None:
    published.json("a.json", marche(), marche(id="b", objet=...))
    pulled = published.pull()
    facts = {fact.stream: fact for fact in pulled.found("invalid_records")}
    assert set(facts) == {"marches", "titulaires", "modifications"}
    assert all(fact.holds is False and fact.detail == {"count": 1, "rules": {"marche:required": 1}} for fact in facts.values())
    assert {fact.stream for fact in pulled.found("vendor_count")} == {"marches", "concessions"}


def test_a_repeated_modification_or_titulaire_is_kept_once_and_said(published: Published) -> None:
    twice = [{"titulaire": {"id": "55204599900869", "typeIdentifiant": "SIRET", "x": n}} for n in (1, 2)]
    published.json("a.json", marche(titulaires=twice, modifications=[change(1, "2026-06-01"), change(1, "2026-05-01")]))
    pulled = published.pull()
    assert len(pulled.rows("titulaires")) == 1
    assert str(pulled.rows("modifications")[0]["dateNotificationModification"]) == "2026-06-01"
    assert pulled.found("suspect_values", "titulaires")[0].detail["rules"] == {"id:repeated": 1}
    assert pulled.found("suspect_values", "modifications")[0].detail["rules"] == {"id:repeated": 1}


def test_the_published_count_is_given_even_for_an_empty_stream(published: Published) -> None:
    published.json("a.json", marche(), marche(id="b"))
    counts = {fact.stream: (fact.detail["count"], fact.holds) for fact in published.pull().found("vendor_count")}
    assert counts == {"marches": (2, True), "concessions": (0, True), "modifications": (0, True), "titulaires": (2, True)}


def test_only_the_chosen_streams_are_given(published: Published) -> None:
    published.json("a.json", marche())
    plan = plan_of(discover(published.make(), published.transport), "titulaires")
    assert {page.stream for page in published.pull(plan).pages} == {"titulaires"}


def test_pages_hold_ten_thousand_records_at_most_and_the_last_of_each_group_carries_the_position(published: Published) -> None:
    published.json("a.json", *(marche(id=f"n{number}") for number in range(6000)))
    pages = published.pull().pages
    assert all(page.records.num_rows <= 10_000 for page in pages)
    assert [(page.stream, page.records.num_rows, page.position is None) for page in pages] == [
        ("marches", 5000, True),
        ("titulaires", 5000, False),
        ("marches", 1000, True),
        ("titulaires", 1000, False),
    ]


@pytest.mark.parametrize("pages", [1, 2, 4])
def test_a_read_resumes_where_it_was_safe_and_counts_what_came_before(published: Published, pages: int) -> None:
    published.json("a.json", *(marche(id=f"n{number}", acheteur={"id": "12345678901234"}) for number in range(6000)))
    published.json(
        "b.json", marche(id="n1", nature="Bail", datePublicationDonnees="2026-03-01"), marche(id="last", nature="Bail")
    )
    connector, transport = published.make(), published.transport
    plan = plan_of(discover(connector, transport))
    whole, again = pull(connector, transport, plan), resumed(connector, transport, plan, pages)
    for stream in ("marches", "titulaires"):
        assert sorted(row["acheteur"] + row.get("contratId", row["id"]) for row in whole.rows(stream)) == sorted(
            row["acheteur"] + row.get("contratId", row["id"]) for row in again.rows(stream)
        )
    assert sorted(map(str, whole.evidence)) == sorted(map(str, again.evidence))
    assert whole.cursors == again.cursors


def test_a_resume_point_of_files_that_changed_is_refused(published: Published) -> None:
    published.json("a.json", *(marche(id=f"n{number}") for number in range(6000)))
    connector, transport = published.make(), published.transport
    plan = plan_of(discover(connector, transport))
    (part,) = converse(connector.slices(plan), transport)[1]
    before, _ = converse(connector.read(plan, part, None), transport, stop_after=2)
    published.json("a.json", marche())
    with pytest.raises(ResumeLost):
        converse(connector.read(plan, part, before[-1].position), transport)


def test_files_that_did_not_change_give_no_page_and_the_same_cursor(published: Published) -> None:
    published.json("a.json", marche())
    first = published.pull()
    catalog = discover(published.make(), published.transport)
    again = published.pull(plan_of(catalog, cursors=first.cursors))
    assert again.pages == ()
    assert {fact.check for fact in again.evidence} == {"unchanged"}
    assert again.cursors == first.cursors


@pytest.mark.parametrize("what", ["content", "another file", "a file gone", "classes", "one stream without cursor"])
def test_whatever_changes_the_records_makes_them_all_read_again(published: Published, what: str) -> None:
    published.json("a.json", marche())
    published.json("b.json", marche(id="b"))
    first = published.pull()
    settings: dict[str, object] = {}
    cursors = dict(first.cursors)
    if what == "content":
        published.json("a.json", marche(objet="changed"))
    elif what == "another file":
        published.json("c.json", marche(id="c"))
    elif what == "a file gone":
        (published.path / "b.json").unlink()
    elif what == "classes":
        settings = {"streams": {"marches": {"classes": {"objet": "sensitive"}}}}
    else:
        del cursors["modifications"]
    catalog = discover(published.make(**settings), published.transport)
    again = published.pull(plan_of(catalog, cursors=cursors), **settings)
    assert again.found("unchanged") == []
    assert {row["id"] for row in again.rows("marches")} >= {"2026-001"}


def test_files_of_a_folder_may_be_chosen_and_must_be_there(published: Published) -> None:
    published.json("a.json", marche())
    published.json("b.json", marche(id="b"))
    published.text("readme.txt", "not DECP")
    published.text(".hidden.json", "not DECP")
    assert [row["id"] for row in published.pull(files=["b.json"]).rows("marches")] == ["b"]
    with pytest.raises(SettingsError) as refusal:
        published.pull(files=["b.json", "gone.json"])
    assert refusal.value.fields["field"] == "connections.marches.files"


def test_an_empty_folder_is_said(published: Published) -> None:
    with pytest.raises(SettingsError, match=r"\.json, \.xml"):
        published.pull()


@pytest.fixture
def site(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Iterator[https.Served]:
    with https.running(published.path, tmp_path_factory.mktemp("authority") / "ca.pem") as served:
        yield served


def opened(site: https.Served) -> Transport:
    policy = EgressPolicy("marches", site.url, private=True, loopback=True, ca_bundle=site.authority, attempts=1)
    return open_transport(policy, None, lambda: NOW)


def test_files_over_https_give_what_a_folder_gives(published: Published, site: https.Served) -> None:
    published.json("a.json", marche())
    published.json("b.json", marche(id="b"))
    connector = registry.make("decp", "marches", {"url": f"{site.url}/", "files": ["a.json", f"{site.url}/b.json"]})
    with opened(site) as transport:
        assert converse(connector.check(), transport)[1] == Checked("DECP 2.0")
        pulled = pull(connector, transport)
    assert pulled.table("marches").equals(published.pull().table("marches"))


def test_an_unchanged_file_costs_one_conditional_request(published: Published, site: https.Served) -> None:
    published.json("a.json", marche())
    published.json("b.json", marche(id="b"))
    connector = registry.make("decp", "marches", {"url": site.url, "files": ["a.json", "b.json"]})
    with opened(site) as transport:
        first = pull(connector, transport)
        catalog = discover(connector, transport)
        site.statuses()
        assert pull(connector, transport, plan_of(catalog, cursors=first.cursors)).pages == ()
        assert site.statuses() == [304, 304]
        published.json("b.json", marche(id="changed"))
        again = pull(connector, transport, plan_of(catalog, cursors=first.cursors))
        assert site.statuses() == [304, 200, 200]
    assert {row["id"] for row in again.rows("marches")} == {"2026-001", "changed"}


def test_without_etag_the_content_itself_tells_that_nothing_changed(published: Published, site: https.Served) -> None:
    published.json("a.json", marche())
    site.etags = False
    connector = registry.make("decp", "marches", {"url": f"{site.url}/a.json"})
    with opened(site) as transport:
        first = pull(connector, transport)
        again = pull(connector, transport, plan_of(discover(connector, transport), cursors=first.cursors))
        remarks = converse(connector.check(), transport)[1].remarks
    assert [fact.check for fact in again.evidence] == ["unchanged"] * 4
    assert remarks == (
        ("/a.json est servi sans ETag : il sera relu à chaque fois", "/a.json comes without ETag: it is read each time"),
    )


def test_a_missing_file_and_a_page_instead_of_a_file_are_said_without_their_content(
    published: Published, site: https.Served
) -> None:
    published.text("login.html", "<html>password=hunter2</html>")
    with opened(site) as transport:
        for name, fault in (("gone.json", NotFound), ("login.html", Malformed)):
            connector = registry.make("decp", "marches", {"url": f"{site.url}/{name}"})
            for exchange in (connector.check(),):
                with pytest.raises(fault) as refusal:
                    converse(exchange, transport)
                assert "hunter2" not in str(refusal.value)
            with pytest.raises(fault) as refusal:
                pull(connector, transport)
            assert "hunter2" not in str(refusal.value)
