"""The same process as `puller`, for the vendor of letters and files."""

from saas_connectors import registry
from tests.journeys.puller import main
from tests.servers.papers import CONNECTION

if __name__ == "__main__":
    registry.KINDS["letters"] = "tests.servers.papers:make"  # type: ignore[index]  # a dict, in fact
    main(CONNECTION)
