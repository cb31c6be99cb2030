"""From git's output to a class of causes (argo-cd#7723, kubernetes/git-sync#851)."""

import pytest

from guard.sources import causes, errors

URL = "https://mona:hunter2@git.example/shop.git"

CASES = [
    # git 2.39 with curl, and OpenSSH 9, as they were seen or as their sources have them.
    (
        (
            "fatal: unable to access 'https://git.example/shop.git/': Could not resolve host: "
            "git.example"
        ),
        errors.Unreachable,
    ),
    (
        (
            "fatal: unable to access 'http://127.0.0.1:1/x.git/': Failed to connect to 127.0.0.1 "
            "port 1 after 0 ms: Couldn't connect to server"
        ),
        errors.Unreachable,
    ),
    (
        (
            "ssh: Could not resolve hostname git.example: Name or service not known\n"
            "fatal: Could not read from remote repository."
        ),
        errors.Unreachable,
    ),
    (
        (
            "ssh: connect to host git.example port 22: Connection refused\n"
            "fatal: Could not read from remote repository."
        ),
        errors.Unreachable,
    ),
    (
        (
            "ssh: connect to host git.example port 22: Connection timed out\n"
            "fatal: Could not read from remote repository."
        ),
        errors.Unreachable,
    ),
    ("fatal: unable to access 'x': Operation too slow. Less than 1 bytes", errors.Unreachable),
    ("fatal: unable to access 'x': Empty reply from server", errors.Unreachable),
    ("fatal: unable to access 'x': Recv failure: Connection reset by peer", errors.Unreachable),
    ("fatal: unable to access 'x': The requested URL returned error: 502", errors.Unreachable),
    ("fatal: unable to access 'x': The requested URL returned error: 429", errors.Unreachable),
    ("error: RPC failed; curl 18\nfatal: early EOF", errors.Unreachable),
    (
        (
            "remote: Invalid username or password.\n"
            "fatal: Authentication failed for 'https://mona:hunter2@git.example/shop.git/'"
        ),
        errors.Unauthorized,
    ),
    (
        "fatal: could not read Username for 'https://git.example': terminal prompts disabled",
        errors.Unauthorized,
    ),
    ("fatal: unable to access 'x': The requested URL returned error: 403", errors.Unauthorized),
    (
        (
            "git@git.example: Permission denied (publickey).\n"
            "fatal: Could not read from remote repository."
        ),
        errors.Unauthorized,
    ),
    (
        (
            "No ED25519 host key is known for git.example and you have requested strict checking.\n"
            "Host key verification failed.\nfatal: Could not read from remote repository."
        ),
        errors.UnknownHostKey,
    ),
    (
        (
            "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n"
            "Host key verification failed.\nfatal: Could not read from remote repository."
        ),
        errors.UnknownHostKey,
    ),
    (
        (
            "fatal: unable to access 'x': server certificate verification failed. CAfile: none "
            "CRLfile: none"
        ),
        errors.UntrustedCertificate,
    ),
    (
        "fatal: unable to access 'x': SSL certificate problem: self-signed certificate",
        errors.UntrustedCertificate,
    ),
    ("fatal: repository 'http://127.0.0.1:1/x.git/' not found", errors.RepositoryNotFound),
    (
        (
            "fatal: '/srv/x.git' does not appear to be a git repository\n"
            "fatal: Could not read from remote repository."
        ),
        errors.RepositoryNotFound,
    ),
    ("ERROR: Repository not found.\nfatal: Could not read from", errors.RepositoryNotFound),
    ("fatal: remote error: upload-pack: not our ref 1234", errors.UnknownRef),
    ("fatal: couldn't find remote ref refs/heads/x", errors.UnknownRef),
    ("fatal: transport 'http' not allowed", errors.RefusedUrl),
    ("fatal: something that nobody has seen", errors.GitFailed),
    ("", errors.GitFailed),
]


@pytest.mark.parametrize(("stderr", "kind"), CASES)
def test_each_text_of_git_has_its_cause(stderr: str, kind: type[errors.SourceError]) -> None:
    """The class is what a person must do about it."""
    error = causes.error(stderr, url=URL)

    assert kind is type(error)
    assert str(error).startswith("https://git.example/shop.git: ")


@pytest.mark.parametrize(
    "stderr",
    [
        *(text for text, _ in CASES),
        "fatal: odd 'https://mona:hunter2@git.example/shop.git'",
        "fatal: odd hunter2",
        "remote: you sent hunter2\nfatal: odd",
        "remote: you sent hunter2",
        "fatal: odd https://other:hunter2@mirror.example/",
    ],
)
def test_no_credentials_reach_a_text(stderr: str) -> None:
    """Neither the password of the URL, nor any other user info, nor what the server says."""
    assert "hunter2" not in str(causes.error(stderr, url=URL))


def test_an_encoded_password_is_hidden_in_both_forms() -> None:
    """Git decodes it before it prints it."""
    url = "https://mona:p%40ss@git.example/shop.git"

    sentence = str(causes.error("fatal: odd p@ss and p%40ss", url=url))

    assert "p@ss" not in sentence
    assert "p%40ss" not in sentence


def test_a_long_line_with_control_characters_is_cut_and_cleaned() -> None:
    """Terminal sequences of a server never reach a terminal."""
    detail = causes.detail("fatal: \x1b[31m" + "x" * 1000)

    assert len(detail) < 250
    assert detail.isprintable()
