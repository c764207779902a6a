"""What leaves, put together: people and their rights, applications, approvals.

`Site.outbound` gives it; each part is made when it is first asked for.
"""

import os
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sovereign.access import Clients, People, Rights
    from sovereign.access.callbacks import Callbacks
    from sovereign.gateway.approvals import Approvals
    from sovereign.gateway.openings import Openings
    from sovereign.parts import Parts


class Outbound:
    """The side of a site that writes to vendors."""

    def __init__(self, site: "Parts") -> None:
        self._site = site

    @cached_property
    def people(self) -> "People":
        """Who is known."""
        from sovereign.access import People

        return People(self._site.state, self._site.audit, self._site.clock)

    @cached_property
    def rights(self) -> "Rights":
        """Who may do what."""
        from sovereign.access import Rights

        return Rights(self._site.state, self._site.audit, self._site.clock, self.people)

    @cached_property
    def clients(self) -> "Clients":
        """The applications that write."""
        from sovereign.access import Clients

        return Clients(self._site.state, self._site.audit, self._site.clock)

    @cached_property
    def callbacks(self) -> "Callbacks":
        """Where those applications are told what became of their writes."""
        from sovereign.access.callbacks import Callbacks

        return Callbacks(self._site.state, self._site.audit, self._site.secrets, self._site.clock)

    @cached_property
    def openings(self) -> "Openings":
        """What applications ask to have opened."""
        from sovereign.gateway.openings import Openings

        return Openings(self._site.state, self._site.audit, self._site.keys, self._site.clock, os.urandom)

    @cached_property
    def approvals(self) -> "Approvals":
        """What is held until people decide."""
        from sovereign.gateway.approvals import Approvals

        return Approvals(self._site.state, self._site.audit, self._site.keys, self._site.clock, self.rights)
