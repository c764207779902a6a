"""Urban spaces: places, their features, and what is reported about them."""
