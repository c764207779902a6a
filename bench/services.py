"""The services that a departure closes: SCIM sandboxes in one process of their own; prints their ports as one JSON line."""

import argparse
import json
import threading
from contextlib import ExitStack

from saas_connectors.sandbox import Sandbox
from saas_connectors.sandbox.scim import Scim, user


def main() -> None:
    """Serve until killed."""
    options = argparse.ArgumentParser()
    options.add_argument("--systems", type=int, required=True)
    options.add_argument("--people", type=int, required=True)
    given = options.parse_args()
    with ExitStack() as stack:
        services = [stack.enter_context(Sandbox(Scim(map(user, range(given.people)), cap=1000))) for _ in range(given.systems)]
        print(json.dumps([each.port for each in services]), flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
