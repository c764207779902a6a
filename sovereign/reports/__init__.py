"""What the security officer reads: all that entered and left over a period, from the audit log, and whether the log holds.

`make` reads, and gives a `Report`: plain tables. `html`, `csv` and `json` show one and know nothing of what it is about.
"""

from sovereign.reports.making import KINDS, Kind, make
from sovereign.reports.model import Report

__all__ = ["KINDS", "Kind", "Report", "make"]
