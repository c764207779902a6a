"""How cells are written for people, in the language of this process and the zone of the site. Pure."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sovereign.language import language
from sovereign.reports.model import Cell, Code, Kind, Words

THIN = "\N{NARROW NO-BREAK SPACE}"


def instant(at: datetime, zone: str) -> str:
    """Write an instant, to the second, with its offset."""
    return at.replace(tzinfo=at.tzinfo or UTC).astimezone(ZoneInfo(zone)).isoformat(sep=" ", timespec="seconds")


def dated(at: datetime, zone: str) -> str:
    """Write an instant as people of the language of this process write it, to the second, with its zone."""
    local = at.replace(tzinfo=at.tzinfo or UTC).astimezone(ZoneInfo(zone))
    return local.strftime("%d/%m/%Y %H:%M:%S %Z" if language() == "fr" else "%Y-%m-%d %H:%M:%S %Z")


def whole(value: int) -> str:
    """Write a whole number with its thousands apart."""
    return f"{value:,}".replace(",", THIN if language() == "fr" else ",")


def lasting(seconds: float) -> Words:
    """Say a duration by its two greatest units, in both languages."""
    left, told = max(round(seconds), 0), list[tuple[str, str]]()
    for size, fr, en in ((86_400, "j", "d"), (3_600, "h", "h"), (60, "min", "min"), (1, "s", "s")):
        count, left = divmod(left, size)
        if count and len(told) < 2:
            told.append((f"{count} {fr}", f"{count} {en}"))
        elif told:
            break
    return Words(" ".join(fr for fr, _ in told) or "0 s", " ".join(en for _, en in told) or "0 s")


def decimal(value: float) -> str:
    """Write a number with two decimals."""
    return f"{value:.2f}".replace(".", "," if language() == "fr" else ".")


def cell(value: Cell, kind: Kind, zone: str, *, grouped: bool = True) -> str:
    """Write one cell; several values are set apart by `; `.

    grouped: written to be read, thousands apart and instants as people write them; otherwise for a program that sorts them.
    """
    match value:
        case None:
            return ""
        case Code():
            return str(value.label)
        case datetime():
            return dated(value, zone) if grouped else instant(value, zone)
        case tuple():
            return "; ".join(cell(each, kind, zone, grouped=grouped) for each in value)
        case float():
            return decimal(value)
        case int() if grouped and kind in ("number", "bytes"):
            return whole(value)
        case _:
            return str(value)
