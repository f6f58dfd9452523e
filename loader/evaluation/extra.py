"""Libraries that only parts of the evaluation need: they come with an extra, and are imported where they are used."""

from importlib import import_module
from types import ModuleType

from kindred.errors import PreconditionError

EXTRA = "pip install 'kindred[evaluation]'"


def needed(module: str, what: str) -> ModuleType:
    """Imports a library of the extra.

    Args:
        module: The module.
        what: Who needs it, for the error.

    Raises:
        PreconditionError: It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        message = f"{what} needs {module.partition('.')[0]} ({error}); install it: {EXTRA}"
        raise PreconditionError("EXTRA", module, message) from error
