"""What `sovereign --help` costs, and that it speaks before anything heavy is loaded."""

import resource
import subprocess
import sys

import pytest

HEAVY = {"duckdb", "pyarrow", "requests", "sqlalchemy", "rich", "cryptography", "keyring", "tomlkit", "lxml"}
PROBE = """
import sys
from sovereign.cli.main import main
code = main(sys.argv[1:])
print(code, *sorted({name.partition(".")[0] for name in sys.modules} & set(%r)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["query", "--help"], ["sync", "run", "--help"], ["keys", "--help"], ["nothing"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    said = subprocess.run([sys.executable, "-c", PROBE % HEAVY, *arguments], capture_output=True, text=True, check=True)
    assert said.stderr.splitlines()[-1].split()[1:] == []


def test_help_is_there_before_one_notices() -> None:
    took = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "sovereign.cli.main", "--help"], capture_output=True, check=True)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(spent.ru_utime + spent.ru_stime - before.ru_utime - before.ru_stime)
    # The bar is 0.2 s on a quiet machine (docs/measurements.md); tests run on busy ones, and count its work alone.
    assert min(took) < 0.6
