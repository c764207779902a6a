import logging
import threading

import pytest

from sovereign.audit.errors import Damaged
from sovereign.audit.repeating import Repeating
from vault.errors import Fault


@pytest.mark.parametrize("wrong", [ValueError("Mme Martin"), Damaged(seq=1, what="tile")])
def test_neither_a_fault_nor_a_defect_ends_what_is_done_again_and_again(
    wrong: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    left, again, told = [wrong], threading.Event(), list[Fault]()

    def act() -> None:
        if left:
            raise left.pop()
        again.set()

    with caplog.at_level(logging.ERROR), Repeating("acts", act, told.append, every=0.01, again=0.01, latest=0.02):
        assert again.wait(60)
    assert told == ([wrong] if isinstance(wrong, Fault) else [])
    assert caplog.messages == ([] if told else ["acts rests after ValueError"])
