"""kubernetes_asyncio without the cost of what we do not use of it.

Its packages import, when they are imported, 850 generated modules for all kinds and verbs of
Kubernetes: about a second of CPU and 62 MB, and reading a kubeconfig needs none of them. So the
packages are put where Python looks for them, in sys.modules, with their ``__init__`` not run. Their
modules can be imported one by one from then on, and the ``__init__`` runs when a package is asked
for a name that is no module of it. Whatever else uses the library in this process finds all of it
by the normal names, and the same classes as we do.
"""

import importlib
import importlib.util
import sys
import threading
import types
from typing import Any, Final

import structlog

_logger = structlog.get_logger(__name__)

_ROOT: Final = "kubernetes_asyncio"
_DEFERRED: Final = (_ROOT, f"{_ROOT}.client", f"{_ROOT}.client.models")
"""The packages with costly ``__init__``, each after its parent."""

_CLIENT: Final = f"{_ROOT}.client"
_ASKED_FOR: Final = {"Configuration": "configuration", "ApiClient": "api_client"}
"""Names which the library's ``config`` imports from its ``client``, and where they are defined."""

_lock = threading.Lock()
_running: Final[set[tuple[str, int]]] = set()
"""Each ``__init__`` that runs, and in which thread."""


def lighten() -> None:
    """Make the imports of kubernetes_asyncio that follow cheap, if that can be done.

    To be called before each import statement for it; all but the first call do nothing. The import
    is whole, and slow, if somebody else has imported the library before, or if the library is not
    laid out as we know it.
    """
    with _lock:
        if _ROOT in sys.modules:
            return
        try:
            for package in _DEFERRED:
                _defer(package)
            for name, module in _ASKED_FOR.items():
                definer = importlib.import_module(f"{_CLIENT}.{module}")
                setattr(sys.modules[_CLIENT], name, getattr(definer, name))
            importlib.import_module(f"{_ROOT}.config")
        except (ImportError, AttributeError) as error:
            _logger.debug("kubernetes_asyncio is imported as a whole", reason=str(error))
            _forget()


class _Deferred(types.ModuleType):
    """A package whose ``__init__`` runs once it is asked for what is no module of it.

    From then on it is an ordinary module. No lock is held meanwhile: inside the ``__init__`` each
    thread waits for what another one is importing, and Python sees to it that this never locks up.
    Two threads that run it bind the same names to the same things.
    """

    def __getattr__(self, attribute: str) -> Any:
        submodule = f"{self.__name__}.{attribute}"
        if importlib.util.find_spec(submodule) is not None:
            return importlib.import_module(submodule)
        _complete(self)
        return types.ModuleType.__getattribute__(self, attribute)

    def __dir__(self) -> list[str]:
        _complete(self)
        return sorted(vars(self))


def _defer(name: str) -> None:
    """Put a package into sys.modules without running its ``__init__``."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        message = f"There is no package {name}."
        raise ImportError(message)
    module = importlib.util.module_from_spec(spec)
    module.__class__ = _Deferred
    kept = sys.modules.setdefault(name, module)  # another thread may have imported it meanwhile
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, kept)


def _complete(module: types.ModuleType) -> None:
    """Run the package's ``__init__``, unless this thread is inside of it (a circular import)."""
    run = (module.__name__, threading.get_ident())
    spec = module.__spec__
    if run in _running or spec is None or spec.loader is None:
        return
    _running.add(run)
    try:
        spec.loader.exec_module(module)
    finally:
        _running.discard(run)
    module.__class__ = types.ModuleType


def _forget() -> None:
    """Take the library out of sys.modules again."""
    for name in list(sys.modules):
        if name == _ROOT or name.startswith(f"{_ROOT}."):
            del sys.modules[name]
