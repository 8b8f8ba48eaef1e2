"""SONAR's codec and the systems that predict its vectors, in plain PyTorch."""
