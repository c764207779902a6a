"""What a command is given: the site it acts on, opened when first asked for, and the channels it answers through."""

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sovereign.cli.output import Output
from sovereign.errors import NoSite

if TYPE_CHECKING:
    from sovereign.site import Site

SETTINGS: Final = "sovereign.toml"


@dataclass(slots=True)
class Door:
    """The command line, seen from one command.

    `folder` is what `--site` named; `exit` is the code to leave with when nothing was raised.
    """

    out: Output = field(default_factory=Output)
    folder: Path | None = None
    exit: int = 0
    _site: "Site | None" = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def path(self) -> Path:
        """The site's folder: `--site`, else SOVEREIGN_SITE, else the current folder or the nearest parent that is one."""
        named = self.folder or (Path(os.environ["SOVEREIGN_SITE"]) if os.environ.get("SOVEREIGN_SITE") else None)
        if named is not None:
            if not (named / SETTINGS).is_file():
                raise NoSite(path=str(named))
            return named.absolute()
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / SETTINGS).is_file():
                return folder
        raise NoSite(path=str(here))

    def site(self, actor: str | None = None) -> "Site":
        """Open the site, once; for an actor, who types when None."""
        if self._site is None:
            path = self.path()
            from sovereign.cli.marks import set_zone
            from sovereign.cli.passphrase import ask
            from sovereign.site import Site

            self._site = Site.open(path, passphrase=lambda: ask(path), actor=actor)
            self._stack.callback(self._site.close)
            set_zone(self._site.settings.site.zone)
        return self._site

    def close(self) -> None:
        """Release what was opened."""
        self._stack.close()
