"""Public procurement: the essential data of public contracts (DECP)."""
