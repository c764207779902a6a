"""Files that someone puts somewhere: places they lie in, and the connector that makes tables of them."""
