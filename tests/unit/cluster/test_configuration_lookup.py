"""The configuration is found where other tools find it, and its faults never show credentials."""

import base64
import time
import traceback
from pathlib import Path
from typing import Any

import orjson
import pytest
from support import clocks, fakeapi

from guard.cluster import client as clients
from guard.cluster import configuration, errors

Behaviour = fakeapi.Behaviour


@pytest.fixture(autouse=True)
def no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take away whatever configuration this machine has."""
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def write(path: Path, **changes: Any) -> Path:
    """Write a kubeconfig with the token ``s3cret``."""
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "s3cret"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(config))
    return path


async def test_the_given_file_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """KUBECONFIG is for when nothing is given."""
    other = write(tmp_path / "b", clusters=[{"name": "c", "cluster": {"server": "http://other"}}])
    monkeypatch.setenv("KUBECONFIG", str(other))

    assert (await configuration.load(write(tmp_path / "a"), None)).server == "http://127.0.0.1:1"
    assert (await configuration.load(None, None)).server == "http://other"


async def test_the_home_directory_comes_last(tmp_path: Path) -> None:
    """A person's ~/.kube/config is used when nothing else is there."""
    write(tmp_path / "home" / ".kube" / "config")

    assert (await configuration.load(None, None)).server == "http://127.0.0.1:1"


async def test_no_configuration_is_told_as_such(tmp_path: Path) -> None:
    """The sentence names where it was looked for."""
    with pytest.raises(errors.BadConfiguration, match=r"no kubeconfig at ~/\.kube/config"):
        await configuration.load(None, None)
    with pytest.raises(errors.BadConfiguration, match=r"no kubeconfig at .*missing"):
        await configuration.load(tmp_path / "missing", None)


async def test_a_pod_without_a_token_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inside a pod its service account comes before ~/.kube/config, as in controller-runtime."""
    write(tmp_path / "home" / ".kube" / "config")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")

    with pytest.raises(errors.BadConfiguration, match="the pod's service account: Service token"):
        await configuration.load(None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"contexts": [{"name": "x", "context": {"user": "u"}}]},
        {"clusters": []},
        {"current-context": "y"},
        {"users": [{"name": "u", "user": {"token": "s3cret", "exec": {"args": ["s3cret"]}}}]},
        {"users": {"token": "s3cret"}},
        {"clusters": [{"name": "c", "cluster": {"server": 5, "token": "s3cret"}}]},
    ],
)
async def test_a_faulty_kubeconfig_is_named_and_not_quoted(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    """The library's own errors hold whole entries, credentials included."""
    with pytest.raises(errors.BadConfiguration) as caught:
        await configuration.load(write(tmp_path / "config", **changes), None)

    assert str(tmp_path / "config") in str(caught.value)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


async def test_an_unknown_context_is_told(tmp_path: Path) -> None:
    """A mistyped --context is the person's to see."""
    with pytest.raises(errors.BadConfiguration, match="prod"):
        await configuration.load(write(tmp_path / "config"), "prod")


async def test_a_broken_certificate_is_told(tmp_path: Path) -> None:
    """A CA that is no certificate fails at once, not with the first request."""
    cluster = {"server": "https://x", "certificate-authority-data": "bm8gY2VydA=="}
    broken = write(tmp_path / "config", clusters=[{"name": "c", "cluster": cluster}])

    with pytest.raises(errors.BadConfiguration, match="certificates"):
        await configuration.load(broken, None)


async def test_the_proxy_of_the_environment_is_used_unless_excluded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS_PROXY and NO_PROXY mean what they mean to kubectl."""
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    config = write(tmp_path / "config")

    assert (await configuration.load(config, None)).proxy == "http://proxy:3128"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert (await configuration.load(config, None)).proxy is None


async def test_a_refused_token_is_read_anew_and_the_request_repeated(
    api: fakeapi.FakeApi, tmp_path: Path
) -> None:
    """A token file that was rotated costs one refused request; its line break is no part of it."""
    token = tmp_path / "token"
    token.write_text("old\n")
    path = api.kubeconfig(tmp_path, user={"tokenFile": str(token)})
    async with await clients.Client.connect(kubeconfig=path) as client:
        assert (await client.request("GET", "/x"))["authorization"] == "Bearer old"
        token.write_text("new\n")
        api.others.append(Behaviour.UNAUTHORIZED)
        assert (await client.request("GET", "/x"))["authorization"] == "Bearer new"


async def test_a_token_that_stays_refused_is_not_read_again_at_once(
    api: fakeapi.FakeApi, tmp_path: Path
) -> None:
    """A revoked token must not start an exec plugin with each request."""
    clock = clocks.Clock()
    reads = 0
    connection = await configuration.load(api.kubeconfig(tmp_path, user={"token": "t"}), None)

    async def reload() -> Any:
        nonlocal reads
        reads += 1
        return await configuration.read(api.kubeconfig(tmp_path, user={"token": "t"}), None)

    authorizer = configuration.Authorizer(await reload(), reload, clock=clock)
    async with clients.Client(connection._replace(authorizer=authorizer)) as client:
        for _ in range(3):
            api.others.append(Behaviour.UNAUTHORIZED)
            with pytest.raises(errors.Unauthorized):
                await client.request("GET", "/x")
    assert reads == 2

    await clock.sleep(10.0)
    assert await authorizer.renew("Bearer t") is None
    assert reads == 3


async def test_a_failing_renewal_leaves_the_refusal(tmp_path: Path) -> None:
    """What the server said is the error; why the renewal failed is in the log."""

    async def reload() -> Any:
        message = "the plugin hangs"
        raise errors.BadConfiguration(message)

    read = await configuration.read(write(tmp_path / "config"), None)

    assert await configuration.Authorizer(read, reload).renew("Bearer s3cret") is None


async def test_an_exec_plugin_gives_the_token(api: fakeapi.FakeApi, tmp_path: Path) -> None:
    """Cloud accounts work by plugins that print an ExecCredential."""
    version = "client.authentication.k8s.io/v1"
    credential = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": "plug"}}
    plugin = {"apiVersion": version, "command": "echo", "args": [orjson.dumps(credential).decode()]}
    path = api.kubeconfig(tmp_path, user={"exec": plugin})
    async with await clients.Client.connect(kubeconfig=path) as client:
        assert (await client.request("GET", "/x"))["authorization"] == "Bearer plug"


async def test_an_oidc_login_gives_the_token(api: fakeapi.FakeApi, tmp_path: Path) -> None:
    """The ID token of ``kubectl``'s OIDC login is used as long as it is valid."""
    claims = base64.b64encode(orjson.dumps({"exp": int(time.time()) + 3600})).decode()
    token = f"head.{claims.rstrip('=')}.signature"
    provider = {"name": "oidc", "config": {"id-token": token}}
    path = api.kubeconfig(tmp_path, user={"auth-provider": provider})
    async with await clients.Client.connect(kubeconfig=path) as client:
        told = await client.request("GET", "/x")
    assert told["authorization"] == f"Bearer {token}"
