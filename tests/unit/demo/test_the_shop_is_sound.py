"""What lies in examples/ is what a person may copy."""

import staging
import yaml

from guard.api import guards
from guard.render import manifests
from guard.sources import source


def tree(path: str) -> source.Tree:
    """Read a folder of the shop as a Guard would."""
    files = {
        file.relative_to(staging.SHOP).as_posix(): file.read_bytes()
        for file in (staging.SHOP / path).rglob("*")
    }
    return source.Tree(source.Revision("0" * 40, "main"), files)


def test_every_manifest_of_the_shop_can_be_read():
    """Expect no fault, and every kind that the demo tells of."""
    found = [manifests.render(tree(path)) for path in ("apps", "config")]

    assert [one.faults for one in found] == [(), ()]
    kinds = {manifest.gvk.kind for one in found for manifest in one.manifests}
    assert kinds == {
        "ConfigMap",
        "Coupon",
        "CustomResourceDefinition",
        "Deployment",
        "Role",
        "RoleBinding",
        "Secret",
        "Service",
        "ServiceAccount",
    }


def test_the_guards_are_valid_and_name_folders_of_the_shop():
    """Expect two Guards of one repository, each with its own folder."""
    found = list(yaml.safe_load_all(staging.GUARDS.read_text()))

    specs = [guards.GuardSpec.parse(one["spec"]) for one in found]
    assert [one["metadata"]["name"] for one in found] == ["shop-prod", "shop-config"]
    assert len({spec.source.git.url for spec in specs}) == 1
    assert all((staging.SHOP / spec.source.git.path).is_dir() for spec in specs)


def test_the_guards_take_the_address_and_the_pace_of_the_demo(tmp_path):
    """Expect neither the example's host nor its interval to be left."""
    staging.write_guards(tmp_path / "guards.yaml", "http://127.0.0.1:9/shop.git")

    for one in yaml.safe_load_all((tmp_path / "guards.yaml").read_text()):
        git = one["spec"]["source"]["git"]
        assert (git["url"], git["interval"]) == ("http://127.0.0.1:9/shop.git", "1s")


def test_the_password_of_the_shop_is_found():
    """Expect the very value, or the demo would look for the wrong one in all that is written."""
    secret = yaml.safe_load((staging.SHOP / "config" / "db.yaml").read_text())

    assert staging.password_of_the_shop() == secret["stringData"]["password"]
