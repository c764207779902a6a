"""Looks for what must not leave unseen: NIR, IBAN, SIRET, cards, secrets, lists of addresses and of telephone numbers.

1. A finding is a type, a pointer and a count. The value is nowhere: not in a finding, a message, a name or a repr.
2. A check digit alone proves nothing: it goes with the structure of the number and with what the field is called. `sure` says
   whether both agree; what rests on digits alone is suspected.
3. A scan ends, and says what it could not look at: past a bound is `truncated`, not what it claims to be is `unreadable`, and
   both are findings that a policy can stop.
4. What to do is the policy's: block, hold, pseudonymise, record.

What it does not do: read images, PDF or office files; know a name or an address when it sees one; stop somebody who hides data
on purpose (classes of data and volumes are for that).
"""

from sovereign.gateway.dlp.limits import Limits
from sovereign.gateway.dlp.scanning import Scan, pseudonymise, scan

__all__ = ["Limits", "Scan", "pseudonymise", "scan"]
