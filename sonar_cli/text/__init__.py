"""A file -> its sentences, with their offsets. Needs no torch."""
