"""How fast this machine is: what `sonar-llm bench` measures."""
