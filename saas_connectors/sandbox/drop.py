"""What a sandbox vendor without an interface drops: a JSON file of agents, a CSV of services. Nobody in them exists."""

import orjson

_NAMES = ("Abel", "Berthe", "Cyprien", "Denise", "Edmond", "Fanny", "Gaston")
_STREETS = ("rue des Lilas", "place du Marché", "quai Vauban")


def drop(agents: int) -> dict[str, bytes]:
    """The files, by name; agents: how many."""
    people = [
        {
            "matricule": f"A{n:05d}", "prenom": _NAMES[n % 7], "adresse": f"{n % 90 + 1} {_STREETS[n % 3]}",
            "service": f"S{n % 5:02d}", "quotite": n % 5 * 10 + 60, "entre_le": f"{2000 + n % 25}-{n % 12 + 1:02d}-01",
        }
        for n in range(agents)
    ]  # fmt: skip
    services = "".join(f"S{n:02d};Service {_NAMES[n]};{n * 7 + 3},5\r\n" for n in range(5))
    return {"agents.json": orjson.dumps(people), "services.csv": f"code;nom;postes\r\n{services}".encode()}
