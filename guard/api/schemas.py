"""From Python types to structural schemas, the dialect in which a CRD describes its fields.

pydantic says what a type holds in JSON Schema. Kubernetes reads less: a structural schema has no
references, no ``anyOf`` that decides a type, no titles, and drops what it does not know
(https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
#specifying-a-structural-schema). ``structural()`` says the same in that dialect, or raises: a
keyword that would be lost in silence is an error.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import pydantic
import pydantic_core
from pydantic_core import core_schema

from guard.api import errors

Schema = dict[str, Any]

VALIDATIONS: Final = "x-kubernetes-validations"
LIST_TYPE: Final = "x-kubernetes-list-type"
LIST_MAP_KEYS: Final = "x-kubernetes-list-map-keys"

_RULE_BROKEN: Final = "rule"
_INT32_MAX: Final = 2**31 - 1

Count = Annotated[int, pydantic.Field(ge=0, le=_INT32_MAX, json_schema_extra={"format": "int32"})]
"""A number of things."""

Generation = Annotated[int, pydantic.Field(ge=0, json_schema_extra={"format": "int64"})]
"""A metadata.generation."""

Time = Annotated[str, pydantic.Field(json_schema_extra={"format": "date-time"})]
"""RFC 3339, as Kubernetes writes times."""

_KEYWORDS: Final = frozenset(
    {
        "type",
        "format",
        "description",
        "default",
        "enum",
        "pattern",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "items",
        "properties",
        "required",
        "nullable",
        VALIDATIONS,
        LIST_TYPE,
        LIST_MAP_KEYS,
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """A rule for one string, as the API server and as Python check it: ``Annotated[str, Rule()]``.

    ``expression`` is CEL over ``self``, ``check`` is the same in Python, and ``message`` says what
    the value must be ("must be at least 1s"). The message never holds the value, which may carry
    a password.
    """

    expression: str
    message: str
    check: Callable[[str], bool]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: pydantic.GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Run the check after the type's own validation (pydantic's protocol)."""
        return core_schema.no_info_after_validator_function(self._validate, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> Schema:
        """Add the CEL form to the schema (pydantic's protocol)."""
        json_schema = dict(handler(schema))
        validations = json_schema.get(VALIDATIONS, [])
        return {**json_schema, VALIDATIONS: [*validations, self.as_validation()]}

    def as_validation(self) -> dict[str, str]:
        """Give the entry of ``x-kubernetes-validations``."""
        return {"rule": self.expression, "message": self.message}

    def _validate(self, value: str) -> str:
        if not self.check(value):
            raise pydantic_core.PydanticCustomError(_RULE_BROKEN, self.message)
        return value


def structural(described: Any) -> Schema:
    """Give the structural schema of a pydantic model or TypedDict.

    Raises UnsupportedSchema, naming the field, for what the dialect cannot say and for a field
    without a description: `kubectl explain` has nothing else to show.
    """
    schema = pydantic.TypeAdapter(described).json_schema(by_alias=True)
    definitions = schema.pop("$defs", {})
    return _convert(schema, definitions, where="", inside=())


def _convert(
    node: Mapping[str, Any],
    definitions: Mapping[str, Any],
    *,
    where: str,
    inside: tuple[str, ...],
) -> Schema:
    """Convert one node; ``inside`` names the definitions that hold it, against endless types."""
    schema, inside = _inline(node, definitions, where=where, inside=inside)
    schema.pop("title", None)
    # The server drops unknown fields, or refuses them with fieldValidation=Strict.
    if schema.get("additionalProperties") is False:
        del schema["additionalProperties"]
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    _check(schema, where=where)
    if isinstance(schema.get("default"), dict):
        # Null is no default to a field that may be left out.
        schema["default"] = {
            name: value for name, value in schema["default"].items() if value is not None
        }
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split())
    if "required" in schema:
        schema["required"] = sorted(schema["required"])
    if "items" in schema:
        schema["items"] = _convert(schema["items"], definitions, where=f"{where}[]", inside=inside)
    if "properties" in schema:
        schema["properties"] = {
            name: _convert(child, definitions, where=f"{where}.{name}".lstrip("."), inside=inside)
            for name, child in schema["properties"].items()
        }
    return schema


def _check(schema: Schema, *, where: str) -> None:
    unknown = sorted(set(schema) - _KEYWORDS)
    if unknown:
        raise errors.UnsupportedSchema(where, f"it has no keyword {', '.join(unknown)}")
    if "type" not in schema:
        raise errors.UnsupportedSchema(where, "it has no type")
    if where and not where.endswith("[]") and "description" not in schema:
        raise errors.UnsupportedSchema(where, "it has no description")


def _inline(
    node: Mapping[str, Any],
    definitions: Mapping[str, Any],
    *,
    where: str,
    inside: tuple[str, ...],
) -> tuple[Schema, tuple[str, ...]]:
    """Replace a reference, or "this or null", by what it stands for; what stands beside wins."""
    merged = dict(node)
    if "$ref" in merged:
        name = str(merged.pop("$ref")).removeprefix("#/$defs/")
        if name in inside:
            raise errors.UnsupportedSchema(where, f"{name} contains itself")
        target, inside = _inline(
            definitions[name], definitions, where=where, inside=(*inside, name)
        )
        return {**target, **merged}, inside
    if "anyOf" in merged:
        choices = [choice for choice in merged.pop("anyOf") if choice != {"type": "null"}]
        if len(choices) != 1:
            raise errors.UnsupportedSchema(where, "it may have several types")
        # Optional here means that it may be left out; its null says no more than that.
        if merged.get("default", ...) is None:
            del merged["default"]
        target, inside = _inline(choices[0], definitions, where=where, inside=inside)
        return {**target, **merged}, inside
    return merged, inside
