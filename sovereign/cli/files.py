"""Files that a person asked for: whole or not at all, readable by their owner alone."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sovereign.errors import SovereignError


class AlreadyThere(SovereignError):
    """A file that must not be replaced."""

    code = "output.exists"
    kind = "usage"
    fr = "{path} existe déjà ; rien n'a été écrit."
    en = "{path} already exists; nothing was written."
    todo_fr = "Nommez un autre endroit."
    todo_en = "Name another place."


class CannotWrite(SovereignError):
    """The place asked for does not take a file."""

    code = "output.refused"
    fr = "Impossible d'écrire {path} ({reason})."
    en = "Cannot write {path} ({reason})."
    todo_fr = "Vérifiez le dossier, ses droits et la place libre."
    todo_en = "Check the folder, its rights and the room left."


class NoFolder(CannotWrite):
    """The folder of the file asked for does not exist."""

    code = "output.folder"
    kind = "usage"
    fr = "Le dossier de {path} n'existe pas ; rien n'a été fait."
    en = "The folder of {path} does not exist; nothing was done."
    todo_fr = "Créez-le, ou nommez un autre endroit."
    todo_en = "Make it, or name another place."


def refuse_a_lost_folder(path: Path) -> None:
    """Raise NoFolder when the folder of a file to write does not exist."""
    if not path.absolute().parent.is_dir():
        raise NoFolder(path=str(path))


def refuse_to_replace(path: Path) -> None:
    """Raise AlreadyThere when there is something, CannotWrite when its folder takes no file."""
    try:
        if path.exists():
            raise AlreadyThere(path=str(path))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as refused:
        raise _cannot(path, refused) from None
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise CannotWrite(path=str(path), reason=os.strerror(errno.EACCES))


def _cannot(path: Path, refused: OSError) -> CannotWrite:
    return CannotWrite(path=str(path), reason=os.strerror(refused.errno) if refused.errno else "?")


@contextmanager
def written_privately(path: Path, *, replace: bool = True) -> Iterator[BinaryIO]:
    """Give a file open for writing that takes its name once it is whole and on disk (mode 0600)."""
    temporary = ""
    try:
        if not replace:
            refuse_to_replace(path)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        Path(temporary).replace(path)
        _flush(path.parent)
    except OSError as refused:
        raise _cannot(path, refused) from None
    finally:
        if temporary:
            Path(temporary).unlink(missing_ok=True)


def write_folder(path: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write a new folder (mode 0700) of files (0600), which takes its name once all are whole and on disk.

    Errors: AlreadyThere, CannotWrite; nothing is left then.
    """
    refuse_to_replace(path)
    temporary = ""
    try:
        temporary = tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.")
        for name, content in files:
            with written_privately(Path(temporary, name)) as sink:
                sink.write(content)
        Path(temporary).rename(path)
        _flush(path.parent)
    except OSError as refused:
        if refused.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise AlreadyThere(path=str(path)) from None
        raise _cannot(path, refused) from None
    finally:
        if temporary:
            shutil.rmtree(temporary, ignore_errors=True)


def _flush(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
