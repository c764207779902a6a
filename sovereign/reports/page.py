"""A report as one HTML page: no script, nothing fetched, every value escaped, tables with captions and headed columns."""

from functools import partial

from jinja2 import Environment, PackageLoader, StrictUndefined

from sovereign.language import language, say
from sovereign.reports.model import Report
from sovereign.reports.showing import cell, instant, whole


def page(report: Report) -> bytes:
    """Write it in the language of this process, UTF-8."""
    environment = Environment(
        loader=PackageLoader("sovereign.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = environment.get_template("report.html.jinja").render(
        report=report, lang=language(), say=say, whole=whole,
        cell=partial(cell, zone=report.zone), instant=partial(instant, zone=report.zone),
    )  # fmt: skip
    return shown.encode()
