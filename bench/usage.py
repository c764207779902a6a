"""Run a script and write what the process cost, as one JSON line, at the end of standard error."""

import json
import resource
import runpy
import sys


def main() -> None:
    """Run the script named first, with the arguments that follow."""
    script = sys.argv[1]
    sys.argv = sys.argv[1:]
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
        print(json.dumps({"cpu": round(cpu, 3), "peak_mb": round(own.ru_maxrss / 1024, 1)}), file=sys.stderr)


if __name__ == "__main__":
    main()
