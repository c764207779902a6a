"""A real encrypted keyring for the tests: gnome-keyring on a private D-Bus session, in a folder of its own.

As a context manager it points this process at them and gives the folder; on leaving, both daemons are ended and the environment
is put back. `missing()` names what is not installed.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keyring
from keyring.backends.SecretService import Keyring as SecretService

PARTS = ("dbus-daemon", "gnome-keyring-daemon")


def missing() -> list[str]:
    return [part for part in PARTS if shutil.which(part) is None]


@contextmanager
def running() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="keyring-") as name:
        home = Path(name)
        own = {
            "HOME": name,
            "XDG_RUNTIME_DIR": name,
            "XDG_DATA_HOME": f"{name}/data",
            "XDG_CONFIG_HOME": f"{name}/config",
            "XDG_CACHE_HOME": f"{name}/cache",
        }
        bus = subprocess.Popen(
            ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address=1", f"--address=unix:dir={name}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | own,
        )
        assert bus.stdout is not None
        address = bus.stdout.readline().decode().strip()
        own["DBUS_SESSION_BUS_ADDRESS"] = address
        daemon = subprocess.Popen(
            ["gnome-keyring-daemon", "--unlock", "--foreground", "--components=secrets", f"--control-directory={name}/control"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | own,
        )
        assert daemon.stdin is not None
        assert daemon.stdout is not None
        before = {variable: os.environ.get(variable) for variable in own}
        former = keyring.get_keyring()
        try:
            daemon.stdin.write(b"a passphrase for the login keyring")
            daemon.stdin.close()
            daemon.stdout.readline()
            os.environ.update(own)
            keyring.set_keyring(SecretService())
            yield home
        finally:
            keyring.set_keyring(former)
            for variable, value in before.items():
                if value is None:
                    os.environ.pop(variable, None)
                else:
                    os.environ[variable] = value
            for process in (daemon, bus):
                process.terminate()
                process.wait(timeout=10)
                assert process.stdout is not None
                process.stdout.close()
