"""Two vendors of a town, joined by a flow: a request about public space that is closed closes the letter it came from."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from saas_connectors.sandbox import Sandbox
from saas_connectors.sandbox.maarch import Maarch
from saas_connectors.sandbox.open311 import Open311
from saas_connectors.sandbox.vendor import SECRET, USER
from tests.servers.service import Service, service

SETTINGS = """
[connections.courrier]
connector = "maarch"
url = "{mail}"
secret = "courrier"
auth = {{ kind = "basic", user = "{user}" }}
mode = "incremental"
streams = ["resources"]
writes = ["close_letter"]
network = {{ loopback = true, plaintext = true }}

[connections.signalements]
connector = "open311"
url = "{reports}/v2"
since = "2026-01-01"
streams = ["requests"]
network = {{ loopback = true, plaintext = true }}
"""


def run(here: Service, *line: str) -> list[dict[str, Any]]:
    return here.run(*line)


@pytest.mark.timeout(600)
def test_a_closed_request_closes_its_letter_and_no_other(tmp_path: Path) -> None:
    with Sandbox(Maarch(20)) as mail, Sandbox(Open311()) as reports:
        here = service(tmp_path, SETTINGS.format(mail=mail.url, reports=reports.url, user=USER))
        with here.site() as site:
            site.set_secret("courrier", "courrier", SECRET.encode())
            site.outbound.people.put("dsi", [])
            month = site.clock() + timedelta(days=30)
            for each in ("signalements", "courrier"):
                site.outbound.rights.grant(
                    "person", "dsi", "clearance", "personal", by="root", reason="flow", connection=each, expires_at=month
                )
        open_ = [each for each in reports.vendor.held.values() if each.status == "open" and each.made.year == 2026][:2]
        for letter, report in zip((101, 102), open_, strict=True):
            mail.vendor.store.change(
                "res_letterbox", "res_id", letter, status="COU", external_id=json.dumps({"signalement": str(report.id)})
            )
        run(here, "sync", "run")
        run(here, "flow", "new", "request-closes-letter", "clos")
        run(here, "flow", "enable", "clos")
        here.allow("flow-clos", "courrier", "close_letter")
        reports.vendor.close(open_[0].id)
        run(here, "sync", "run", "signalements")
        (done,) = run(here, "flow", "run")
        assert (done["occasions"], done["writes"]) == (1, 1)
        states = {row["res_id"]: row["status"] for row in mail.vendor.store.rows("SELECT res_id, status FROM res_letterbox")}
        assert (states[101], states[102]) == ("END", "COU")
        (row,) = run(here, "flow", "show", "clos", "--key", "101")
        assert row["standing"] in ("delivered", "confirmed")
