"""`python -m sonar_cli` is the same program as `sonar-llm`."""

from sonar_cli.cli import main

if __name__ == "__main__":
    main()
