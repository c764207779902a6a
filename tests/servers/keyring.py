"""A real encrypted keyring for the tests: gnome-keyring on a private D-Bus session, in a folder of its own.

As a context manager it points this process at them and gives the folder; on leaving, both daemons are ended and the environment
is put back. `missing()` names what is not installed.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import keyring
import secretstorage
from keyring.backends.SecretService import Keyring as SecretService
from secretstorage.exceptions import SecretStorageException

# No service folders: the bus must not start a second, locked keyring by itself when asked before ours has its name.
BUS = """<busconfig>
  <type>session</type>
  <listen>unix:dir={folder}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
PARTS = ("dbus-daemon", "gnome-keyring-daemon")


def missing() -> list[str]:
    return [part for part in PARTS if shutil.which(part) is None]


def _ready(patience: float = 60) -> None:
    """Wait until the login collection is there and open: the daemon takes its name on the bus before."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        with closing(secretstorage.dbus_init()) as connection, suppress(SecretStorageException):
            there = secretstorage.check_service_availability(connection)
            if there and not secretstorage.get_collection_by_alias(connection, "default").is_locked():
                return
        time.sleep(0.02)
    raise TimeoutError("gnome-keyring did not open its login collection")


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
        (home / "bus.conf").write_text(BUS.format(folder=name))
        bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={home / 'bus.conf'}", "--nofork", "--nopidfile", "--print-address=1"],
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
            _ready()
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
                process.wait(timeout=60)
                assert process.stdout is not None
                process.stdout.close()
