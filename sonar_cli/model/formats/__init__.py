"""Reading and writing checkpoints in their published layouts."""
