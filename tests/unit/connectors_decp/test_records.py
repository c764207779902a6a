"""What a published contract becomes."""

import json
import shutil
from datetime import date
from decimal import Decimal
from importlib.resources import files

import pytest

from saas_connectors.errors import SettingsError
from tests.servers.pulls import discover
from tests.unit.connectors_decp.conftest import OFFICIAL, Published, marche


@pytest.fixture
def official(published: Published) -> Published:
    for file in OFFICIAL.iterdir():
        if file.suffix in (".json", ".xml"):
            shutil.copy(file, published.path)
    return published


def test_the_official_examples_fill_four_related_tables(official: Published) -> None:
    pulled = official.pull()
    counts = {stream: len(pulled.rows(stream)) for stream in ("marches", "concessions", "modifications", "titulaires")}
    assert counts == {"marches": 3, "concessions": 4, "modifications": 6, "titulaires": 13}
    contracts = {("marche", row["acheteur"], row["id"]) for row in pulled.rows("marches")}
    contracts |= {("concession", row["autoriteConcedante"], row["id"]) for row in pulled.rows("concessions")}
    children = pulled.rows("modifications") + pulled.rows("titulaires")
    assert {(row["contrat"], row["acheteur"], row["contratId"]) for row in children} == contracts


def test_the_official_schema_beside_the_examples_is_no_data(official: Published) -> None:
    assert (official.path / "schema_decp_v2.0.3.json").exists()
    assert official.pull().found("invalid_records") == []


def test_no_official_example_is_invalid_though_some_sirets_are_wrong(official: Published) -> None:
    pulled = official.pull()
    assert pulled.found("invalid_records") == []
    suspects = {fact.stream: fact.detail["rules"] for fact in pulled.found("suspect_values")}
    assert suspects["marches"] == {"sousTraitant:siret_length": 3, "acheteur:siret_checksum": 1, "republished": 3}
    assert suspects["titulaires"] == {"id:siret_length": 2}


def test_numbers_are_exact_and_dates_are_dates(published: Published) -> None:
    published.json("a.json", marche(montant=0, tauxAvance=0))
    body = (published.path / "a.json").read_text().replace('"montant": 0', '"montant": 12345678901234567.89')
    published.text("a.json", body)
    (row,) = published.pull().rows("marches")
    assert row["montant"] == Decimal("12345678901234567.89")
    assert row["tauxAvance"] == Decimal(0)
    assert row["dateNotification"] == date(2026, 1, 15)


def test_a_number_of_more_than_six_decimals_is_rounded_and_said(published: Published) -> None:
    published.json("a.json", marche(montant=33333.333333333336))
    pulled = published.pull()
    assert pulled.rows("marches")[0]["montant"] == Decimal("33333.333333")
    assert pulled.found("suspect_values", "marches")[0].detail == {"count": 1, "rules": {"montant:precision": 1}}


def test_objects_of_one_key_are_unwrapped(published: Published) -> None:
    published.json("a.json", marche(techniques={"technique": ["Concours", "Accord-cadre"]}))
    (row,) = published.pull().rows("marches")
    assert row["acheteur"] == "21420218600018"
    assert row["techniques"] == ["Concours", "Accord-cadre"]
    assert row["lieuExecution"] == {"code": "42218", "typeCode": "Code commune"}


def test_titulaires_of_a_modification_bear_its_number(published: Published) -> None:
    change = {"id": 2, "dateNotificationModification": "2026-05-01", "datePublicationDonneesModification": "2026-05-02"}
    change["titulaires"] = [{"titulaire": {"id": "FR-DUPONT JEAN", "typeIdentifiant": "HORS-UE"}}]
    published.json("a.json", marche(modifications=[{"modification": change}]))
    pulled = published.pull()
    assert [(row["modification"], row["typeIdentifiant"], row["id"], row["rang"]) for row in pulled.rows("titulaires")] == [
        (0, "SIRET", "55204599900869", 1),
        (2, "HORS-UE", "FR-DUPONT JEAN", 1),
    ]
    (row,) = pulled.rows("modifications")
    assert (row["contrat"], row["contratId"], row["id"], row["dureeMois"]) == ("marche", "2026-001", 2, None)


@pytest.mark.parametrize("nothing", [None, "", [], {}])
def test_an_optional_field_left_out_null_or_empty_is_absent(published: Published, nothing: object) -> None:
    published.json("a.json", marche(idAccordCadre=nothing, modifications=nothing, tauxAvance=nothing))
    pulled = published.pull()
    (row,) = pulled.rows("marches")
    assert (row["idAccordCadre"], row["tauxAvance"]) == (None, None)
    assert pulled.found("invalid_records") == []


XML = """<marches><marche><id>2026-001</id><acheteur><id>21420218600018</id></acheteur><nature>Marché</nature>
<objet>Entretien des arbres</objet><codeCPV>77211500-7</codeCPV><techniques><technique>Sans objet</technique></techniques>
<modalitesExecution><modaliteExecution>Sans objet</modaliteExecution></modalitesExecution><idAccordCadre/>
<marcheInnovant>non</marcheInnovant>
<ccag>Fournitures courantes et services</ccag><offresRecues>3</offresRecues><attributionAvance>0</attributionAvance>
<typeGroupementOperateurs>Pas de groupement</typeGroupementOperateurs><procedure>Procédure adaptée</procedure>
<lieuExecution><code>42218</code><typeCode>Code commune</typeCode></lieuExecution><dureeMois>12</dureeMois>
<dateNotification>2026-01-15</dateNotification><datePublicationDonnees>2026-02-01</datePublicationDonnees><montant>120000.50</montant>
<typesPrix><typePrix>Définitif ferme</typePrix></typesPrix><formePrix>Forfaitaire</formePrix><origineUE></origineUE>
<sousTraitanceDeclaree>false</sousTraitanceDeclaree>
<titulaires><titulaire><id>55204599900869</id><typeIdentifiant>SIRET</typeIdentifiant></titulaire></titulaires>
<considerationsSociales><considerationSociale>Pas de considération sociale</considerationSociale></considerationsSociales>
<considerationsEnvironnementales><considerationEnvironnementale>Clause environnementale</considerationEnvironnementale>
</considerationsEnvironnementales>
<modificationsActesSousTraitance><modificationActesSousTraitance><id>1</id>
<dateNotificationModificationSousTraitance>2026-03-01</dateNotificationModificationSousTraitance><montant>10</montant>
<datePublicationDonnees>2026-03-02</datePublicationDonnees></modificationActesSousTraitance></modificationsActesSousTraitance>
<modifications><modification><id>1</id><dateNotificationModification>2026-04-01</dateNotificationModification>
<datePublicationDonneesModification>2026-04-02</datePublicationDonneesModification><montant>130000</montant></modification></modifications>
</marche></marches>"""

AS_JSON = marche(
    idAccordCadre=None,
    origineUE=None,
    modificationsActesSousTraitance=[
        {
            "modificationActeSousTraitance": {
                "id": 1,
                "dateNotificationModificationSousTraitance": "2026-03-01",
                "montant": 10,
                "datePublicationDonnees": "2026-03-02",
            }
        }
    ],
    modifications=[
        {
            "modification": {
                "id": 1,
                "dateNotificationModification": "2026-04-01",
                "datePublicationDonneesModification": "2026-04-02",
                "montant": 130000.0,
            }
        }
    ],
)


def test_json_and_xml_of_the_same_contract_give_identical_tables(published: Published) -> None:
    published.json("a.json", AS_JSON)
    from_json = published.pull()
    (published.path / "a.json").unlink()
    published.text("a.xml", XML)
    from_xml = published.pull()
    assert from_xml.found("invalid_records") == []
    for stream in ("marches", "modifications", "titulaires"):
        assert from_json.table(stream).equals(from_xml.table(stream)), stream


def test_the_official_concession_is_the_same_in_xml_and_in_json(published: Published) -> None:
    record = json.loads((OFFICIAL / "concessions_avec_modifications.json").read_text())["marches"]["contrat-concession"][1]
    record["donneesExecution"][0]["donneesAnnuelles"]["tarifs"].pop()
    record["objet"] = "Objet de la consultation"
    change = record["modifications"][0]["modification"]
    change |= {"dateSignatureModification": "2024-04-19", "datePublicationDonneesModification": "2024-04-20"}
    published.json("a.json", concessions=[record])
    from_json = published.pull()
    (published.path / "a.json").unlink()
    shutil.copy(OFFICIAL / "Contrat-concession-modification.xml", published.path)
    from_xml = published.pull()
    for stream in ("concessions", "modifications", "titulaires"):
        assert from_json.table(stream).equals(from_xml.table(stream)), stream


def test_every_field_of_every_stream_has_a_class_and_people_are_personal(published: Published) -> None:
    streams = {stream.name: stream for stream in discover(published.make(), published.transport).streams}
    assert all(set(stream.classes) == set(stream.schema.names) for stream in streams.values())
    personal = {
        (name, field) for name, stream in streams.items() for field, kind in stream.classes.items() if kind == "personal"
    }
    assert personal == {("marches", "objet"), ("marches", "actesSousTraitance"), ("concessions", "objet"), ("titulaires", "id")}


def test_every_field_of_the_official_schema_is_held(published: Published) -> None:
    schema = json.loads((files("saas_connectors.procurement") / "schemas" / "schema_decp_v2.0.3.json").read_text())
    streams = {stream.name: set(stream.schema.names) for stream in discover(published.make(), published.transport).streams}
    for tag, name, holders in (("marche", "marches", "titulaires"), ("contrat-concession", "concessions", "concessionnaires")):
        definition = schema["definitions"][tag]
        assert streams[name] == set(definition["properties"]) - {holders, "modifications"}
        change = definition["definitions"]["Modification"]["properties"]
        assert streams["modifications"] >= set(change) - {"titulaires"}


def test_settings_choose_streams_and_reclassify_fields(published: Published) -> None:
    published.json("a.json", marche())
    chosen = published.make(streams=["marches"])
    assert [stream.name for stream in discover(chosen, published.transport).streams] == ["marches"]
    changed = published.make(streams={"marches": {"classes": {"objet": "internal"}, "contract": "freeze"}})
    first = discover(changed, published.transport).streams[0]
    assert (first.classes["objet"], first.contract) == ("internal", "freeze")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"files": "a.json"}, "connections.marches.files"),
        ({"files": [3]}, "connections.marches.files"),
        ({"fichiers": ["a.json"]}, "connections.marches.fichiers"),
        ({"streams": ["march"]}, "connections.marches.streams.march"),
        ({"streams": 3}, "connections.marches.streams"),
        ({"streams": {"marches": {"class": {}}}}, "connections.marches.streams.marches.class"),
        ({"streams": {"marches": {"classes": {"objet": "public"}}}}, "connections.marches.streams.marches.classes.objet"),
        ({"streams": {"marches": {"classes": {"internal": "objet"}}}}, "connections.marches.streams.marches.classes.internal"),
        ({"streams": {"marches": {"classes": {"object": "internal"}}}}, "connections.marches.streams.marches.classes.object"),
    ],
)
def test_a_wrong_setting_is_named(published: Published, settings: dict[str, object], field: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        published.make(**settings)
    assert refusal.value.fields["field"] == field
