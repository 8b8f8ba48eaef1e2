"""Text generation one sentence at a time with SONAR-LLM."""

__version__ = "0.1.0"
