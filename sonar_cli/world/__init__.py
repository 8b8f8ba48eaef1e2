"""The story world: a grammar that writes small children's stories. Needs no torch."""
