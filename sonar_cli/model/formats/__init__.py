"""The published layouts of checkpoints, read strictly and written whole."""
