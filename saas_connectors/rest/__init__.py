"""A REST source in a few lines of sovereign.toml: its list of records, its paging, its total are found when left out."""

from saas_connectors.rest.connector import Rest, make

__all__ = ["Rest", "make"]
