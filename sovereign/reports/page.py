"""A report or a dossier as one HTML page: no script, nothing fetched, every value escaped, tables captioned and headed.

The one part that is not escaped is `figure`: a drawing made by this house, which escaped what it was given.
"""

from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sovereign.language import language, say
from sovereign.reports.model import Alarm, Dossier, Report
from sovereign.reports.showing import cell, dated, whole


def page(report: Report) -> bytes:
    """Write a report in the language of this process, UTF-8."""
    return _shown("report.html.jinja", report.zone, report=report)


def dossier(told: Dossier, figure: str = "") -> bytes:
    """Write a dossier in the language of this process, UTF-8. figure: a drawing (SVG) whose every text is escaped already."""
    return _shown("dossier.html.jinja", told.zone, dossier=told, figure=figure)


def _shown(template: str, zone: str, **given: Any) -> bytes:  # noqa: ANN401 - what templates are given
    environment = Environment(
        loader=PackageLoader("sovereign.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["alarm"] = lambda value: isinstance(value, Alarm)
    told = environment.get_template(template).render(
        **given,
        lang=language(),
        say=say,
        whole=whole,
        titled=titled,
        cell=partial(cell, zone=zone),
        instant=partial(dated, zone=zone),
    )
    return told.lstrip().encode()


def titled(title: object) -> Markup:
    """A title within a text of CSS: what could end the text, or the style, stands as its number (CSS Syntax 3, 4.3.7)."""
    return Markup("".join(each if each.isalnum() or each in " ,'()°" else f"\\{ord(each):x} " for each in str(title)))  # noqa: S704
