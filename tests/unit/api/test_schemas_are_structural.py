"""From Python types to what a CRD may hold."""

import enum
from typing import Annotated, Any, Literal, NotRequired, Optional

import pydantic
import pytest

# pydantic reads only this TypedDict before Python 3.12; it brings the package along.
from typing_extensions import TypedDict

from guard.api import errors, schemas


class Colour(enum.StrEnum):
    """Two of them."""

    RED = "red"
    BLUE = "blue"


@pydantic.with_config(use_attribute_docstrings=True)
class Inner(TypedDict):
    """What is inside."""

    count: Annotated[int, pydantic.Field(ge=1)]
    """How many."""


@pydantic.with_config(use_attribute_docstrings=True)
class Outer(TypedDict):
    """What is outside."""

    plain: Inner
    """A reference with
    words of its own."""

    optional: NotRequired[Inner | None]
    """This or null."""

    many: list[Inner]
    """A list."""

    colour: Colour
    """An enum."""

    always: Literal["x"]
    """A constant."""


class Defaults(pydantic.BaseModel):
    """A model with defaults."""

    model_config = pydantic.ConfigDict(use_attribute_docstrings=True, extra="forbid")

    name: Annotated[
        str, pydantic.Field(max_length=3), schemas.Rule("self != 'no'", "must not be no", bool)
    ] = "yes"
    """A name."""

    nothing: str | None = None
    """Left out by default."""


@pydantic.with_config(use_attribute_docstrings=True)
class Nested(TypedDict):
    """A model in it."""

    defaults: NotRequired[Defaults]
    """A model."""


INNER = {
    "type": "object",
    "description": "What is inside.",
    "properties": {"count": {"type": "integer", "minimum": 1, "description": "How many."}},
    "required": ["count"],
}


def test_references_are_written_out_with_the_words_of_their_place() -> None:
    """No $ref, no $defs, no title; the description of the field wins over that of its type."""
    assert schemas.structural(Outer) == {
        "type": "object",
        "description": "What is outside.",
        "required": ["always", "colour", "many", "plain"],
        "properties": {
            "plain": {**INNER, "description": "A reference with words of its own."},
            "optional": {**INNER, "description": "This or null."},
            "many": {"type": "array", "description": "A list.", "items": INNER},
            "colour": {"type": "string", "enum": ["red", "blue"], "description": "An enum."},
            "always": {"type": "string", "enum": ["x"], "description": "A constant."},
        },
    }


def test_defaults_and_rules_are_kept_and_null_is_no_default() -> None:
    """The keyword additionalProperties goes: unknown fields are the server's business."""
    (defaults,) = schemas.structural(Nested)["properties"].values()

    assert defaults == {
        "type": "object",
        "description": "A model.",
        "properties": {
            "name": {
                "type": "string",
                "description": "A name.",
                "default": "yes",
                "maxLength": 3,
                "x-kubernetes-validations": [{"rule": "self != 'no'", "message": "must not be no"}],
            },
            "nothing": {"type": "string", "description": "Left out by default."},
        },
    }


def test_a_rule_speaks_to_python_too() -> None:
    """The message says what the value must be, and does not repeat the value."""
    rule = schemas.Rule("self == '{a}'", "must be {a}", lambda text: text == "{a}")
    adapter: pydantic.TypeAdapter[str] = pydantic.TypeAdapter(Annotated[str, rule])

    assert adapter.validate_python("{a}") == "{a}"
    with pytest.raises(pydantic.ValidationError) as caught:
        adapter.validate_python("b")
    assert [error["msg"] for error in caught.value.errors()] == ["must be {a}"]


class Chain(pydantic.BaseModel):
    """A type that holds itself."""

    model_config = pydantic.ConfigDict(use_attribute_docstrings=True)

    next: Optional["Chain"] = None
    """The next one."""


def described(field: Any) -> type[Any]:
    """Make a model with one described field of that type."""
    return pydantic.create_model("Model", field=(field, pydantic.Field(description="A field.")))


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (int | str, "field cannot be written as a structural schema: it may have several types"),
        (Any, "it has no type"),
        (dict[str, int], "it has no keyword additionalProperties"),
        (Annotated[int, pydantic.Field(gt=1)], "it has no keyword exclusiveMinimum"),
        (list[int | str], r"field\[\] cannot be written"),
        (Chain, "Chain contains itself"),
    ],
)
def test_what_the_dialect_cannot_say_is_an_error(field: Any, reason: str) -> None:
    """Nothing is lost in silence."""
    with pytest.raises(errors.UnsupportedSchema, match=reason):
        schemas.structural(described(field))


def test_a_field_without_a_description_is_an_error() -> None:
    """`kubectl explain` is the first manual that people open."""
    model = pydantic.create_model("Model", field=(int, ...))

    with pytest.raises(errors.UnsupportedSchema, match=r"field .* it has no description"):
        schemas.structural(model)
