"""A file of agents pulled and compared with the one of the day before, against what DuckDB needs to read and join the two.

100,000 rows of 20 columns, `;`, latin-1, CRLF, dd/mm/yyyy, one in a hundred changed. Three figures, in seconds of a process
(wall and CPU), once its libraries are loaded: DuckDB reads and joins both files in memory; the format alone reads both, types
applied; the whole pull of the second file (archive, encrypted snapshot, differences, log). Then what a flow takes to find who
is gone (one in a thousand) and to hand each departure to the gateway, durable. Each is the best of `--times`.
"""

import argparse
import json
import tempfile
from pathlib import Path

from measure import measured, report

NAMES = (
    "matricule;nom;prénom;né le;sexe;service;direction;grade;échelon;entré le;salaire;prime;rue;code postal;ville;téléphone;"
    "courriel;statut;quotité;commentaire"
)


def line(n: int, mark: str = "") -> str:
    """One agent; `mark` makes the row another."""
    return (
        f"{n:07d};Dupont-Lefèvre {n % 7919};Zoé {n % 613};{n % 28 + 1:02d}/{n % 12 + 1:02d}/{1960 + n % 40};"
        f"{'FM'[n % 2]};Service {n % 97};"
        f"Direction {n % 11};Attaché {n % 5};{n % 12};{n % 28 + 1:02d}/{n % 12 + 1:02d}/{2000 + n % 25};"
        f"{1500 + n % 3000},{n % 90 + 10};"
        f"{n % 300},{n % 9}0;{n % 200} rue de la République;{35000 + n % 999};Rennes;02{n % 100000000:08d};"
        f"agent{n}@ville.example;"
        f"titulaire;{n % 5 * 10 + 60};né à Évreux {mark}"
    )


def write(path: Path, rows: int, *, changed: bool) -> None:
    """Write a day's file: the second has a row in a hundred changed, one in a thousand gone, as many new."""
    kept = [line(n, "muté" if changed and n % 100 == 7 else "") for n in range(rows) if not (changed and n % 1000 == 3)]
    new = [line(rows + n) for n in range(rows // 1000)] if changed else []
    path.write_bytes("".join(f"{each}\r\n" for each in (NAMES, *kept, *new)).encode("latin-1"))


def main() -> None:
    """Measure the three and report the ratios."""
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--times", type=int, default=3)
    given = options.parse_args()
    best: dict[str, dict[str, float]] = {}
    counts: set[str] = set()
    asked = 0
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "first.csv", Path(folder) / "second.csv"
        write(first, given.rows, changed=False)
        write(second, given.rows, changed=True)
        for _ in range(given.times):
            for peer in ("duckdb", "format", "sovereign"):
                told = json.loads(measured("peer_files.py", peer, str(first), str(second)).output.splitlines()[-1])
                held = best.setdefault(peer, {"wall": told["seconds"], "cpu": told["cpu"]})
                held |= {"wall": min(held["wall"], told["seconds"]), "cpu": min(held["cpu"], told["cpu"])}
                if peer == "sovereign":
                    flow = best.setdefault("flow", {"wall": told["asked_seconds"], "cpu": told["asked_cpu"]})
                    flow |= {"wall": min(flow["wall"], told["asked_seconds"]), "cpu": min(flow["cpu"], told["asked_cpu"])}
                    asked = told["asked"]
                counts |= {json.dumps(told["counts"])} if "counts" in told else set()
    if len(counts) != 1:
        raise SystemExit(f"the peers do not agree: {counts}")
    ratios = {
        f"{peer}_against_duckdb_{figure}": best[peer][figure] / best["duckdb"][figure]
        for peer in ("format", "sovereign")
        for figure in ("wall", "cpu")
    }
    shown = {f"{peer}_{figure}": seconds for peer, held in best.items() for figure, seconds in held.items()}
    for figure in ("wall", "cpu"):
        ratios[f"pull_and_flow_against_duckdb_{figure}"] = (best["sovereign"][figure] + best["flow"][figure]) / best["duckdb"][
            figure
        ]
    report("files", rows=given.rows, asked=asked, **shown, **ratios)


if __name__ == "__main__":
    main()
