"""Which kubectl commands are refused, warned about, or pass: a table, with golden texts."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from support import polling

from guard.api.verdicts import Verdict

pytestmark = pytest.mark.integration

House = Any
"""The House of this folder's conftest, which tests cannot import."""

GOLDEN = Path(__file__).parents[2] / "data" / "denials"

EDITOR = "sed -i s/level:.info/level:\\ debug/"
LEVEL = {"data": {"level": "debug"}}
MERGED = f"--patch={json.dumps(LEVEL)}"
REPLACED = '--patch=[{"op":"replace","path":"/data/level","value":"debug"}]'
ENV = '--patch=[{"op":"remove","path":"/spec/template/spec/containers/0/env"}]'


@dataclasses.dataclass(frozen=True)
class Command:
    """One kubectl command; ``touches`` tells whether it changes what the source declares.

    ``manifest`` is a change of the ConfigMap's manifest, which is sent with ``--filename=-``;
    ``refusals`` is how many objects are refused, ``golden`` the file with the words of the denial.
    """

    args: tuple[str, ...]
    touches: bool = True
    manifest: dict[str, str] | None = None
    refusals: int = 1
    golden: str = ""


COMMANDS = {
    "edit": Command(("edit", "configmap/conf"), golden="changed"),
    "scale": Command(("scale", "deploy/web", "--replicas=5"), golden="scaled"),
    "set image": Command(("set", "image", "deploy/web", "app=registry.example/web:1.28")),
    "set env, of a declared one": Command(("set", "env", "deploy/web", "LEVEL=debug")),
    "set env, a declared one away": Command(("set", "env", "deploy/web", "LEVEL-"), golden="item"),
    "set env, of a secret": Command(
        ("set", "env", "deploy/web", "DB_PASSWORD=hunter2"), golden="secret"
    ),
    "set env, of another": Command(("set", "env", "deploy/web", "OTHER=x"), touches=False),
    "label": Command(("label", "deploy/web", "tier=back", "--overwrite")),
    "label, away": Command(("label", "deploy/web", "tier-"), golden="removed"),
    "label, the mark away": Command(("label", "configmap/conf", "holdfast.dev/guard-")),
    "label, another": Command(("label", "deploy/web", "team=x"), touches=False),
    "annotate": Command(("annotate", "configmap/conf", "note=y", "--overwrite")),
    "annotate, another": Command(("annotate", "configmap/conf", "mine=x"), touches=False),
    "rollout restart": Command(("rollout", "restart", "deploy/web"), touches=False),
    "rollout undo, of the restart": Command(("rollout", "undo", "deploy/web"), touches=False),
    "rollout undo": Command(("rollout", "undo", "deploy/web", "--to-revision=1")),
    "autoscale": Command(("autoscale", "deploy/web", "--max=5"), touches=False),
    "apply": Command(("apply",), manifest={"level": "debug"}),
    "apply, the very manifest": Command(("apply",), touches=False, manifest={}),
    "apply, server-side, forced": Command(
        ("apply", "--server-side", "--force-conflicts"), manifest={"level": "debug"}
    ),
    "apply, server-side, the very manifest": Command(
        ("apply", "--server-side"), touches=False, manifest={}
    ),
    "patch, strategic": Command(("patch", "configmap/conf", MERGED)),
    "patch, merge": Command(("patch", "configmap/conf", "--type=merge", MERGED)),
    "patch, JSON": Command(("patch", "configmap/conf", "--type=json", REPLACED)),
    "patch, of scale": Command(
        ("patch", "deploy/web", "--subresource=scale", '--patch={"spec":{"replicas":5}}')
    ),
    "patch, of several fields": Command(
        ("patch", "configmap/conf", '--patch={"data":{"level":"debug","text":"a\\nc\\n"}}'),
        golden="several",
    ),
    "replace": Command(("replace",), manifest={"level": "debug"}),
    "replace, forced": Command(("replace", "--force"), manifest={"level": "debug"}),
    "delete": Command(("delete", "configmap/conf", "--wait=false"), golden="deleted"),
    "delete, by label": Command(("delete", "deploy,configmap", "--selector=tier=front")),
    "delete, all": Command(("delete", "deploy,configmap", "--all"), refusals=2),
    "delete, in the background": Command(("delete", "deploy/web", "--cascade=orphan")),
}


def manifests(house: House, image: str = "1.27") -> tuple[dict[str, Any], dict[str, Any]]:
    """Make what the source declares."""
    conf = house.config_map(level="info", text="a\nb\n")
    conf["metadata"]["annotations"] = {"note": "x"}
    web = house.deployment()
    (container,) = web["spec"]["template"]["spec"]["containers"]
    container["image"] = f"registry.example/web:{image}"
    container["env"] = [
        {"name": "LEVEL", "value": "info"},
        {"name": "DB_PASSWORD", "value": "hunter1"},
    ]
    return conf, web


async def prepared(house: House, mode: str) -> None:
    """Adopt a ConfigMap and a Deployment that has an older revision, in a mode."""
    await house.guard("Deny")
    old_conf, old_web = manifests(house, image="1.26")
    await house.adopt((old_conf, "configmaps"), (old_web, "deployments"))
    await house.passes(
        "wait", "deploy/web", "--for=jsonpath={.status.observedGeneration}=1", "--timeout=20s"
    )
    # As the guard process would be, whoever applies by this manager is trusted only by its uid.
    await house.guard("Audit")
    await polling.eventually(lambda: _passes(house, "scale", "deploy/web", "--replicas=3"))
    conf, web = manifests(house)
    await polling.eventually(lambda: _adopted(house, (conf, "configmaps"), (web, "deployments")))
    await house.passes(
        "wait", "deploy/web", "--for=jsonpath={.status.observedGeneration}=2", "--timeout=20s"
    )
    await house.guard("Deny")
    await house.refused("label", "configmap/conf", "holdfast.dev/guard-", "--dry-run=server")
    await house.guard(mode)


async def _passes(house: House, *args: str) -> bool:
    return bool((await house.run(*args)).returncode == 0)


async def _adopted(house: House, *found: Any) -> bool:
    await house.adopt(*found)
    return True


async def given(house: House, command: Command) -> Any:
    """Run a command of the table as alice."""
    if command.manifest is None:
        return await house.run(*command.args, KUBE_EDITOR=EDITOR)
    conf, _ = manifests(house)
    conf["data"].update(command.manifest)
    return await house.run(*command.args, "--filename=-", stdin=json.dumps(conf))


def denial(house: House, text: str) -> str:
    """Give what kubectl printed, without what differs from run to run."""
    for found, instead in (
        (house.namespace, "shop"),
        (r"hash:[0-9a-f]{12}", "hash:0123456789ab"),
        (r"\S*/kubectl-edit-\d+", "kubectl-edit"),
    ):
        text = re.sub(found, instead, text)
    return text


async def test_deny_refuses_what_touches_the_declared(house: House) -> None:
    """Nothing that is declared changes; what is refused says so in the golden words."""
    await prepared(house, "Deny")
    before = await state(house)

    for name, command in COMMANDS.items():
        answer = await given(house, command)

        assert (answer.returncode != 0) is command.touches, (name, answer.stderr)
        refusals = answer.stderr.count("is managed from Git")
        assert refusals == (command.refusals if command.touches else 0), (name, answer.stderr)
        assert await state(house) == before, name
        if command.golden:
            path = GOLDEN / f"{command.golden}.txt"
            assert denial(house, answer.stderr) == path.read_text(), name


@pytest.mark.parametrize("mode", ["Flag", "Audit"])
async def test_the_other_modes_let_it_pass(house: House, mode: str) -> None:
    """Flag with warnings, Audit in silence; both with a record, and nothing else has one."""
    await prepared(house, mode)

    async def known() -> bool:
        return await _passes(
            house, "label", "deploy/web", "tier=z", "--overwrite", "--dry-run=server"
        )

    await polling.eventually(known)
    verdict = {"Flag": Verdict.FLAGGED, "Audit": Verdict.ALLOWED}[mode]
    for name, command in COMMANDS.items():
        await restored(house)
        count = len(house.records())

        answer = await given(house, command)

        assert answer.returncode == 0, (name, answer.stderr)
        is_warned = "is managed from Git" in answer.stderr
        assert is_warned is (command.touches and mode == "Flag"), (name, answer.stderr)
        found = [record for record in house.records()[count:] if record.user == "alice"]
        assert {record.verdict for record in found} == ({verdict} if command.touches else set()), (
            name,
            found,
        )


async def restored(house: House) -> None:
    """Put back what the last command did, as the guard process would."""
    await house.adopt(*zip(manifests(house), ("configmaps", "deployments"), strict=True))


async def state(house: House) -> tuple[str, ...]:
    """Read what is declared."""
    web = (
        "jsonpath={.spec.replicas} {.spec.template.spec.containers[0]['image']} {.metadata.labels}"
    )
    conf = "jsonpath={.data} {.metadata.annotations.note}"
    found = [
        await house.passes("get", "deploy/web", f"--output={web}"),
        await house.passes("get", "configmap/conf", f"--output={conf}"),
    ]
    return tuple(re.sub(r'"team":"x",?|,?"team":"x"', "", text) for text in found)
