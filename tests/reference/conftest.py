"""The reference scripts need sonar-space, so pytest must not import them."""

collect_ignore_glob = ["*.py"]
