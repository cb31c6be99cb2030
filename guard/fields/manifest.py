"""From a manifest to what can be sent: without what only the server writes, in normal form.

The rules, with the reports that they answer:

- null says nothing (fluxcd/kustomize-controller#453), and so do status and read-only metadata.
- stringData is write-only and never equals what is stored: it becomes data (argo-cd#897).
- An aggregated ClusterRole's rules belong to the controller that fills them (flux2#2472).
- A CA bundle without a certificate in it waits for an injector (rancher/fleet#5368).
- Some annotations describe one stored object, and come into a manifest by an export.
- All other empties are kept: some of them mean something (``emptyDir``, ``podSelector``).
"""

import base64
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from guard.api import keys, objects
from guard.fields import errors, normal, paths

READ_ONLY_METADATA: Final = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "resourceVersion",
        "selfLink",
        "uid",
    }
)

_ANNOTATIONS_OF_OTHERS: Final = frozenset(
    {"kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"}
)
_TEMPLATES: Final = frozenset({"template", "jobTemplate", "volumeClaimTemplates"})
_ADMISSION_KINDS: Final = frozenset(
    {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"}
)


@dataclasses.dataclass(frozen=True, slots=True)
class Sendable:
    """What is applied, and the readable paths of what was left out of the manifest."""

    obj: objects.RawObject
    dropped: tuple[str, ...]


def sendable(manifest: objects.RawObject) -> Sendable:
    """Make what is applied from a manifest, which must have apiVersion, kind and metadata.name.

    The manifest itself is left as it is. Raises InvalidManifest, which names the object and never
    holds a value.
    """
    key = keys.ObjectKey.of(manifest)
    dropped: list[paths.Path] = []
    try:
        obj = _without_nulls(manifest, (), dropped)
    except RecursionError as error:
        message = f"{key.title} is nested too deeply."
        raise errors.InvalidManifest(message) from error
    _drop(obj, "status", (), dropped)
    metadata = obj["metadata"]
    for name in sorted(READ_ONLY_METADATA):
        _drop(metadata, name, (_METADATA,), dropped)
    annotations = metadata.get("annotations")
    if isinstance(annotations, dict):
        for name in sorted(_ANNOTATIONS_OF_OTHERS):
            _drop(annotations, name, (_METADATA, paths.Field("annotations")), dropped)
        if not annotations:
            del metadata["annotations"]
    _drop_template_times(obj.get("spec"), (paths.Field("spec"),), dropped)
    rule = _RULES.get((key.group, key.kind))
    if rule is not None:
        rule(obj, key, dropped)
    return Sendable(obj, tuple(paths.readable(path) for path in dropped))


def _without_nulls(value: Any, path: paths.Path, dropped: list[paths.Path]) -> Any:
    if isinstance(value, dict):
        kept = {}
        for name, item in value.items():
            beneath = (*path, paths.Field(name))
            if item is None:
                dropped.append(beneath)
            else:
                kept[name] = _without_nulls(item, beneath, dropped)
        return kept
    if isinstance(value, list):
        # A null among list items has a place and therefore a meaning: the server judges it.
        return [
            _without_nulls(item, (*path, paths.Index(index)), dropped)
            for index, item in enumerate(value)
        ]
    return value


def _drop(holder: dict[str, Any], name: str, path: paths.Path, dropped: list[paths.Path]) -> None:
    if holder.pop(name, None) is not None:
        dropped.append((*path, paths.Field(name)))


def _drop_template_times(value: Any, path: paths.Path, dropped: list[paths.Path]) -> None:
    """Drop creationTimestamp from the metadata of templates, also of a template in a template."""
    if not isinstance(value, dict):
        return
    for name in sorted(_TEMPLATES & value.keys()):
        place = (*path, paths.Field(name))
        inside = value[name]
        listed = inside if isinstance(inside, list) else [inside]
        places = (
            ((*place, paths.Index(index)) for index in itertools.count())
            if isinstance(inside, list)
            else iter((place,))
        )
        for template, beneath in zip(listed, places, strict=False):
            if not isinstance(template, dict):
                continue
            metadata = template.get("metadata")
            if isinstance(metadata, dict):
                _drop(metadata, "creationTimestamp", (*beneath, _METADATA), dropped)
            _drop_template_times(template.get("spec"), (*beneath, paths.Field("spec")), dropped)


def _secret(obj: objects.RawObject, key: keys.ObjectKey, dropped: list[paths.Path]) -> None:
    del dropped  # nothing is lost: it is only written in another way
    plain = _map(obj.pop("stringData", {}), key, "stringData")
    data = _map(obj.get("data", {}), key, "data")
    if not plain and "data" not in obj:
        return
    encoded = {
        name: normal.unbroken(value) if isinstance(value, str) else value
        for name, value in data.items()
    }
    for name, value in plain.items():
        if not isinstance(value, str):
            place = paths.readable((paths.Field("stringData"), paths.Field(name)))
            message = f"{key.title}: {place} is no string."
            raise errors.InvalidManifest(message)
        encoded[name] = base64.b64encode(value.encode("utf-8", "surrogatepass")).decode()
    obj["data"] = encoded


def _config_map(obj: objects.RawObject, key: keys.ObjectKey, dropped: list[paths.Path]) -> None:
    del dropped
    if "binaryData" in obj:
        obj["binaryData"] = {
            name: normal.unbroken(value) if isinstance(value, str) else value
            for name, value in _map(obj["binaryData"], key, "binaryData").items()
        }


def _cluster_role(obj: objects.RawObject, key: keys.ObjectKey, dropped: list[paths.Path]) -> None:
    del key
    if obj.get("aggregationRule") is not None and "rules" in obj:
        del obj["rules"]
        dropped.append((paths.Field("rules"),))


def _ca_bundles(obj: objects.RawObject, key: keys.ObjectKey, dropped: list[paths.Path]) -> None:
    for holder, path in _ca_holders(obj, key.kind):
        if "caBundle" in holder and not _has_content(holder["caBundle"]):
            del holder["caBundle"]
            dropped.append((*path, paths.Field("caBundle")))


def _ca_holders(obj: objects.RawObject, kind: str) -> Iterator[tuple[dict[str, Any], paths.Path]]:
    """Give the structs of an object that may hold a CA bundle, with their paths."""
    if kind in _ADMISSION_KINDS:
        webhooks = obj.get("webhooks")
        for index, webhook in enumerate(webhooks if isinstance(webhooks, list) else ()):
            config = webhook.get("clientConfig") if isinstance(webhook, dict) else None
            if isinstance(config, dict):
                yield (
                    config,
                    (paths.Field("webhooks"), paths.Index(index), paths.Field("clientConfig")),
                )
        return
    path: tuple[str, ...] = ("spec",)
    if kind == "CustomResourceDefinition":
        path = ("spec", "conversion", "webhook", "clientConfig")
    holder: Any = obj
    for name in path:
        holder = holder.get(name) if isinstance(holder, dict) else None
    if isinstance(holder, dict):
        yield holder, tuple(paths.Field(name) for name in path)


def _has_content(bundle: Any) -> bool:
    """Say whether a CA bundle is more than white space: a placeholder often is ``Cg==``."""
    if not isinstance(bundle, str):
        return True  # not ours to judge: the server refuses it
    try:
        return bool(base64.b64decode(normal.unbroken(bundle), validate=True).strip())
    except ValueError:
        return True


def _map(value: Any, key: keys.ObjectKey, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        message = f"{key.title}: {name} is no map."
        raise errors.InvalidManifest(message)
    return value


_METADATA: Final = paths.Field("metadata")

_Rule = Callable[[objects.RawObject, keys.ObjectKey, list[paths.Path]], None]
_RULES: Final[Mapping[tuple[str, str], _Rule]] = {
    ("", "Secret"): _secret,
    ("", "ConfigMap"): _config_map,
    ("rbac.authorization.k8s.io", "ClusterRole"): _cluster_role,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _ca_bundles,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _ca_bundles,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _ca_bundles,
    ("apiregistration.k8s.io", "APIService"): _ca_bundles,
}
