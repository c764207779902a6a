"""Keys, sealed bytes and signatures: the lowest floor of the house, which imports nothing of ours."""
