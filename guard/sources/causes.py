"""From what git prints to the class of what went wrong, with nothing secret in the sentence.

git has no exit codes for causes, only texts; they are asked for in English (LC_ALL=C).
"""

import re
from typing import Final
from urllib import parse

from guard.sources import errors, source

_MAX_DETAIL: Final = 200  # a line of a server can be of any length

_UNADVERTISED: Final = re.compile(
    r"Server does not allow request for unadvertised object", re.IGNORECASE
)

_CAUSES: Final[tuple[tuple[str, type[errors.SourceError], str], ...]] = (
    # The first match counts: "Could not read from remote repository" follows many of the others.
    ("host key verification failed", errors.UnknownHostKey, "host key"),
    ("remote host identification has changed", errors.UnknownHostKey, "host key"),
    (r"no \S+ host key is known", errors.UnknownHostKey, "host key"),
    ("certificate", errors.UntrustedCertificate, "certificate"),
    ("unable to get local issuer", errors.UntrustedCertificate, "certificate"),
    ("could not resolve host", errors.Unreachable, "name"),
    ("name or service not known", errors.Unreachable, "name"),
    ("temporary failure in name resolution", errors.Unreachable, "name"),
    ("timed out|too slow", errors.Unreachable, "time"),
    ("connection refused", errors.Unreachable, "connect"),
    ("failed to connect|couldn't connect", errors.Unreachable, "connect"),
    ("no route to host|network is unreachable", errors.Unreachable, "connect"),
    ("authentication failed|invalid credentials", errors.Unauthorized, "access"),
    ("could not read (username|password)", errors.Unauthorized, "access"),
    ("terminal prompts disabled", errors.Unauthorized, "access"),
    ("returned error: 40[13]", errors.Unauthorized, "access"),
    ("permission denied|access denied", errors.Unauthorized, "access"),
    (r"transport '\w+' not allowed", errors.RefusedUrl, "scheme"),
    (r"protocol \S+ (not supported|disabled)", errors.RefusedUrl, "scheme"),
    ("not our ref|couldn't find remote ref|no such remote ref", errors.UnknownRef, "commit"),
    ("repository .*not found|project not found", errors.RepositoryNotFound, "repository"),
    ("returned error: 404", errors.RepositoryNotFound, "repository"),
    ("does not appear to be a git repository", errors.RepositoryNotFound, "repository"),
    (r"returned error: (429|5\d\d)", errors.Unreachable, "fault"),
    ("connection (was )?reset|connection closed", errors.Unreachable, "broken"),
    ("empty reply|early eof|hung up unexpectedly", errors.Unreachable, "broken"),
    ("recv failure|send failure|broken pipe", errors.Unreachable, "broken"),
    ("unexpected disconnect|ssl_error_syscall|gnutls_handshake", errors.Unreachable, "broken"),
)

_SENTENCES: Final = {
    "host key": "the SSH host key of the server is unknown or has changed",
    "certificate": "the TLS certificate of the server cannot be verified",
    "name": "the name of the server cannot be resolved",
    "time": "the server does not answer in time",
    "connect": "the server cannot be reached",
    "access": "the server refuses access; the repository is private or not there, "
    "or the credentials are wrong",
    "scheme": "the server redirects to a scheme that is not allowed",
    "commit": "the commit is not in the repository any more",
    "repository": "there is no Git repository",
    "fault": "the server has a fault of its own or is overloaded",
    "broken": "the server broke off the connection",
}


def is_unadvertised(stderr: str) -> bool:
    """Tell if an old server gives only the tips of its refs, and not a commit by its id."""
    return _UNADVERTISED.search(stderr) is not None


def error(stderr: str, *, url: str) -> errors.SourceError:
    """Make the error of a git command that failed while it talked to ``url``."""
    shown = source.shown_url(url)
    for pattern, kind, sentence in _CAUSES:
        if re.search(pattern, stderr, re.IGNORECASE):
            return kind(f"{shown}: {_SENTENCES[sentence]}.")
    return errors.GitFailed(f"{shown}: git failed: {detail(stderr, url=url)}.")


def detail(stderr: str, *, url: str = "") -> str:
    """Give the line of git's output that tells most, short and without credentials.

    Lines of the server (``remote: ...``) are left out: they may quote what was sent.
    """
    lines = [line.strip() for line in stderr.splitlines()]
    lines = [line for line in lines if line and not line.startswith("remote:")]
    telling = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    if not telling:
        return "it gave no reason"
    text = telling[0]
    for secret in secrets(url):
        text = text.replace(secret, "***")
    text = re.sub(r"//[^/\s]*@", "//", text)
    text = re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text).rstrip(".")
    return text if len(text) <= _MAX_DETAIL else f"{text[:_MAX_DETAIL]}..."


def secrets(url: str) -> tuple[str, ...]:
    """Give the parts of a URL that no text may hold, longest first, also as git decodes them."""
    parts = re.match(r"[a-z0-9]+://(?:(?P<user>.*)@)?[^?#]*(?P<query>.*)", url, re.DOTALL)
    if parts is None:
        return ()
    user, _, password = (parts["user"] or "").partition(":")
    plain = {user, password, parts["user"] or "", parts["query"].lstrip("?#")}
    found = plain | {parse.unquote(one) for one in plain}
    return tuple(sorted(found - {"", "git"}, key=len, reverse=True))
