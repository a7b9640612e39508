"""The rules of the house: floors, no circles, no hidden imports, sizes, no broad except, a registry that resolves."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import ranvier
from ranvier.core.registry import TABLES, lookup
from ranvier.core.schema import options_of

HOUSE = Path(ranvier.__file__).parent

# a package imports lower floors only; packages of one floor never import each other
FLOORS = {
    "core": 0,
    "ops": 1,
    "samples": 1,
    "columns": 2,
    "data": 2,
    "nets": 2,
    "train": 2,
    "encoders": 3,
    "lexicon": 3,
    "heads": 3,
    "feed": 3,
    "tasks": 4,
    "planning": 5,
    "evaluate": 5,
    "model": 6,
    "estimators": 7,
    "cli": 9,
    "__main__": 10,
}
NO_TORCH = ("columns", "data", "samples")
LIMIT, USUAL_LIMIT = 600, 400  # lines of a file
LONG: set[str] = set()  # files that may pass the usual limit, such as "nets/big.py"
MAY_HIDE = ("__init__", "core.registry")  # and cli/: modules with first-party imports inside functions


@dataclass(frozen=True)
class Import:
    """module imports target (dotted names without "ranvier."; "" is the face). hidden: inside a function."""

    module: str
    target: str
    hidden: bool
    line: int


def modules(house: Path) -> dict[str, Path]:
    """Every module by its dotted name below the package; a package's own file by "pkg.__init__"."""
    return {".".join(p.relative_to(house).with_suffix("").parts): p for p in sorted(house.rglob("*.py"))}


def imports(house: Path) -> list[Import]:
    """All first-party imports, except those for type checkers only."""
    known = modules(house)
    found = []
    for module, path in known.items():
        for node, hidden in _statements(ast.parse(path.read_text(encoding="utf-8")), False):
            for name in _names(node, module):
                target = _module(name, known)
                if target is not None and target != module:
                    found.append(Import(module, target, hidden, node.lineno))
    return found


def _statements(node: ast.AST, hidden: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, hidden
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for other in child.orelse:
                yield from _statements(other, hidden)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _statements(child, hidden or inside)


def _names(node: ast.Import | ast.ImportFrom, module: str) -> list[str]:
    """What a statement imports, as absolute dotted names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        above = ["ranvier", *module.split(".")][: -node.level]
        base = ".".join([*above, base]) if base else ".".join(above)
    return [f"{base}.{alias.name}" for alias in node.names]


def _module(name: str, known: dict[str, Path]) -> str | None:
    """The module of the house that holds an imported name; None for other people's."""
    if name != "ranvier" and not name.startswith("ranvier."):
        return None
    parts = name.split(".")[1:]
    for size in range(len(parts), -1, -1):
        for candidate in (".".join(parts[:size]), ".".join([*parts[:size], "__init__"])):
            if candidate in known:
                return candidate
    return None


def package(module: str) -> str:
    """The package (or module beside the packages) that a module belongs to."""
    return module.split(".")[0]


def floor_faults(house: Path, floors: dict[str, int]) -> list[str]:
    """Packages without a floor, and imports that do not go down."""
    homeless = {package(name) for name in modules(house)} - set(floors) - {"__init__"}
    faults = [f"{name}: has no floor" for name in sorted(homeless)]
    for i in imports(house):
        mine, theirs = package(i.module), package(i.target)
        if mine == theirs or "__init__" in (mine, theirs) or {mine, theirs} & homeless:
            continue
        if floors[theirs] >= floors[mine]:
            faults.append(f"{i.module}:{i.line} imports {i.target}, which is not on a lower floor")
    return faults


def hidden_faults(house: Path) -> list[str]:
    """First-party imports inside functions, where they are not allowed."""
    return [
        f"{i.module}:{i.line} imports {i.target} inside a function"
        for i in imports(house)
        if i.hidden and not (i.module in MAY_HIDE or i.module.startswith("cli."))
    ]


def circle(house: Path) -> list[str]:
    """A circle of modules that import each other when loaded, or nothing."""
    graph: dict[str, set[str]] = {name: set() for name in modules(house)}
    for i in imports(house):
        if not i.hidden:
            graph[i.module].add(i.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def broad_excepts(house: Path) -> list[str]:
    """Places that catch everything."""
    found = []
    for name, path in modules(house).items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = [None] if node.type is None else [getattr(n, "id", "") for n in ast.walk(node.type)]
            if {None, "Exception", "BaseException"} & set(caught):
                found.append(f"{name}:{node.lineno}")
    return found


def long_files(house: Path, allowed: set[str]) -> list[str]:
    """Files over their limit."""
    found = []
    for path in modules(house).values():
        lines = path.read_text(encoding="utf-8").count("\n")
        name = path.relative_to(house).as_posix()
        if lines > (LIMIT if name in allowed else USUAL_LIMIT):
            found.append(f"{name}: {lines} lines")
    return found


def reach(house: Path, packages: tuple[str, ...]) -> dict[str, Path]:
    """The modules of the packages, and all that they import, directly or not."""
    known, graph = modules(house), {}
    for i in imports(house):
        graph.setdefault(i.module, set()).add(i.target)
    waiting = [name for name in known if package(name) in packages]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph.get(name, ())
    return {name: known[name] for name in seen}


def users_of(files: dict[str, Path], library: str) -> list[str]:
    """The modules among them that import a library."""
    found = []
    for name, path in files.items():
        for node, _ in _statements(ast.parse(path.read_text(encoding="utf-8")), False):
            if any(target.split(".")[0] == library for target in _names(node, name)):
                found.append(name)
    return sorted(set(found))


# ---- the rules


def test_floors():
    assert floor_faults(HOUSE, FLOORS) == []
    assert set(FLOORS) <= {package(name) for name in modules(HOUSE)}, "a floor whose package is not there"


def test_no_circles():
    assert circle(HOUSE) == []


def test_no_hidden_imports():
    assert hidden_faults(HOUSE) == []


def test_sizes():
    assert long_files(HOUSE, LONG) == []


def test_no_broad_except():
    assert broad_excepts(HOUSE) == []


def test_columns_and_data_need_no_torch():
    assert users_of(reach(HOUSE, NO_TORCH), "torch") == []


def test_importing_is_light():
    code = "import sys, ranvier; print(sorted({'torch', 'polars', 'numpy', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_face_resolves():
    for name in ranvier.__all__:
        assert getattr(ranvier, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ranvier.nothing


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, table in TABLES.items() for name in table])
def test_registry(kind: str, name: str):
    part = lookup(kind, name)
    assert (part.__doc__ or "").strip(), f"{kind} {name!r} has no docstring"
    assert all(option.default is not None for option in options_of(part).values())


# ---- the rules can fail


@pytest.fixture
def crooked(tmp_path: Path) -> Path:
    """A house with one fault of each kind."""
    files = {
        "__init__.py": "",
        "core/__init__.py": "",
        "core/a.py": "from ranvier.core.b import x\n",
        "core/b.py": "from .a import y\n",
        "ops/__init__.py": "",
        "ops/up.py": "import ranvier.nets.net\n",
        "nets/__init__.py": "",
        "nets/net.py": "import torch\n",
        "train/__init__.py": "",
        "train/side.py": "from ranvier.nets import net\n",
        "data/__init__.py": "",
        "data/heavy.py": "from ranvier.ops import up\n",
        "heads/__init__.py": "",
        "heads/late.py": "def f():\n    from ranvier.core import c\n",
        "heads/deaf.py": "try:\n    pass\nexcept (KeyError, Exception):\n    pass\n",
        "core/c.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ranvier.heads import late\n",
        "attic/__init__.py": "",
        "attic/long.py": "x = 0\n" * 401,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_faults_are_found(crooked: Path):
    assert floor_faults(crooked, FLOORS) == [
        "attic: has no floor",
        "ops.up:1 imports nets.net, which is not on a lower floor",
        "train.side:1 imports nets.net, which is not on a lower floor",
    ]
    assert set(circle(crooked)) == {"core.a", "core.b"}
    assert hidden_faults(crooked) == ["heads.late:2 imports core.c inside a function"]
    assert broad_excepts(crooked) == ["heads.deaf:3"]
    assert long_files(crooked, set()) == ["attic/long.py: 401 lines"]
    assert long_files(crooked, {"attic/long.py"}) == []
    assert users_of(reach(crooked, ("data",)), "torch") == ["nets.net"]
