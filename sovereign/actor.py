"""Who acts, as the machine knows it: the name that the audit log seals in the body of an entry.

It is the account of the real user id, and the account behind `sudo` when it says so; nobody's word is taken for it but the
machine's. It proves nothing against someone who holds that account.
"""

import os
import pwd
from typing import Final

SERVICE: Final = "sovereign serve"
"""The actor of what `sovereign serve` does by itself."""


def person() -> str:
    """Give the name of who runs this process: `jeanne`, or `root (sudo: jeanne)`."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    behind = os.environ.get("SUDO_USER", "")[:64]
    return f"{name} (sudo: {behind})" if behind and behind.isprintable() else name
