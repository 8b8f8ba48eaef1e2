"""SONAR codec and SONAR-LLM predictor in plain PyTorch."""
