"""Text generation one sentence at a time with SONAR-LLM.

`SonarLLM` and its options are imported when they are first used: `import sonar_cli` alone loads
nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sonar_cli.api import SonarLLM
    from sonar_cli.options import (
        GenerationOptions,
        InputOptions,
        Step,
        Summary,
        SummaryOptions,
        SummarySentence,
    )
    from sonar_cli.text.inputs import Text

__version__ = "0.1.0"

_HOMES = {
    "SonarLLM": "sonar_cli.api",
    "GenerationOptions": "sonar_cli.options",
    "InputOptions": "sonar_cli.options",
    "Step": "sonar_cli.options",
    "Summary": "sonar_cli.options",
    "SummaryOptions": "sonar_cli.options",
    "SummarySentence": "sonar_cli.options",
    "Text": "sonar_cli.text.inputs",
}

__all__ = [
    "GenerationOptions",
    "InputOptions",
    "SonarLLM",
    "Step",
    "Summary",
    "SummaryOptions",
    "SummarySentence",
    "Text",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sonar_cli' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
