"""WsgiDAV, a WebDAV server that we did not write, in a process of its own, over a folder: a server that takes PUT.

Usage: python -m tests.servers.webdav FOLDER. Prints its port, then serves until it is ended.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def webdav(folder: Path) -> Iterator[str]:
    """Serve a folder, for anyone; gives its address."""
    command = [sys.executable, "-m", "tests.servers.webdav", str(folder)]
    running = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        yield f"http://127.0.0.1:{int(running.stdout.readline())}/"
    finally:
        running.kill()
        running.communicate()


def _serve(folder: str) -> None:
    from cheroot.wsgi import Server
    from wsgidav.wsgidav_app import WsgiDAVApp

    settings = {
        "provider_mapping": {"/": folder}, "simple_dc": {"user_mapping": {"*": True}}, "verbose": 0,
        "logging": {"enable": False}, "dir_browser": {"enable": False},
    }  # fmt: skip
    server = Server(("127.0.0.1", 0), WsgiDAVApp(settings))
    server.prepare()
    print(server.bind_addr[1], flush=True)  # noqa: T201 - whoever started it reads it
    server.serve()


if __name__ == "__main__":
    _serve(sys.argv[1])
