"""Fast linear maps for inputs of few rows: packed weights, int8 weights, and their files."""
