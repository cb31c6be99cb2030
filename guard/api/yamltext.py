"""YAML that every reader reads the same.

Kubernetes reads YAML with rules of its own: it takes the plain scalars ``y``, ``0o777`` and
``1e3``, which PyYAML writes for strings, as a boolean and two numbers. So only strings that no
reader can take for anything else are written without quotes.
"""

import json
import re
from typing import Any, Final

import yaml

# A word that starts with a letter is no number and no date in any YAML version; what is left are
# the words of the two versions for booleans, null, infinity and "not a number".
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9_./,;()-]+)*")
_RESERVED: Final = frozenset(
    {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "inf", "nan"}
)
_WIDTH: Final = 100


class _Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, with our own strings."""


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style: str | None = "'"
    if _PLAIN.fullmatch(text) is not None and text.lower() not in _RESERVED:
        style = None
    elif not text.isprintable():
        # A line break in single quotes is folded; in double ones it is written as an escape.
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)


def dump(document: Any) -> str:
    """Write one document of JSON values: keys sorted, the same text for equal input."""
    # PyYAML writes an object that stands in two places as an alias; after JSON there is none.
    document = json.loads(json.dumps(document))
    return yaml.dump(document, Dumper=_Dumper, sort_keys=True, allow_unicode=True, width=_WIDTH)
