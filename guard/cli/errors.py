"""What a command cannot do, in a sentence for whoever typed it.

::

    CliError
    ├── NotInstalled     the cluster serves no Guards
    ├── ListForbidden    the caller may not list something in the namespaces asked for
    ├── NoSuchGuard      no Guard of that name
    ├── NoSuchKind       the API server knows no kind of that name
    ├── NoSuchObject     neither the cluster nor any inventory has the object
    ├── NotGuarded       the object is there, and no Guard guards it
    └── BadReference     a text that names no object
"""

from guard import errors


class CliError(errors.HoldfastError):
    """A command cannot do what it was asked for."""


class NotInstalled(CliError):
    """The cluster serves no kind Guard."""

    def __init__(self, server: str) -> None:
        super().__init__(f"Holdfast is not installed at {server}: it serves no kind Guard.")


class ListForbidden(CliError):
    """The caller may not list something; ``namespace`` is empty for all namespaces."""

    def __init__(self, what: str, namespace: str) -> None:
        if namespace:
            sentence = f"You may not list {what} in the namespace {namespace}."
        else:
            sentence = f"You may not list {what} in all namespaces; name one with -n."
        super().__init__(sentence)


class NoSuchGuard(CliError):
    """There is no Guard of that name; ``namespace`` is empty for all namespaces."""

    def __init__(self, name: str, namespace: str) -> None:
        place = f"the namespace {namespace}" if namespace else "any namespace"
        super().__init__(f"There is no Guard {name} in {place}.")


class NoSuchKind(CliError):
    """The API server knows no kind, plural or short name like that."""

    def __init__(self, word: str) -> None:
        super().__init__(f"The API server knows no kind {word}.")


class NoSuchObject(CliError):
    """Neither the cluster nor any inventory has the object."""

    def __init__(self, title: str) -> None:
        super().__init__(f"There is no {title}, and no Guard declares one.")


class NotGuarded(CliError):
    """The object is there, but no Guard guards it."""

    def __init__(self, title: str) -> None:
        super().__init__(f"{title} is not guarded: no Guard declares it.")


class BadReference(CliError):
    """A text that names no object."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} names no object; write KIND/NAME, like deploy/web.")


def leaves(error: Exception) -> list[Exception]:
    """Give the errors of a group of errors, or the one error."""
    if not isinstance(error, ExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in leaves(inner)]
