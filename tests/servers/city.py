"""A site that has witnesses, as its operator sees it: settings, commands, and what `serve` does, faster."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sovereign.audit.publication import Publisher
from sovereign.audit.witnesses import Witnesses
from sovereign.audit.witnessing import Witnessing
from sovereign.cli.main import main
from sovereign.cli.output import Output
from sovereign.site import Site
from tests.servers.sites import Wandering, credentials
from vault.cosignatures import Cosignatory
from vault.errors import Fault


@dataclass
class City:
    """A site, its folder, the clock it lives by, what its witnesses were told to say."""

    root: Path
    clock: Wandering = field(default_factory=Wandering)
    told: list[str] = field(default_factory=list)
    _site: Site | None = None

    @property
    def site(self) -> Site:
        if self._site is None:
            self._site = Site.open(self.root, clock=self.clock)
        return self._site

    def close(self) -> None:
        if self._site is not None:
            self._site.close()
            self._site = None

    def witness(self, name: str, url: str, key: Cosignatory, network: str = "plaintext = true") -> None:
        """Name a witness in the settings."""
        self.close()
        with (self.root / "sovereign.toml").open("a") as file:
            file.write(f'\n[audit.witnesses.{name}]\nurl = "{url}"\nkey = "{key.vkey}"\n')
            file.write(f"network = {{ loopback = true, {network} }}\n")

    def run(self, *words: str) -> tuple[int, list[dict[str, Any]], str]:
        """Type a command: its code, its JSON lines, what it said beside."""
        self.close()
        out, err = io.StringIO(), io.StringIO()
        code = main(["--site", str(self.root), "--json", "--lang", "en", *words], out=Output(out=out, err=err))
        return code, [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()

    def enter(self, many: int = 1) -> None:
        for number in range(many):
            self.site.audit.append("query.ran", {}, {"number": number})

    @contextmanager
    def witnessing(self, *, patience: float = 0.0) -> Iterator[Witnessing]:
        """What `serve` does, faster."""
        site = self.site
        asked = Witnesses(
            site.settings.audit, site.root, site.state, site.audit, self.clock, patience=timedelta(seconds=patience)
        )

        def trouble(fault: Fault) -> None:
            self.told.append(fault.code)

        with (
            Witnessing(asked, trouble, lambda name: self.told.append(f"back {name}"), first=0.1) as witnessing,
            Publisher(lambda: witnessing.wake(site.audit.publication.publish()), trouble, every=0.05),
        ):
            yield witnessing

    def acts(self) -> list[str]:
        """What was entered of witnesses."""
        return [each.act for each in self.site.audit.entries(act="witness")]

    def seen(self) -> list[int]:
        """How many entries each witness saw."""
        return [each.size for each in self.site.witnesses.standings()]


@contextmanager
def new_city(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[City]:
    """Make a site whose master is a credential of systemd, which costs no scrypt."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials(folder)))
    made = City(folder / "city")
    Site.create(made.root, provider="systemd-cred:sovereign", clock=made.clock).close()
    yield made
    made.close()
