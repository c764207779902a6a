"""A folder as a target: a disk, a mounted share. Temporary file, fsync, rename, fsync of the folder; 0600 and 0700."""

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sovereign.backup.errors import TargetFailed
from sovereign.backup.target import BLOCK, DATA, RECORDS, Absent
from vault import files

_SCRATCH: Final = re.compile(r"\.[0-9A-Za-z\-]+(\.backup)?\.[0-9a-f]{12}")


class FolderTarget:
    """The target that is a folder, made when the first object is put."""

    def __init__(self, folder: Path, name: str = "") -> None:
        self.folder = folder.absolute()
        self.name = name or str(folder)

    def put(self, name: str, chunks: Iterable[bytes]) -> None:
        """Make an object."""
        path = self.folder / name
        with self._told():
            files.folder(path.parent)
            scratch = path.parent / f".{path.name}.{secrets.token_hex(6)}"
            try:
                descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
                with os.fdopen(descriptor, "wb", buffering=0) as file:
                    for chunk in chunks:
                        view = memoryview(chunk)
                        while view:
                            view = view[file.write(view) :]
                    os.fsync(file.fileno())
                scratch.replace(path)
            finally:
                with suppress(FileNotFoundError):
                    scratch.unlink()
            files.flush(path.parent)

    def get(self, name: str) -> Iterator[bytes]:
        """Give an object's bytes."""
        with self._told():
            try:
                file = (self.folder / name).open("rb", buffering=0)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise Absent(name) from None
            with file:
                while block := file.read(BLOCK):
                    yield block

    def sizes(self, prefix: str) -> dict[str, int]:
        """Give names and sizes."""
        found: dict[str, int] = {}
        with self._told():
            folders = [self.folder / prefix]
            while folders:
                folder = folders.pop()
                try:
                    with os.scandir(folder) as entries:
                        for entry in entries:
                            if entry.is_dir(follow_symlinks=False):
                                folders.append(folder / entry.name)
                            elif not entry.name.startswith(".") and entry.is_file(follow_symlinks=False):
                                name = (folder / entry.name).relative_to(self.folder).as_posix()
                                found[name] = entry.stat(follow_symlinks=False).st_size
                except FileNotFoundError:
                    continue
        return found

    def remove(self, name: str) -> None:
        """Remove an object."""
        with self._told(), suppress(FileNotFoundError):
            files.remove(self.folder / name)

    def sweep(self) -> None:
        """Remove temporary files."""
        with self._told():
            for prefix in (DATA, RECORDS):
                for path in (self.folder / prefix).rglob(".*"):
                    if _SCRATCH.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                        path.unlink(missing_ok=True)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TargetFailed(target=self.name, reason=error.strerror or type(error).__name__) from None
