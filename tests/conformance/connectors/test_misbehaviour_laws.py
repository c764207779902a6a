"""The laws of misbehaviour are able to fail: a connector that breaks one is caught."""

from dataclasses import dataclass, replace

import pyarrow.compute as pc
import pytest

from saas_connectors.conformance import misbehaviour, suite
from saas_connectors.connector import Catalog, Checked, Evidence, Exchange, Fetch, Json, Page, Reading, ReadPlan, Slice
from saas_connectors.errors import ConnectorError, Malformed
from saas_connectors.registry import make
from saas_connectors.rest import Rest
from tests.conformance.connectors.vendors import STARTED, VENDORS, Misbehaving


@dataclass(frozen=True)
class Wrong:
    """A connector that breaks one law, over a sound one."""

    sound: Rest
    how: str
    name: str = "wrong"
    version: str = "1"

    def check(self) -> Exchange[Checked]:
        return self.sound.check()

    def discover(self) -> Exchange[Catalog]:
        return self.sound.discover()

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        return self.sound.slices(plan)

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        reading = self.sound.read(plan, part, None if self.how == "doubles" else position)
        body, counted, given = b"", None, 0
        try:
            asked = next(reading)
            while True:
                if isinstance(asked, Evidence):
                    counted = asked.detail.get("count", counted)
                kept = self._kept(asked, plan, given if counted is None else given - counted)
                answers = (yield kept) if kept is not None else None
                if isinstance(asked, Fetch) and answers:
                    body = answers[0].body  # type: ignore[union-attr]
                if isinstance(asked, Page):
                    given += asked.records.num_rows
                asked = reading.send(answers)
        except StopIteration as end:
            return {**plan.cursors, **({} if self.how == "stalls" and plan.cursors else end.value)}
        except ConnectorError:
            if self.how == "swallows":
                return {}
            if self.how == "echoes":
                shown = body.decode("utf-8", "replace")
                raise Malformed(method="GET", path="/", status=200, expected_fr=shown, expected_en=shown) from None
            if self.how == "crashes":
                raise KeyError("items") from None
            raise

    def _kept(self, asked: object, plan: ReadPlan, beyond: int) -> object:
        """What goes through; None for what does not."""
        if isinstance(asked, Evidence):
            return None if self.how == "stalls" else asked
        if not isinstance(asked, Page):
            return asked
        records = asked.records
        if self.how == "counts" and beyond >= 0:
            return None
        if self.how == "narrows":
            records = records.select([name for name in plan.streams[0].schema.names if name in records.column_names])
        if self.how == "stalls" and plan.cursors:
            records = records.filter(pc.greater(records.column("updated"), plan.cursors["agents"]))
        return replace(asked, records=records)


def vendor(how: str) -> tuple[Misbehaving, Wrong]:
    made = VENDORS["rest"]()
    stream = dict(made.settings["streams"]["agents"]) | {"path": "/page/agents"}
    sound = make("rest", "town", {"url": "http://vendor.example", "slices": 1, "streams": {"agents": stream}})
    assert isinstance(sound, Rest)
    return made, Wrong(sound, how)


@pytest.mark.parametrize(
    ("how", "law"),
    [
        ("swallows", "nothing is lost in silence"),
        ("echoes", "shows in the error"),
        ("crashes", "not in KeyError"),
        ("counts", "the records are the same"),
        ("narrows", "its values are in the copy"),
        ("doubles", "nothing twice"),
    ],
)
def test_a_connector_that_breaks_a_law_is_caught(how: str, law: str) -> None:
    made, connector = vendor(how)
    with pytest.raises(suite.Violation, match=law):
        misbehaviour.run(connector, made.server.respond, made.lists, started_at=STARTED)


def test_a_connector_that_stalls_on_a_cursor_from_the_future_is_caught() -> None:
    made, connector = vendor("stalls")
    assert made.back is not None
    assert made.onward is not None
    with pytest.raises(suite.Violation, match="went back in time"):
        misbehaviour.restored(connector, made.server.respond, made.back, made.onward, started_at=STARTED)


def test_a_place_where_no_list_is_does_not_pass_for_one() -> None:
    made, connector = vendor("nothing")
    with pytest.raises(suite.Violation, match="some answers"):
        misbehaviour.run(connector, made.server.respond, [replace(each, path="/nowhere$") for each in made.lists])
