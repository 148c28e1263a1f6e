"""The kinds of field a payload is made of."""

from __future__ import annotations

import re
from datetime import datetime
from types import NoneType
from typing import Annotated, Any, cast, get_args

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import AfterValidator, BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, Strict
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from router.messages.canonical import STRING, Unfit, canonical

ON_WIRE = "wire"  #: key of the validation context that says the input came from a wire

_LIMIT = 1 << 64


def _below(limit: int) -> str:
    """A pattern for the decimal numbers from 0 to ``limit - 1`` without leading zeros."""
    digits = str(limit)
    shorter = f"[1-9][0-9]{{0,{len(digits) - 2}}}"
    rest = [
        f"{digits[:at]}[{0 if at else 1}-{int(digit) - 1}][0-9]{{{len(digits) - at - 1}}}"
        for at, digit in enumerate(digits)
        if int(digit) > (0 if at else 1)
    ]
    return "|".join(["0", shorter, *rest])


_NUMBER = _below(_LIMIT)
_WORD = "(?:[A-Za-z_]|[0-9]+[A-Za-z_-])[A-Za-z0-9_-]*"
ID_PATTERN = f"^(?:{_NUMBER}|{_WORD})$"
ID_RULE = (
    "must be an id: a string of 1 to 64 of A-Z a-z 0-9 _ -, not beginning with '-';"
    " one of digits only is below 2**64, without leading zeros"
)
_SNOWFLAKE = re.compile(f"(?=[0-9]{{15,20}}$)(?:{_NUMBER})", re.ASCII)
_ID = re.compile(ID_PATTERN, re.ASCII)


def is_id(value: object) -> bool:
    """Whether a value is an id on a wire."""
    return isinstance(value, str) and len(value) <= 64 and _ID.fullmatch(value) is not None


def is_snowflake(value: object) -> bool:
    """Whether a value is a Discord id: a string of 15 to 20 digits below 2**64."""
    return isinstance(value, str) and _SNOWFLAKE.fullmatch(value) is not None


def _id_of_number(value: int, info: core_schema.ValidationInfo) -> str:
    if info.context and info.context.get(ON_WIRE):
        raise PydanticCustomError("id", ID_RULE)  # a JSON number may have lost digits already
    return str(value)


class IdRule:
    """An id: a string; Python may also give an integer from 0 to 2**64 - 1, which becomes its digits."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        text = core_schema.str_schema(pattern=ID_PATTERN, max_length=64, strict=True)
        number = core_schema.with_info_after_validator_function(
            _id_of_number, core_schema.int_schema(ge=0, lt=_LIMIT, strict=True)
        )
        return core_schema.union_schema(
            [text, number],
            mode="left_to_right",
            custom_error_type="id",
            custom_error_message=ID_RULE,
            serialization=core_schema.simple_ser_schema("str"),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": ID_PATTERN, "maxLength": 64}


Id = Annotated[str, IdRule()]
"""Of a user, guild, channel, message ...: a Discord snowflake or any id by the rule above."""


def to_millis(value: object) -> object:
    """Milliseconds since the epoch of an aware datetime or an ISO 8601 text; anything else is left as it is."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError(
                "time", "must be milliseconds since the epoch, or ISO 8601 with an offset"
            ) from None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise PydanticCustomError("time", "must be a time with an offset")
        return round(value.timestamp() * 1_000)
    return value


def _json(value: object) -> Any:
    try:
        return canonical(value)
    except Unfit as error:
        raise PydanticCustomError("json", cast("Any", error.rule)) from None


def _acting_user(data: dict[str, Any]) -> object:
    return data.get("actor_id")


def acting_user() -> Any:
    """A payload field that names the acting user; left out, it is the message's ``actor_id``."""
    return Field(default_factory=_acting_user, validate_default=True)


def is_acting_user(field: FieldInfo) -> bool:
    """Whether a field is one of ``acting_user``, and cannot stay empty."""
    return field.default_factory is _acting_user and NoneType not in get_args(field.annotation)


Millis = Annotated[int, Strict(), Ge(0), Le((1 << 53) - 1), BeforeValidator(to_millis)]
"""A time: ms since the epoch; an aware datetime or ISO 8601 text with an offset is converted."""

Flag = Annotated[bool, Strict()]
Int = Annotated[int, Strict(), Ge(-(1 << 53) + 1), Le((1 << 53) - 1)]
Count = Annotated[int, Strict(), Ge(0), Le((1 << 53) - 1)]
Positive = Annotated[int, Strict(), Gt(0), Le((1 << 53) - 1)]

Amount = Annotated[float, Strict(), Ge(0)]

Text = Annotated[str, Strict()]
Name = Annotated[Text, MaxLen(100)]
LINE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"  #: as ``actors.codec.check_text``
Word = Annotated[Text, MinLen(1), MaxLen(100), Field(pattern=LINE_PATTERN)]
"""A name on one line; fit to be a part of a lane's name."""
Line = Annotated[Text, MaxLen(512)]
Reason = Annotated[Text, MaxLen(512)]
"""A Discord audit reason: a longer one makes Discord refuse the action."""
Content = Annotated[Text, MaxLen(2_000)]
"""A Discord message's text."""
LongText = Annotated[Text, MaxLen(STRING)]
# Spaces by name: what \s is differs between the dialects of readers of a schema.
_SOLID = r"[^\x00-\x20\x7f-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"
Url = Annotated[Text, MaxLen(2_048), Field(pattern=f"^https?://{_SOLID}+$")]
Link = Annotated[Text, MaxLen(2_048), Field(pattern=f"^(?:https?:/)?/{_SOLID}+$")]
"""An address, or a path on the dashboard's own site."""
Bits = Annotated[Text, Field(pattern=r"^[0-9]{1,40}$")]
"""A permission field: a decimal string, because it outgrows what JSON numbers keep."""


def _is_object(value: object) -> object:
    if not isinstance(value, dict):
        raise PydanticCustomError("json", "must be an object")
    return value


Json = Annotated[Any, AfterValidator(_json)]
"""Any JSON value within bounds, copied into its canonical form."""
JsonObject = Annotated[dict[str, Any], BeforeValidator(_json), BeforeValidator(_is_object)]
"""A JSON object within bounds, copied into its canonical form."""
