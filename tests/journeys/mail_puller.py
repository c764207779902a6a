"""A process that pulls a mailbox and can be killed; see `puller`."""

from tests.journeys.puller import main
from tests.servers.mailbox import CONNECTION

if __name__ == "__main__":
    main(CONNECTION)
