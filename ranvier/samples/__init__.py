"""Small data sets inside the package, for demonstrations and tests; LICENSES.md beside them names their sources."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from ranvier.core.errors import PlanError, did_you_mean

_FILES = {
    "fashion_train": "fashion_train.parquet",
    "fashion_test": "fashion_test.parquet",
    "snippets_train": "snippets_train.csv",
    "snippets_test": "snippets_test.csv",
    "penguins": "penguins.csv",
}


def names() -> list[str]:
    """The samples: pictures of clothes, snippets of film reviews, a table of penguins."""
    return list(_FILES)


def path(name: str) -> Path:
    """The file of a sample, by name or file name. Raises PlanError for an unknown one."""
    file = _FILES.get(name, name)
    if file not in _FILES.values():
        raise PlanError(f"unknown sample {name!r}; {did_you_mean(name, _FILES)}")
    return Path(str(files(__name__) / file))
