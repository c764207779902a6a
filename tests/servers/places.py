"""Where the backups of a test go: a folder, or a bucket of a real object store. One word says it, to another process too."""

from dataclasses import dataclass
from pathlib import Path

from sovereign.backup.folder import FolderTarget
from sovereign.backup.s3 import Store, connect
from sovereign.backup.target import Target
from tests.servers import seaweedfs


def bucket(url: str, prefix: str = "", *, secret: str = seaweedfs.SECRET, authority: Path | None = None) -> Store:
    """The bucket of the store of the tests."""
    return Store(seaweedfs.BUCKET, url, seaweedfs.ACCESS, secret, prefix=prefix, ca_bundle=authority, loopback=True)


@dataclass(frozen=True)
class Place:
    """What makes a target, in this process or in another."""

    folder: Path
    bucket: Store | None = None

    def open(self) -> Target:
        return FolderTarget(self.folder, "nas") if self.bucket is None else connect("nas", self.bucket)

    def __str__(self) -> str:
        return str(self.folder) if self.bucket is None else f"s3:{self.bucket.prefix}@{self.bucket.url}"

    @classmethod
    def read(cls, word: str) -> "Place":
        """The place that a word says."""
        if not word.startswith("s3:"):
            return cls(Path(word))
        prefix, _, url = word[3:].partition("@")
        return cls(Path("/nowhere"), bucket(url, prefix))

    def write(self, name: str, data: bytes | None) -> None:
        """Put other bytes under a name that is taken, as a bad disk or hand would; None takes the object away."""
        target = self.open()
        target.remove(name)
        if data is not None:
            target.put(name, [data])
