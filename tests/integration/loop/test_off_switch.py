"""While enforcement is off nothing is written to guarded objects; then everything is put right."""

import pytest
from support import polling

pytestmark = pytest.mark.integration

CONF = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf}\ndata: {level: info}\n"


async def test_nothing_is_restored_or_applied_while_it_is_off(bench):
    await bench.guard()
    first = bench.source.commit({"conf.yaml": CONF})
    await bench.start()
    await bench.synced(first)

    bench.switch(is_off=True)

    ready = await bench.condition("Ready", "False")
    assert ready["reason"] == "EnforcementOff"
    await bench.run("patch", "configmap", "conf", "--patch", '{"data": {"level": "debug"}}')
    second = bench.source.commit(
        {"conf.yaml": CONF, "more.yaml": CONF.replace("name: conf", "name: more")}
    )
    drifted = await bench.condition("Drifted", "True")
    assert "enforcement is off" in drifted["message"]
    assert (await bench.get("configmaps/conf"))["data"] == {"level": "debug"}
    assert [record.verdict for record in bench.records] == ["Reported"]

    bench.switch(is_off=False)

    await bench.synced(second)
    await polling.eventually(lambda: len(bench.records) == 2)
    assert bench.records[1].verdict == "Restored"
    assert (await bench.get("configmaps/conf"))["data"] == {"level": "info"}
    assert (await bench.get("configmaps/more"))["data"] == {"level": "info"}


async def test_a_start_while_it_is_off_writes_nothing(bench):
    await bench.guard()
    bench.source.commit({"conf.yaml": CONF})
    bench.is_off = True
    await bench.start()

    ready = await bench.condition("Ready", "False")

    assert ready["reason"] == "EnforcementOff"
    listed = await bench.get("configmaps")
    assert "conf" not in [item["metadata"]["name"] for item in listed["items"]]
