"""Guard: one control loop, with its source, its target and its rules.

The descriptions and rules here are those of the CRD, which is generated from these types; the
same rules run in the guard process and the webhook, so that a Guard means the same to all three
even where an older CRD let something through.
"""

import difflib
import json
import re
from typing import Annotated, Any, Final, Self

import pydantic
import pydantic_core
from pydantic import alias_generators

# pydantic reads only this TypedDict before Python 3.12; it brings the package along.
from typing_extensions import TypedDict

from guard.api import conditions, durations, errors, schemas, verdicts

KIND: Final = "Guard"
PLURAL: Final = "guards"

MAX_NAME_CHARS: Final = 240
"""Inventory shards are called after their Guard, with a number behind: `<guard>-<n>`."""

DEFAULT_REF: Final = "HEAD"
DEFAULT_PATH: Final = "."
DEFAULT_INTERVAL: Final = "30s"

_MIN_INTERVAL_SECONDS: Final = 1.0

# Which of these schemes are allowed is the process's to say: http and file need a flag. User and
# host never begin with "-", which ssh would take for an option (CVE-2017-1000117). The host of the
# scp-like form needs its user, else a mistyped "https:/host" would be one.
_URL: Final = (
    r"^((https|http|ssh)://([^-@/\s][^@/\s]*@)?[A-Za-z0-9_\[]\S*"
    r"|file:///\S+"
    r"|[A-Za-z0-9_][A-Za-z0-9._-]*@[A-Za-z0-9_\[][^:/\s]*:[^:\s]\S*)$"
)
# What git check-ref-format refuses, and a leading "-", which git would take for an option.
_NOT_IN_REF: Final = r"^-|[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{"
_NOT_IN_PATH: Final = r"[\x00-\x1f\x7f\\]"

_MESSAGES: Final = {
    "missing": "is required",
    "model_type": "must be an object, not {kind}",
    "model_attributes_type": "must be an object, not {kind}",
    "string_type": "must be a string, not {kind}",
    "bool_type": "must be true or false, not {kind}",
    "enum": "must be {expected}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
}
"""What pydantic's types of error mean to a person. None of them shows the input."""

_URL_RULE: Final = schemas.Rule(
    f"self.matches(r'{_URL}')",
    "must be like https://host/repository.git, ssh://git@host/repository.git, "
    "git@host:repository.git, http://host/repository.git or file:///repository.git",
    lambda url: re.search(_URL, url) is not None,
)
_REF_RULE: Final = schemas.Rule(
    f"!self.matches(r'{_NOT_IN_REF}')",
    "must be a branch, a tag, a full ref name or a commit",
    lambda ref: re.search(_NOT_IN_REF, ref) is None,
)
_PATH_RELATIVE: Final = schemas.Rule(
    "!self.startsWith('/')",
    "must be relative to the root of the repository, not absolute",
    lambda path: not path.startswith("/"),
)
_PATH_INSIDE: Final = schemas.Rule(
    "!self.split('/').exists(part, part == '..')",
    'must stay inside the repository, without ".."',
    lambda path: ".." not in path.split("/"),
)
_PATH_CLEAN: Final = schemas.Rule(
    f"!self.matches(r'{_NOT_IN_PATH}')",
    "must have no backslashes and no control characters",
    lambda path: re.search(_NOT_IN_PATH, path) is None,
)
_DURATION: Final = schemas.Rule(
    f"self.matches(r'{durations.PATTERN}')",
    "must be a duration like 30s, 5m or 1h30m",
    lambda text: re.search(durations.PATTERN, text) is not None,
)
_AT_LEAST_A_SECOND: Final = schemas.Rule(
    # A text that is no duration has its own message.
    f"!self.matches(r'{durations.PATTERN}') || duration(self) >= duration('1s')",
    "must be at least 1s",
    lambda text: durations.parse_seconds(text) >= _MIN_INTERVAL_SECONDS,
)


def _one_source(schema: schemas.Schema) -> None:
    """Word "required" as a choice, which it is as soon as there is a second kind of source."""
    schema.pop("required")
    schema[schemas.VALIDATIONS] = [
        {"rule": "has(self.git)", "message": "exactly one kind of source must be given: git"}
    ]


class _Spec(pydantic.BaseModel):
    """What all parts of the spec share: camelCase in YAML, nothing unknown, nothing converted."""

    model_config = pydantic.ConfigDict(
        alias_generator=alias_generators.to_camel,
        validate_by_name=True,
        extra="forbid",
        strict=True,
        frozen=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )


class GitSpec(_Spec):
    """A Git repository."""

    url: Annotated[str, pydantic.Field(min_length=1, max_length=2048), _URL_RULE]
    """Where the repository is: https://, ssh:// or user@host:path. http:// and file:// work only
    where the guard process is started with a flag that allows them. Whoever can read the Guard can
    read a password in it."""

    ref: Annotated[str, pydantic.Field(min_length=1, max_length=255), _REF_RULE] = DEFAULT_REF
    """What to follow: a branch, a tag, a full ref name, or one commit. HEAD is the default
    branch."""

    path: Annotated[
        str,
        pydantic.Field(min_length=1, max_length=1024),
        _PATH_RELATIVE,
        _PATH_INSIDE,
        _PATH_CLEAN,
    ] = DEFAULT_PATH
    """The directory with the manifests, relative to the root of the repository."""

    interval: Annotated[
        str, pydantic.Field(min_length=1, max_length=18), _DURATION, _AT_LEAST_A_SECOND
    ] = DEFAULT_INTERVAL
    """How often to ask the repository for a new commit, like 30s, 5m or 1h30m; at least 1s."""

    @property
    def interval_seconds(self) -> float:
        """The interval in seconds."""
        return durations.parse_seconds(self.interval)


class SourceSpec(_Spec):
    """Where the desired state lives. Exactly one kind of source is given."""

    model_config = pydantic.ConfigDict(json_schema_extra=_one_source)

    git: GitSpec
    """A Git repository."""


class TargetSpec(_Spec):
    """Where the objects belong."""

    namespace: (
        Annotated[
            str,
            pydantic.Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"),
        ]
        | None
    ) = None
    """The one namespace that the Guard may touch: manifests that name none go there, and those
    that name another are refused. Left out, manifests that name none go to the Guard's own
    namespace, and others to the one they name. Cluster-scoped objects are not limited by it."""


class AdmissionSpec(_Spec):
    """What the webhook does with edits of guarded objects."""

    # Not strict: a raw spec holds the word, not the member.
    mode: Annotated[verdicts.Mode, pydantic.Field(strict=False)] = verdicts.Mode.DENY
    """What becomes of an edit of a declared field. Deny: refused. Flag: let through with a warning
    and a record. Audit: let through with a record."""


class DriftSpec(_Spec):
    """What the loop does with objects that differ from the source."""

    restore: bool = True
    """Whether drift is restored from the source. Otherwise it is only reported."""


class GuardSpec(_Spec):
    """What to guard, and how."""

    source: SourceSpec
    """Where the desired state lives. Exactly one kind of source is given."""

    target: TargetSpec = TargetSpec()
    """Where the objects belong."""

    admission: AdmissionSpec = AdmissionSpec()
    """What the webhook does with edits of guarded objects."""

    drift: DriftSpec = DriftSpec()
    """What the loop does with objects that differ from the source."""

    @classmethod
    def parse(cls, raw_spec: dict[str, Any]) -> Self:
        """Read the ``spec`` of a Guard as the API server sent it.

        Raises InvalidGuard with every fault and its path, and with no value that may hold a
        password.
        """
        try:
            return cls.model_validate(raw_spec, by_alias=True, by_name=False)
        except pydantic.ValidationError as error:
            faults = [_fault(cls, detail) for detail in error.errors(include_url=False)]
        # Outside of the except block: pydantic's error holds the input, a password in the URL
        # included, and would go along as the context.
        raise errors.InvalidGuard(faults)


@pydantic.with_config(use_attribute_docstrings=True)
class GuardStatus(TypedDict, total=False):
    """What the guard process has seen and done. Written by it alone."""

    conditions: Annotated[
        list[conditions.Condition],
        pydantic.Field(
            max_length=16,
            json_schema_extra={schemas.LIST_TYPE: "map", schemas.LIST_MAP_KEYS: ["type"]},
        ),
    ]
    """Ready, Reconciling, Stalled and Drifted, each with its reason."""

    observedGeneration: schemas.Generation
    """The metadata.generation of the spec that was last acted upon."""

    source: Annotated[str, pydantic.Field(max_length=4096)]
    """The source for people: the URL without a password, and the path behind a #."""

    observedRevision: Annotated[str, pydantic.Field(max_length=1024)]
    """The newest revision that was seen in the source."""

    appliedRevision: Annotated[str, pydantic.Field(max_length=1024)]
    """The revision that was applied last."""

    lastAppliedTime: schemas.Time
    """When it was applied."""

    objects: schemas.Count
    """How many objects are guarded."""

    synced: schemas.Count
    """How many of them are as the source says."""

    drifted: schemas.Count
    """How many of them differ from the source."""

    failed: schemas.Count
    """How many of them could not be applied."""

    orphaned: schemas.Count
    """How many of them the source has no more."""

    restored: schemas.Count
    """How many times a drift was restored."""


def _fault(model: type[pydantic.BaseModel], detail: pydantic_core.ErrorDetails) -> errors.Fault:
    """Word one of pydantic's errors for a person."""
    path = ".".join(("spec", *map(str, detail["loc"])))
    return errors.Fault(path, _message(model, detail))


def _message(model: type[pydantic.BaseModel], detail: pydantic_core.ErrorDetails) -> str:
    error_type = detail["type"]
    if error_type == "extra_forbidden":
        return "is unknown" + _suggestion(model, detail["loc"])
    context: dict[str, Any] = detail.get("ctx", {})
    template = _MESSAGES.get(error_type)
    if template is None:
        # Our own rules, and whatever pydantic adds: its texts hold no input either.
        return detail["msg"]
    return template.format(kind=_kind(detail["input"]), **context)


def _suggestion(model: type[pydantic.BaseModel], location: tuple[int | str, ...]) -> str:
    """Name the field that was probably meant."""
    *parents, unknown = map(str, location)
    for parent in parents:
        inner = model.model_fields[_field_names(model)[parent]].annotation
        if not isinstance(inner, type) or not issubclass(inner, pydantic.BaseModel):
            return ""
        model = inner
    close = difflib.get_close_matches(unknown, _field_names(model), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _field_names(model: type[pydantic.BaseModel]) -> dict[str, str]:
    """Give the Python names of a model's fields by their names in YAML."""
    return {field.alias or name: name for name, field in model.model_fields.items()}


def _kind(value: Any) -> str:
    """Name the JSON type of a value, without the value."""
    text = json.dumps(value)[:1]
    kinds = {"{": "an object", "[": "a list", '"': "a string", "n": "null", "t": "true"}
    return kinds.get(text, "false" if text == "f" else "a number")
