"""What a command cannot do, in a sentence for whoever typed it.

::

    CliError
    ├── NotInstalled     the cluster serves no Guards
    ├── ListForbidden    the caller may not list something in the namespaces asked for
    ├── NoSuchGuard      no Guard of that name
    ├── GuardStays       a Guard that was deleted is not gone
    ├── NoSuchKind       the API server knows no kind of that name
    ├── NoSuchObject     neither the cluster nor any inventory has the object
    ├── NotGuarded       the object is there, and no Guard guards it
    ├── NoGuardPod       no pod runs that has the audit records
    ├── ReadForbidden    the caller may not read the audit records through the cluster
    ├── NoSwitch         the role that switches enforcement off is not there
    ├── AlreadyOff       somebody has switched enforcement off before
    ├── WithoutEffect    the binding is there, and enforcement stays on
    ├── StillOff         the binding is gone, and enforcement stays off
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


class GuardStays(CliError):
    """A Guard that was deleted is not gone, so its objects cannot be let go of."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"The Guard {name} was deleted, but {why}; its objects are left alone.")


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


class NoGuardPod(CliError):
    """No pod of the guard process runs where it was looked for; ``found`` names one that waits."""

    def __init__(self, namespace: str, release: str, *, found: str = "") -> None:
        if found:
            what = f"The guard pod {found} in the namespace {namespace} is not ready"
        else:
            what = f"The namespace {namespace} has no guard pod of the release {release}"
        super().__init__(
            f"{what}, and the audit records are read from there. --holdfast-namespace and "
            "--release say where to look, --state names a folder to read from instead."
        )


class ReadForbidden(CliError):
    """The caller lacks a right that reading the records through the API server takes."""

    def __init__(self, right: str, namespace: str) -> None:
        super().__init__(
            "Reading the audit records through the cluster takes the right "
            f"{right} in the namespace {namespace}, which you do not have."
        )


class NoSwitch(CliError):
    """The role that the switch binds is missing, so binding it would do nothing."""

    def __init__(self, role: str, server: str) -> None:
        super().__init__(
            f"There is no ClusterRole {role} at {server}: no such release of Holdfast is installed "
            "there. -n and --release say which one is meant."
        )


class AlreadyOff(CliError):
    """Enforcement is off; all three are empty where somebody did it by hand."""

    def __init__(self, by: str, since: str, reason: str) -> None:
        who = f" by {by}" if by else ""
        when = f" since {since}" if since else ""
        why = f": {reason}" if reason else ""
        super().__init__(f"Enforcement is off already{who}{when}{why}")


class WithoutEffect(CliError):
    """The binding was made, and RBAC still does not say off."""

    def __init__(self, binding: str) -> None:
        super().__init__(
            f"The ClusterRoleBinding {binding} is there, and enforcement is still on. Either it "
            "names another namespace or release, or this cluster gives all rights to all service "
            "accounts, and the switch cannot work: see docs/security.md."
        )


class StillOff(CliError):
    """The binding is gone, and RBAC still says off."""

    def __init__(self, namespace: str, release: str) -> None:
        super().__init__(
            f"Enforcement is still off: another binding lets the service account "
            f"{namespace}:{release}-switch do it."
            " `kubectl get clusterrolebindings -o wide` shows which."
        )


class BadReference(CliError):
    """A text that names no object."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} names no object; write KIND/NAME, like deploy/web.")


def leaves(error: Exception) -> list[Exception]:
    """Give the errors of a group of errors, or the one error."""
    if not isinstance(error, ExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in leaves(inner)]
