import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("kindred", "server", "consumers", "loader", "cli")
DOORS = ("server", "consumers", "loader")
PURE = (
    "kindred.attribute_columns",
    "kindred.attribute_filter",
    "kindred.boosts",
    "kindred.bounded_cache",
    "kindred.content",
    "kindred.deadline",
    "kindred.diversity",
    "kindred.errors",
    "kindred.explanations",
    "kindred.filter_checks",
    "kindred.filter_effect",
    "kindred.id_order",
    "kindred.item_filter",
    "kindred.item_filter_checks",
    "kindred.item_index",
    "kindred.item_indexes",
    "kindred.item_masks",
    "kindred.items",
    "kindred.nearest",
    "kindred.new_items",
    "kindred.packed_ratings",
    "kindred.popular_counts",
    "kindred.popularity",
    "kindred.rating_period",
    "kindred.prediction",
    "kindred.ratings",
    "kindred.recipes",
    "kindred.recommendation",
    "kindred.ridge",
    "kindred.scales",
    "kindred.neighborhood",
    "kindred.scoring",
    "kindred.segment_attributes",
    "kindred.star_curve",
    "kindred.timing",
    "kindred.title_search",
    "kindred.unknown_names",
    "kindred.user_filter",
    "kindred.weighting",
    "kindred.word_index",
    "loader.evaluation.bootstrap",
    "loader.evaluation.metrics",
    "loader.evaluation.options",
    "loader.evaluation.rating_errors",
    "loader.evaluation.splits",
    "loader.evaluation.table",
)
"""Modules without input or output."""


def imported(source: str, module: str, *, is_package: bool = False) -> set[str]:
    """The modules that a module imports, anywhere in it; for `from a import b` both `a` and `a.b`.

    Args:
        source: The module's source.
        module: Its dotted name, which relative imports start from.
        is_package: Whether it is an `__init__`.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            base = ".".join(parts[: len(parts) - node.level + is_package]) if node.level else ""
            origin = ".".join(filter(None, (base, node.module)))
            found |= {origin} | {f"{origin}.{alias.name}" for alias in node.names}
    return found


def within(name: str, packages: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of the packages or below one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def modules() -> dict[str, set[str]]:
    """Every module of ours but the generated ones, with what it imports."""
    found = {}
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        if not within(name, ("kindred.v1",)):
            found[name] = imported(path.read_text(), name, is_package=is_package)
    return found


MODULES = modules()


def importers(package: str) -> set[str]:
    """Our modules that import a package."""
    return {name for name, names in MODULES.items() if any(within(each, (package,)) for each in names)}


def offences(of: tuple[str, ...], against: tuple[str, ...]) -> dict[str, set[str]]:
    """Which modules of some packages import what from others."""
    found = {name: {each for each in names if within(each, against)} for name, names in MODULES.items()}
    return {name: names for name, names in found.items() if names and within(name, of)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import a.b, c as d", {"a.b", "c"}),
        ("from a.b import c as d, e", {"a.b", "a.b.c", "a.b.e"}),
        ("def f():\n    if x:\n        import a", {"a"}),
        ("if TYPE_CHECKING:\n    from a import b", {"a", "a.b"}),
        ("from . import a", {"kindred.stores", "kindred.stores.a"}),
        ("from .a import b", {"kindred.stores.a", "kindred.stores.a.b"}),
        ("from ..a import b", {"kindred.a", "kindred.a.b"}),
        ("from .. import a", {"kindred", "kindred.a"}),
        ("x = 'import a'", set()),
    ],
)
def test_imports_of_every_form_are_seen(source: str, expected: set[str]) -> None:
    """These tests see imports at any depth, relative ones and ones for types."""
    assert imported(source, "kindred.stores.edge") == expected


def test_relative_imports_of_a_package_start_in_it() -> None:
    """In an `__init__` one dot is the package itself."""
    assert imported("from .a import b", "kindred.stores", is_package=True) == {"kindred.stores.a", "kindred.stores.a.b"}


def test_our_modules_are_seen() -> None:
    """These tests look at all five packages, and at the modules that they name."""
    assert {name.partition(".")[0] for name in MODULES} == set(PACKAGES)
    assert {"kindred.ratings", "kindred.weighting", "kindred.items", "kindred.stores.edge"} <= MODULES.keys()
    assert "kindred.stores.port" in MODULES["kindred.stores.edge"]


@pytest.mark.parametrize("door", DOORS)
def test_doors_do_not_know_one_another(door: str) -> None:
    """Server, consumers and loader import the heart and never one another, nor the commands."""
    others = tuple(each for each in (*DOORS, "cli") if each != door)
    assert offences((door,), others) == {}


def test_the_heart_knows_no_door() -> None:
    """Nothing in kindred imports server, consumers, loader or cli."""
    assert offences(("kindred",), (*DOORS, "cli")) == {}


def test_nothing_of_ours_imports_the_tests() -> None:
    """The product does without its tests and benchmarks."""
    assert offences(PACKAGES, ("tests", "benchmarks")) == {}


def test_pure_modules_import_only_pure_modules_of_ours() -> None:
    """A pure module imports none of ours but pure ones: no store, no settings, no generated code."""
    impure = {
        name: {each for each in names if within(each, PACKAGES) and each != "kindred" and not within(each, PURE)}
        for name, names in MODULES.items()
        if within(name, PURE)
    }
    assert len(impure) >= 4
    assert {name: names for name, names in impure.items() if names} == {}


def test_pure_modules_need_only_arrays() -> None:
    """A pure module imports the standard library, numpy and scipy, and so no gRPC, Kafka, Qdrant or pydantic."""
    known = sys.stdlib_module_names | {"numpy", "scipy", *PACKAGES}
    foreign = {
        name: {each for each in names if each.partition(".")[0] not in known}
        for name, names in MODULES.items()
        if within(name, PURE)
    }
    assert {name: names for name, names in foreign.items() if names} == {}


def test_pure_modules_pull_nothing_in() -> None:
    """In a fresh interpreter the pure modules load without any engine, wire or settings library behind them."""
    names = sorted(name for name in MODULES if within(name, PURE))
    script = f"import sys, {', '.join(names)}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run(  # noqa: S603  # our own modules
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60
    ).stdout.split()
    assert {"kindred", "numpy"} <= set(loaded)
    assert set(loaded) & {"grpc", "google", "kafka", "qdrant_edge", "qdrant_client", "pydantic", "pandas"} == set()


def test_one_package_touches_kafka() -> None:
    """Only the event log imports the untyped Kafka library."""
    assert {name.rpartition(".")[0] for name in importers("kafka")} == {"kindred.eventlog"}


def test_one_adapter_touches_the_embedded_engine() -> None:
    """Only the adapter of the embedded store imports its engine."""
    modules_of_edge = {"kindred.stores.edge", "kindred.stores.edge_filter", "kindred.stores.edge_shard"}
    assert importers("qdrant_edge") == modules_of_edge


def test_one_package_touches_qdrants_client() -> None:
    """Only the adapter of a Qdrant server imports its client."""
    assert {name.rpartition(".")[0] for name in importers("qdrant_client")} == {"kindred.stores.qdrant"}
