"""Unreachable, unauthorised, unknown: each is its own error, and none shows credentials."""

import asyncio
import datetime as dt
import ipaddress
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support import gitserver, polling

from guard.sources import errors

pytestmark = pytest.mark.integration

CREDENTIALS = {"user": "mona", "password": "hunter2"}


async def test_no_server_is_unreachable(server, shop, make_source) -> None:
    """Nobody listens on the port."""
    shop.commit({"a.yaml": "a: 1\n"}, "first")
    server.stop()

    with pytest.raises(errors.Unreachable, match="cannot be reached"):
        await make_source().resolve()


async def test_a_server_without_answer_is_unreachable_after_the_timeout(make_source) -> None:
    """It accepts the connection and says nothing; no process of git is left."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        opened = make_source(
            url=f"http://127.0.0.1:{silent.getsockname()[1]}/shop.git", timeout_seconds=0.5
        )

        with pytest.raises(errors.Unreachable, match=r"ls-remote took longer than 0.5 seconds"):
            await asyncio.wait_for(opened.resolve(), 5)


async def test_credentials_are_asked_for_and_used(tmp_path: Path, make_source) -> None:
    """None and wrong ones are Unauthorized, the right ones read."""
    with gitserver.GitServer(tmp_path / "private", **CREDENTIALS) as private:
        private.create("shop").commit({"a.yaml": "a: 1\n"}, "first")
        url = private.url("shop")

        for wrong in (url, url.replace("//", "//mona:hunter3@"), url.replace("//", "//mona@")):
            with pytest.raises(errors.Unauthorized) as raised:
                await make_source(url=wrong).resolve()
            assert "hunter" not in str(raised.value)
            assert "mona" not in str(raised.value)
        opened = make_source(url=url.replace("//", "//mona:hunter2@"))
        tree = await opened.read(await opened.resolve())

    assert tree.files == {"a.yaml": b"a: 1\n"}


async def test_no_credentials_stay_in_the_mirror(tmp_path: Path, make_source) -> None:
    """The URL is given to git each time and written nowhere."""
    with gitserver.GitServer(tmp_path / "private", **CREDENTIALS) as private:
        private.create("shop").commit({"a.yaml": "a: 1\n"}, "first")
        opened = make_source(url=private.url("shop").replace("//", "//mona:hunter2@"))
        revision = await opened.resolve()
        await opened.read(revision)
        await opened.pin(revision)

    files = [file for file in (tmp_path / "mirror").rglob("*") if file.is_file()]
    assert files
    assert [file for file in files if b"hunter2" in file.read_bytes()] == []


async def test_another_repository_is_not_found(server, make_source) -> None:
    """The server answers, but not for this one."""
    with pytest.raises(errors.RepositoryNotFound):
        await make_source(url=server.url("other")).resolve()


async def test_a_wrong_branch_is_unknown_and_names_what_is_like_it(shop, make_source) -> None:
    """Also as a full ref name."""
    shop.commit({"a.yaml": "a: 1\n"}, "first")

    with pytest.raises(errors.UnknownRef, match=r"no branch or tag mian\. Similar: main\."):
        await make_source(ref="mian").resolve()
    with pytest.raises(errors.UnknownRef):
        await make_source(ref="refs/heads/none").resolve()


async def test_an_empty_repository_has_no_ref(shop, make_source) -> None:
    """Nothing was pushed yet."""
    del shop

    with pytest.raises(errors.UnknownRef, match="no branch and no tag"):
        await make_source(ref="HEAD").resolve()


async def test_an_unknown_commit_is_unknown(shop, make_source) -> None:
    """A full commit names itself; that it is not there is seen when it is read."""
    shop.commit({"a.yaml": "a: 1\n"}, "first")
    opened = make_source(ref="1" * 40)

    with pytest.raises(errors.UnknownRef):
        await opened.read(await opened.resolve())


async def test_a_scheme_that_is_not_allowed_never_reaches_git(server, make_source) -> None:
    """Http and file need a flag of the process."""
    for url in (server.url("shop"), f"file://{server.root}/shop.git"):
        opened = make_source(url=url, allowed_schemes=frozenset({"https", "ssh"}))
        with pytest.raises(errors.RefusedUrl):
            await opened.resolve()

    assert server.requests == []


async def test_a_file_url_is_read_where_it_is_allowed(server, shop, make_source) -> None:
    """For tests and the demo."""
    shop.commit({"a.yaml": "a: 1\n"}, "first")
    opened = make_source(url=f"file://{server.root}/shop.git", allowed_schemes=frozenset({"file"}))

    assert (await opened.read(await opened.resolve())).files == {"a.yaml": b"a: 1\n"}


async def test_a_certificate_without_known_authority_is_untrusted(
    tmp_path: Path, make_source, monkeypatch
) -> None:
    """No variable of the environment switches verification off; a given authority is used."""
    certificate = _self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with gitserver.GitServer(tmp_path / "tls", tls=context) as server:
        server.create("shop").commit({"a.yaml": "a: 1\n"}, "first")
        url = server.url("shop")
        monkeypatch.setenv("GIT_SSL_NO_VERIFY", "1")

        with pytest.raises(errors.UntrustedCertificate):
            await make_source(url=url, allowed_schemes=frozenset({"https"})).resolve()
        monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
        opened = make_source(url=url, allowed_schemes=frozenset({"https"}))

        assert (await opened.read(await opened.resolve())).files == {"a.yaml": b"a: 1\n"}


async def test_configuration_of_the_user_and_the_environment_changes_nothing(
    shop, make_source, monkeypatch, tmp_path: Path
) -> None:
    """Neither ~/.gitconfig nor GIT_DIR and its like redirect what is read."""
    shop.commit({"a.yaml": "a: 1\n"}, "first")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text('[url "http://127.0.0.1:1/"]\n\tinsteadOf = http://\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "http.proxy")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "http://127.0.0.1:1")
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    opened = make_source()

    assert (await opened.read(await opened.resolve())).files == {"a.yaml": b"a: 1\n"}
    assert not (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "trace").exists()


async def test_git_that_is_missing_is_an_error_of_its_own(make_source, monkeypatch) -> None:
    """The image lacks it, or PATH does."""
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(errors.GitFailed, match="is it installed"):
        await make_source().resolve()


@pytest.mark.parametrize("how", ["cancel", "close"])
async def test_a_hanging_git_ends_when_nobody_wants_it(make_source, how: str) -> None:
    """Else the shutdown of the process would wait for its timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(5)
        opened = make_source(url=f"http://127.0.0.1:{silent.getsockname()[1]}/shop.git")
        asking = asyncio.create_task(opened.resolve())
        connection, _ = await asyncio.to_thread(silent.accept)

        with connection:
            if how == "cancel":
                asking.cancel()
            else:
                await opened.close()
            error = errors.GitFailed if how == "close" else asyncio.CancelledError
            with pytest.raises(error):
                await asyncio.wait_for(asking, 5)
            # The connection ends with the process that had opened it.
            connection.settimeout(0)
            await polling.eventually(lambda: _is_ended(connection), within_seconds=5)


def _is_ended(connection: socket.socket) -> bool:
    """Read what there is, and tell if the other side has closed or reset the connection."""
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    return True


def _self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    loopback = ipaddress.ip_address("127.0.0.1")
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(loopback)]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "self-signed.pem"
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file
