"""The gateway: rooms that pull, decide and record, and the doors through which people use them."""

__version__ = "0.1.0"
