"""The house stands: imports go down, no circles, no secret doors; files and functions stay small; start-up is quick."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from binding_names import refused_in

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "headstart"
FLOORS = [{"errors", "version"}, {"disk"}, {"files", "progress", "extensions"}, {"settings"}, {"contract"}, {"text"},
          {"data", "metrics", "search", "baselines"},
          {"tasks", "models"}, {"generation", "training"}, {"preparation", "inspection", "artifacts"}, {"prediction"},
          {"evaluation"}, {"reports"}, {"runs", "tracking"}, {"tuning", "export"}, {"retrieval", "shipping"}, {"api"}, {"serving"}, {"cli"},
          {"__main__"}]
# (from, to, why): the only imports of our own that may stand inside a function.
LAZY_IMPORTS: list[tuple[str, str, str]] = [
    ("cli\\.", "", "start-up: `--help` of every command comes in 0.3 s, so a command imports what it runs only when it "
                   "runs"),
    ("api\\.", "", "what needs no model (`headstart check`) loads no torch, and the first `headstart.load` loads only "
                   "what loading needs"),
    ("tasks\\.", "(metrics|baselines|search|tasks)\\.", "numpy, scikit-learn and scipy come with them; `--help` lists "
                                                        "every task's settings"),
    ("models\\.", "models\\.(register|transfo_xl|heads\\.custom_heads)",
     "classes of our own import transformers' modelling code, 1 s; most models need none"),
    ("data\\.readers\\.formats", "data\\.readers\\.", "a served export reads no file: 40 ms of readers and their "
                                                     "expressions before its first answer"),
    ("(runs\\.sharded|training\\.state)", "training\\.shard", "torch's sharding and distributed checkpoints, 1 s; a "
                                                             "training in one process needs none"),
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES}


def room(module: str) -> str:
    """The room of a module on its floor: `headstart.data.table` -> data; `headstart` itself has none."""
    return module.split(".")[1] if "." in module else ""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path, tree: ast.AST) -> list[tuple[str, int]]:
    """(module, line) of every import of our own in a tree of this file: absolute, relative, and by importlib with a
    plain text.
    """
    here = module_of(path) if path.stem != "__init__" else module_of(path) + ".__init__"
    imports = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*here.split(".")[:-node.level], *filter(None, [node.module])])
            for alias in node.names:
                whole_name = f"{base}.{alias.name}"
                imports.append((whole_name if whole_name in MODULES else base, node.lineno))
        elif isinstance(node, ast.Import):
            imports += [(alias.name, node.lineno) for alias in node.names]
        elif (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name) and node.args
              and (node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id) == "import_module"
              and isinstance(node.args[0], ast.Constant)):
            imports.append((str(node.args[0].value), node.lineno))
    return [(name, line) for name, line in imports if name.split(".")[0] == "headstart"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_and_never_sideways(path):
    here = room(module_of(path))
    for name, line in imported(path, ast.parse(path.read_text(encoding="utf-8"))):
        there = room(name)
        assert there or not here, f"{path}:{line} imports headstart itself; take what it needs from its own module"
        if here and there != here:
            assert FLOOR[there] < FLOOR[here], f"{path}:{line} imports {name}, which is not below {here}"


def test_no_files_import_each_other_in_a_circle():
    arrows = {module: {name for name, _ in imported(path, ast.parse(path.read_text(encoding="utf-8")))
                       if name in MODULES and name != module}
              for module, path in MODULES.items() if module != "headstart"}
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " -> ".join([*way[way.index(module):], module])
        if module not in done:
            for name in sorted(arrows.get(module, ())):
                visit(name, (*way, module))
            done.add(module)

    for module in sorted(arrows):
        visit(module, ())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_private_names_stay_in_their_folder(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    here = module_of(path).rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("headstart"):
            for alias in node.names:
                if alias.name.startswith("_") and not alias.name.startswith("__"):
                    assert (node.module or "") in (
                        here, module_of(path)), f"{path}:{node.lineno} imports {alias.name} of {node.module}"


def hidden_imports(path: Path) -> list[tuple[str, int]]:
    """Imports of our own inside functions of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return sorted({pair for function in functions for pair in imported(path, function)})


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_an_import_is_hidden_in_a_function_only_for_a_listed_reason(path):
    here = module_of(path).removeprefix("headstart.")
    for name, line in hidden_imports(path):
        there = name.removeprefix("headstart.")
        assert any(re.match(source, here) and re.match(target, there) for source, target, _ in LAZY_IMPORTS), \
            f"{path}:{line} hides the import of {name}; put it at the top, or name its reason in LAZY_IMPORTS"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_names_say_what_a_thing_is(path):
    assert not refused_in(path), "; ".join(f"{path}:{line} {name}" for name, line in refused_in(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_file_has_a_floor_and_stays_small(path):
    assert module_of(path) == "headstart" or room(module_of(path)) in FLOOR, f"{path} stands on no floor"
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 350
    assert path.stem != "utils"
    assert "TO" + "DO" not in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_fit_on_a_screen(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            length = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node):
                length -= node.body[0].end_lineno - node.body[0].lineno + 1
            assert length <= 40, f"{path}:{node.lineno} {node.name} has {length} lines"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_everything_public_has_a_docstring(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path} has no docstring"
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for node in [*tree.body, *(inside for held in classes for inside in held.body)]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            overload = isinstance(node, ast.FunctionDef) and any("overload" in ast.dump(one)
                                                                 for one in node.decorator_list)
            assert overload or ast.get_docstring(node), f"{path}:{node.lineno} {node.name} has no docstring"


@pytest.mark.parametrize("path", [path for path in FILES
                                  if room(module_of(path)) in ("contract", "tasks", "errors", "settings", "text")],
                         ids=lambda path: str(path.relative_to(PACKAGE)))
def test_tasks_and_the_contract_import_no_torch_at_module_level(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else \
            [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.split(".")[0] for name in names} & {"torch", "transformers", "sklearn"}


def test_silenced_checks_are_few_and_each_has_a_reason():
    silenced = []
    for path in FILES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if "type: " + "ignore" in line or "# " + "noqa" in line:
                silenced.append((path, number, line))
                assert line.count("#") >= 2 or " - " in line, f"{path}:{number} gives no reason"
    assert len(silenced) <= 10


def test_the_project_names_no_machine_of_ours():
    import os

    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True,
                            check=True).stdout.split("\n")
    for name in filter(None, listed):
        path = ROOT / name
        if path.suffix in (".py", ".md", ".toml", ".txt", ".yml", "") and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            for word in ("/wo" + "rk/", "sha" + "red/data", ".lib" + "rary"):
                assert word not in text, f"{name} mentions {word}"
    assert os.sep == "/"


@pytest.mark.parametrize("command", [["-c", "import headstart"], ["-m", "headstart", "--help"]])
def test_start_up_is_quick(command):
    # Processor seconds, not those of the clock, which other programs stretch; on an idle machine both are 0.1 to 0.2.
    seconds = []
    for _ in range(5):
        before = os.times()
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True)
        after = os.times()
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(seconds) <= 0.3
