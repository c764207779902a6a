"""What a run reads of a mailbox, decided by how each folder stands: unchanged folders cost nothing more.

1. A folder's state is its UIDVALIDITY, UIDNEXT, HIGHESTMODSEQ and number of messages; the cursor is the states as they were
   listed when the run began, with the UIDs of each folder: what changes meanwhile has a greater number, and comes next time.
2. With CONDSTORE, what changed is asked (CHANGEDSINCE); with QRESYNC also what is gone (VANISHED), which must agree with the
   folder's own count; otherwise, or when they disagree, the UIDs are listed and compared.
3. Without CONDSTORE, all UIDs and flags are listed and compared with those of the last run.
4. Another UIDVALIDITY is another folder: the former keys are removed, all is read. So it is for a folder that is gone, or new.
5. A folder that is listed and cannot be opened keeps what the last run knew of it, and is told: nothing is removed.
6. HIGHESTMODSEQ or UIDNEXT below what they were (a server restored from a backup): all is read again, and it is said.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from saas_connectors.asking import Answer, fetch
from saas_connectors.connector import Json, ReadPlan, Slice
from saas_connectors.mail import imap_answers
from saas_connectors.mail.imap_answers import Token, items, number, text
from saas_connectors.mail.imap_calls import Calls, Folder
from saas_connectors.mail.imap_names import among, numbers, ranges
from saas_connectors.mail.imap_settings import Settings
from saas_connectors.mail.imap_streams import GROUP
from saas_connectors.request import Request, Response

Flags = dict[int, str]


class _Away(Exception):
    """A folder that was listed, and cannot be opened or was made anew since."""


FLAGS_AT_ONCE: Final = 100_000
_MODSEQ: Final = frozenset({"CONDSTORE", "QRESYNC"})


@dataclass(slots=True)
class _Work:
    """What is to be read of one folder, and removed of it."""

    folder: Folder
    read: Iterable[int] = ()
    removed: Iterable[int] = ()
    back: bool = False
    known: set[int] = field(default_factory=set)
    flags: Flags | None = None

    def state(self) -> dict[str, Json]:
        """The folder's state for the cursor."""
        folder = self.folder
        held: dict[str, Json] = {
            "validity": folder.validity, "next": folder.next, "modseq": folder.modseq, "messages": folder.messages,
            "uids": ranges(self.known),
        }  # fmt: skip
        if self.flags is not None:
            by_flags: dict[str, list[int]] = {}
            for uid, said in self.flags.items():
                by_flags.setdefault(said, []).append(uid)
            held["flags"] = {said: ranges(uids) for said, uids in sorted(by_flags.items())}
        return held


@dataclass(frozen=True, slots=True)
class Planning:
    """Cuts a run into one part a folder that moved, and a last one that bears the cursor."""

    calls: Calls
    settings: Settings

    def slices(self, plan: ReadPlan) -> Answer[tuple[Slice, ...]]:
        """List the folders, and ask those that moved what changed."""
        streams = tuple(each.name for each in plan.streams if each.group == GROUP)
        full = any(plan.modes[name] == "full_refresh" for name in streams)
        past = {} if full else _past(plan, streams)
        able = yield from self.calls.capabilities()
        listed = yield from self.calls.folders(able)
        wanted = [each for each in listed if each.known and self.settings.wants(each.name, each.flags)]
        unread = [each for each in listed if not each.known and self.settings.wants(each.name, each.flags)]
        made: list[Slice] = []
        cursor: dict[str, Json] = {}
        gone: list[Json] = []
        counted = found = 0
        for folder in wanted:
            old = past.get(folder.raw)
            try:
                work = yield from self._work(folder, old, able)
            except _Away:
                unread.append(folder)
                continue
            if work is None:
                cursor[folder.raw] = old
                continue
            cursor[folder.raw] = work.state()
            counted, found = counted + folder.messages, found + len(work.known)
            if old is not None and old["validity"] != folder.validity:
                gone.append([folder.raw, old["validity"], old["uids"]])
            detail = {
                "raw": folder.raw, "name": folder.name, "validity": folder.validity, "uids": ranges(work.read),
                "removed": ranges(work.removed), "back": work.back, "modseq": folder.modseq > 0 and bool(able & _MODSEQ),
            }  # fmt: skip
            if detail["uids"] or detail["removed"] or work.back:
                made.append(Slice(f"mail:{_short(folder.raw)}", streams, detail))
        cursor |= {each.raw: past[each.raw] for each in unread if each.raw in past}
        gone += [[raw, old["validity"], old["uids"]] for raw, old in past.items() if raw not in cursor]
        end = {"cursor": cursor, "gone": gone, "counts": [counted, found] if full else [], "unread": len(unread)}
        return (*made, Slice(GROUP, streams, end))

    def _work(self, folder: Folder, old: Json, able: frozenset[str]) -> Answer[_Work | None]:
        """Find out what a folder needs; None for nothing."""
        keeps = folder.modseq > 0 and bool(able & _MODSEQ)
        if old is None or old["validity"] != folder.validity:
            return (yield from self._whole(folder, keeps=keeps))
        known = set(numbers(old["uids"]))
        if folder.next < old["next"] or (keeps and folder.modseq < old["modseq"]):
            work = yield from self._whole(folder, keeps=keeps)
            work.removed, work.back = known - work.known, True
            return work
        if not keeps or not old["modseq"]:
            return (yield from self._compared(folder, old, known, keeps=keeps))
        if all(old[name] == getattr(folder, name) for name in ("next", "modseq", "messages")):
            return None
        return (yield from self._since(folder, old["modseq"], known, quick="QRESYNC" in able))

    def _whole(self, folder: Folder, *, keeps: bool) -> Answer[_Work]:
        if not keeps:
            flags = yield from self._flags(folder)
            return _Work(folder, read=flags, known=set(flags), flags=flags)
        known = yield from self._listed(folder)
        return _Work(folder, read=known, known=known)

    def _compared(self, folder: Folder, old: Json, known: set[int], *, keeps: bool) -> Answer[_Work | None]:
        """Hold UIDs and flags against those of the last run."""
        flags = yield from self._flags(folder)
        before = {uid: said for said, uids in old.get("flags", {}).items() for uid in numbers(uids)}
        moved = [uid for uid, said in flags.items() if before.get(uid) != said]
        removed = known - set(flags)
        work = _Work(folder, moved, removed, known=set(flags), flags=None if keeps else flags)
        return work if moved or removed or keeps or folder.next != old["next"] else None

    def _lines(self, method: str, folder: Folder, arguments: str) -> Answer[tuple[Request, Response, list[list[Token]]]]:
        """Ask a folder; errors: those of a refusal, Malformed, `_Away`."""
        request = self.calls.uid(method, folder.raw, folder.validity, arguments)
        (response,) = yield from fetch(request)
        if response.status == 410:
            raise _Away
        return request, response, imap_answers.read(request, response)

    def _since(self, folder: Folder, modseq: int, known: set[int], *, quick: bool) -> Answer[_Work]:
        """Ask what changed since."""
        asked = f"1:* (FLAGS) (CHANGEDSINCE {modseq}{' VANISHED' if quick else ''})"
        request, response, lines = yield from self._lines("FETCH", folder, asked)
        moved: set[int] = set()
        gone: list[str] = []
        for line in lines:
            if len(line) == 3 and line[1] == "FETCH" and (uid := number(items(line[2]).get("UID"))) is not None:
                moved.add(uid)
            elif len(line) == 3 and line[:1] == ["VANISHED"] and line[1] == ["EARLIER"]:
                gone.append((text(line[2]) or b"").decode("latin-1"))
        try:
            vanished = among(gone, known)
        except ValueError:
            raise imap_answers.unreadable(request, response) from None
        present = (known - vanished) | moved
        if not quick or len(present) != folder.messages:
            present = yield from self._listed(folder)
        return _Work(folder, (moved | (present - known)) & present, known - present, known=present)

    def _listed(self, folder: Folder) -> Answer[set[int]]:
        request, response, told = yield from self._lines("SEARCH", folder, "UID 1:*")
        lines = [line for line in told if line[:1] == ["SEARCH"]]
        if not lines and folder.messages:
            raise imap_answers.unreadable(request, response)
        found = {uid for line in lines for each in line[1:] if (uid := number(each)) is not None}
        if len(found) != sum(not isinstance(each, list) for line in lines for each in line[1:]):
            raise imap_answers.unreadable(request, response)
        return found

    def _flags(self, folder: Folder) -> Answer[Flags]:
        """The flags of every message, so many at once that an answer stays within what is read of one."""
        spans = ["1:*"]
        if folder.messages > FLAGS_AT_ONCE:
            uids = sorted((yield from self._listed(folder)))
            starts = range(0, len(uids), FLAGS_AT_ONCE)
            spans = [f"{uids[at]}:{uids[min(at + FLAGS_AT_ONCE, len(uids)) - 1]}" for at in starts]
        found: Flags = {}
        for span in spans:
            _, _, lines = yield from self._lines("FETCH", folder, f"{span} (UID FLAGS)")
            for line in lines:
                held = items(line[2]) if len(line) == 3 and line[1] == "FETCH" else {}
                uid = number(held.get("UID"))
                if uid is not None:
                    found[uid] = " ".join(flags_of(held.get("FLAGS")))
        return found


def flags_of(token: Token) -> list[str]:
    """Flags of a message, in order, without the one that belongs to a session."""
    held = token if isinstance(token, list) else []
    return sorted(flag for flag in held if isinstance(flag, str) and flag.lower() != "\\recent")


def _past(plan: ReadPlan, streams: tuple[str, ...]) -> Mapping[str, Any]:
    """The folders as the last run left them, when all streams stand at the same."""
    cursors = [plan.cursors.get(name) for name in streams]
    first = cursors[0]
    if not isinstance(first, Mapping) or any(each != first for each in cursors):
        return {}
    held = first.get("folders")
    return held if isinstance(held, Mapping) else {}


def _short(raw: str) -> str:
    return hashlib.sha256(raw.encode("latin-1", "replace")).hexdigest()[:16]
