"""Where the API server is and how to prove who we are: kubernetes_asyncio's part of the work.

This is the one module that uses kubernetes_asyncio: its reading of kubeconfigs (exec plugins,
OIDC, merging of several files) and of a pod's service account. It is imported when it is needed,
and only the part of it that is: all of it would cost a second and 62 MB (guard.cluster.library).
"""

import asyncio
import os
import pathlib
import ssl
import time
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import structlog
import yaml

from guard.cluster import errors, library

_logger = structlog.get_logger(__name__)

_LOAD_TIMEOUT_SECONDS: Final = 60.0  # an exec plugin may ask a cloud's API, or hang
_RENEW_AT_MOST_EVERY_SECONDS: Final = 10.0  # a revoked token must not start a plugin per request
_BEARER: Final = "BearerToken"  # the library's name of the Authorization header's value

_DEFAULT_KUBECONFIG: Final = pathlib.Path("~/.kube/config")


class Authorizer:
    """Gives the Authorization header of each request, and renews it once the server refuses it.

    A pod's token is read anew each minute by the library's own hook. Everything else (exec plugin,
    token file, OIDC) is loaded anew when the server has answered 401: no timer, no background task.
    """

    def __init__(
        self,
        configuration: Any,
        reload: Callable[[], Awaitable[Any]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._configuration = configuration
        self._reload = reload
        self._clock = clock
        self._renewed_at = -_RENEW_AT_MOST_EVERY_SECONDS
        self._lock = asyncio.Lock()

    async def header(self) -> str | None:
        """Give the header's value; None if we prove ourselves by a client certificate."""
        value = await self._configuration.get_api_key_with_prefix(_BEARER)
        # Token files often end in a line break, which no header may hold.
        return value.strip() if value else None

    async def renew(self, refused: str) -> str | None:
        """Give another value than ``refused``, or None if there is no other to be had now.

        Of many requests that are refused at once only the first loads the configuration.
        """
        async with self._lock:
            current = await self.header()
            if current == refused and self._may_renew():
                self._renewed_at = self._clock()
                try:
                    self._configuration = await self._reload()
                except errors.BadConfiguration as error:
                    _logger.warning("cannot renew the token", error=str(error))
                current = await self.header()
            return current if current != refused else None

    def _may_renew(self) -> bool:
        return self._clock() - self._renewed_at >= _RENEW_AT_MOST_EVERY_SECONDS


class Connection(NamedTuple):
    """What is needed to reach one API server. ``tls`` is None for plain HTTP."""

    server: str
    tls: ssl.SSLContext | None
    tls_server_name: str | None
    proxy: str | None
    authorizer: Authorizer


async def load(kubeconfig: pathlib.Path | None, context: str | None) -> Connection:
    """Read the configuration that applies here.

    Looked for in this order, as controller-runtime's GetConfig does: ``kubeconfig``, the files that
    the variable KUBECONFIG names, the service account of a pod, ``~/.kube/config``. ``context``
    names a context of the kubeconfig; its current one if None. Raises BadConfiguration.
    """

    async def again() -> Any:
        return await read(kubeconfig, context)

    configuration = await again()
    server = str(configuration.host).rstrip("/")
    try:
        tls = _tls(configuration) if server.startswith("https:") else None
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        message = f"The certificates of the configuration cannot be used: {error}."
        raise errors.BadConfiguration(message) from error
    return Connection(
        server=server,
        tls=tls,
        tls_server_name=configuration.tls_server_name,
        proxy=configuration.proxy or _proxy_from_environment(server),
        authorizer=Authorizer(configuration, again),
    )


async def read(kubeconfig: pathlib.Path | None, context: str | None) -> Any:
    """Give kubernetes_asyncio's Configuration, filled. Raises BadConfiguration."""
    library.lighten()
    from kubernetes_asyncio import client, config
    from kubernetes_asyncio.config import incluster_config

    configuration = client.Configuration()
    files = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG", "")
    in_pod = not files and "KUBERNETES_SERVICE_HOST" in os.environ
    where = "the pod's service account" if in_pod else files or str(_DEFAULT_KUBECONFIG)
    if not in_pod:
        _require_a_file(files or str(_DEFAULT_KUBECONFIG))
    try:
        async with asyncio.timeout(_LOAD_TIMEOUT_SECONDS):
            if in_pod:
                incluster_config.InClusterConfigLoader(
                    token_filename=incluster_config.SERVICE_TOKEN_FILENAME,
                    cert_filename=incluster_config.SERVICE_CERT_FILENAME,
                ).load_and_set(configuration)
            else:
                await config.load_kube_config(
                    files or str(_DEFAULT_KUBECONFIG.expanduser()),
                    context=context,
                    client_configuration=configuration,
                )
    except TimeoutError as error:
        message = f"Reading {where} took longer than {_LOAD_TIMEOUT_SECONDS:g} s: a hanging plugin?"
        raise errors.BadConfiguration(message) from error
    except config.ConfigException as error:
        # Not chained: the library names a faulty entry by its whole content, token included.
        told = str(error).partition("{")[0].strip()
        message = f"Cannot use {where}: {told}"
        raise errors.BadConfiguration(message) from None
    except (
        yaml.YAMLError,
        OSError,
        AssertionError,  # the library's answer to an unknown context or cluster
        AttributeError,
        KeyError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        # Not chained, for the same reason.
        message = f"Cannot use {where}: it is no well-formed kubeconfig ({type(error).__name__})."
        raise errors.BadConfiguration(message) from None
    return configuration


def _require_a_file(files: str) -> None:
    """Raise BadConfiguration if none of the files exists: the library would only log it."""
    candidates = [pathlib.Path(name).expanduser() for name in files.split(os.pathsep) if name]
    if not any(candidate.is_file() for candidate in candidates):
        message = f"There is no kubeconfig at {files}, and this is no pod of a cluster."
        raise errors.BadConfiguration(message)


def _tls(configuration: Any) -> ssl.SSLContext:
    """Make the TLS context, as kubernetes_asyncio's rest client does."""
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _proxy_from_environment(server: str) -> str | None:
    """Give the proxy that HTTPS_PROXY and NO_PROXY ask for, as kubectl heeds them.

    Looked up once: aiohttp's ``trust_env`` does it for each request, and reads ~/.netrc as well.
    """
    parts = urllib.parse.urlsplit(server)
    if urllib.request.proxy_bypass(parts.netloc):
        return None
    return urllib.request.getproxies().get(parts.scheme)
