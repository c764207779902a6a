"""Open311 GeoReport v2: what people report about public space, read and reported on."""

from saas_connectors.urban.open311.connector import make

__all__ = ["make"]
