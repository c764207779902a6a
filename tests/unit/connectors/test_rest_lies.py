"""A vendor whose pages or counts contradict themselves: the evidence says so, whatever way the list is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
import pytest

from saas_connectors.connector import Json
from saas_connectors.request import Request, Response
from sovereign.sync.verdict import Facts, judge
from tests.servers.declared import Pull, connect


@dataclass
class Deaf:
    """A vendor that gives the same document whatever page is asked."""

    document: Json
    calls: list[Request] = field(default_factory=list)

    def respond(self, request: Request) -> Response:
        self.calls.append(request)
        return Response(200, request.full_url, orjson.dumps(self.document))


def rows(count: int) -> Sequence[Mapping[str, int]]:
    return [{"id": n, "rank": n} for n in range(count)]


@pytest.mark.parametrize("around", [{}, {"page": 1, "per_page": 100}])
def test_a_vendor_that_ignores_the_page_is_said_to_repeat_it(around: Mapping[str, Json]) -> None:
    pull = Pull(Deaf({"data": rows(100), "total": 1000, **around}), connect())
    assert set(pull.ids) == set(range(100))
    said = [each.holds for one in pull.reads for each in one.evidence if each.check == "page_repeated"]
    assert False in said


def test_a_short_list_that_ignores_pages_it_has_not_is_not_said_to_miss_any() -> None:
    pull = Pull(Deaf({"data": rows(50)}), connect())
    assert len(pull.ids) == 50
    assert pull.evidence["page_repeated"].holds is None


def test_a_total_below_what_came_is_a_remark_with_both_counts() -> None:
    pull = Pull(Deaf({"data": rows(1029), "total": 3}), connect())
    assert len(pull.ids) == 1029
    verdict = judge("people", list(pull.evidence.values()), Facts(full=True, distinct=1029))
    (said,) = (each for each in verdict.evidence if each.check == "vendor_count")
    assert (verdict.state, said.holds, said.detail) == ("unverified", None, {"count": 3, "read": 1029})
