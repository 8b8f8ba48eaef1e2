"""Read documents and split them into sentences with character offsets. Needs no torch."""
