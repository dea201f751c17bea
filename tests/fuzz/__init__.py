"""Whatever arrives, valid or not: what reads it and what acts on it stay whole."""
