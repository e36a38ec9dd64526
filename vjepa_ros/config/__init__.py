"""Configuration: the parameter table, what it is resolved to, and the files that say more."""
