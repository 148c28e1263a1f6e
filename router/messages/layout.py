"""How one message class is written: its payload's wire names, the form of its values, its lane and its key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from operator import attrgetter
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    TypeAlias,
    Union,
    cast,
    get_args,
    get_origin,
)

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from actors.codec import pack
from router.errors import BadCatalog
from router.messages.canonical import canonical, canonical_number
from router.messages.operation import PLACE, Operation

if TYPE_CHECKING:
    from router.messages.base import Message

Dump: TypeAlias = "Callable[[Any], object] | None"

HEADER = ("guild_id", "actor_id")  #: fields of every message that stand beside the payload on the wire

_AS_IT_IS = (str, int, bool, bytes, NoneType)


class Payload(BaseModel):
    """A part of a payload: an embed, a track, a member. Optional fields have ``None`` as default."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        loc_by_alias=False,
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name, field in cls.model_fields.items():
            if field.is_required() and NoneType in get_args(field.annotation):
                raise BadCatalog(f"{cls.__qualname__}.{name}: a field that may be null needs None as its default")


class WireField(NamedTuple):
    """One payload field on its way out."""

    wire: str
    name: str
    dump: Dump  #: to its canonical form; None: it is that already
    omit: bool  #: left out when it is None
    null: bool  #: may be None


class Layout:
    """Everything about a class that is worked out once, so that writing a message is one short loop."""

    __slots__ = (
        "_identity",
        "_operation",
        "_short",
        "actor",
        "custom",
        "fields",
        "instant",
        "key",
        "keyed",
        "sensitive",
        "subject",
        "tenant",
    )

    def __init__(self, cls: type[Message], operation: Operation) -> None:
        fields = [wire_field(name, cls.model_fields[name]) for name in payload_names(cls, operation)]
        if len({field.wire for field in fields}) < len(fields):
            raise BadCatalog(f"{cls.__qualname__}: two fields have one name on the wire")
        self.fields = tuple(sorted(fields, key=lambda field: field.wire))
        decorators = cls.__pydantic_decorators__
        self.custom = bool(decorators.field_serializers or decorators.model_serializers)
        chosen = set(operation.key)
        self.key = tuple(field.wire for field in self.fields if field.name in chosen)
        self.keyed = bool(operation.key)  # by the guild alone, when no payload field is named
        self.subject = subject_of(operation)
        name = operation.type.encode() + b"\0"
        self._identity = blake2b(name, digest_size=16, person=b"message")
        self._operation = blake2b(name, digest_size=16, person=b"operation")
        # When no value needs work and every null is left out, one comprehension writes the payload.
        short = not self.custom and all(field.dump is None and (field.omit or not field.null) for field in self.fields)
        self._short = tuple((field.wire, field.name) for field in self.fields) if short else ()
        wire = {field.name: field.wire for field in self.fields}
        self.instant = pack(wire[operation.resolves[1]]) if operation.resolves else b""
        self.actor = wire.get(operation.actor, "")
        self.sensitive = frozenset(wire[name] for name in operation.sensitive)
        self.tenant = wire.get(operation.tenant, "")

    def payload(self, message: Message) -> dict[str, object]:
        """The canonical payload by wire name, in the order of the names. Raises ``canonical.Unfit``."""
        if self._short:
            plain = message.__dict__
            return {wire: value for wire, name in self._short if (value := plain[name]) is not None}
        values = self._dumped(message) if self.custom else message.__dict__
        payload: dict[str, object] = {}
        for wire, name, dump, omit, _ in self.fields:
            value = values[name]
            if value is None:
                if not omit:
                    payload[wire] = None
            else:
                payload[wire] = value if dump is None else dump(value)
        return payload

    def fingerprint(self, body: bytes) -> bytes:
        """The identity of type and payload: 16 bytes of the packed canonical payload."""
        identity = self._identity.copy()
        identity.update(body)
        return identity.digest()

    def operation_key(self, guild: str, payload: Mapping[str, object]) -> bytes:
        """16 bytes of type, guild and the fields that the declaration names."""
        operation = self._operation.copy()
        operation.update(pack([guild, *map(payload.get, self.key)]))
        return operation.digest()

    def _dumped(self, message: Message) -> dict[str, object]:
        """The values of a class that has serializers of its own."""
        dumped = message.model_dump(mode="json", by_alias=True)
        return {field.name: dumped.get(field.wire) for field in self.fields}


def payload_names(cls: type[Message], operation: Operation) -> list[str]:
    """The fields of a class that make its payload."""
    return [name for name in cls.model_fields if name not in HEADER or (name == "guild_id" and operation.payload_guild)]


def wire_name(name: str, field: FieldInfo) -> str:
    """The name of a field in JSON and msgpack."""
    return field.serialization_alias or field.alias or to_camel(name)


def wire_field(name: str, field: FieldInfo) -> WireField:
    """How a field of a class is written."""
    omit = not field.is_required() and field.default is None and field.default_factory is None
    null = any(part in (NoneType, Any) for part in _parts(field.annotation))
    return WireField(wire_name(name, field), name, _dump(field), omit, null)


def subject_of(operation: Operation) -> Callable[[Any], str]:
    """The function from a message to its subject."""
    form = operation.subject
    places = PLACE.findall(form)
    if not places:
        return lambda _: form
    if len(places) == 1 and form.endswith("}"):
        prefix, get = form[: form.index("{")], attrgetter(places[0])
        bare = prefix.rstrip(":")
        return lambda message: bare if (value := get(message)) is None else prefix + str(value)
    getters = [attrgetter(place) for place in places]
    template = PLACE.sub("{}", form)
    return lambda message: template.format(*(get(message) for get in getters))


def layout_of(cls: type[Message]) -> Layout:
    """How a class is written; worked out at its first use, when all that its annotations name exists."""
    layout = cls.__layout__
    if layout is None:
        layout = cls.__layout__ = Layout(cls, cls.__operation__)
    return layout


def _parts(annotation: object) -> Iterator[object]:
    """The types a union is made of."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _parts(get_args(annotation)[0])
    elif origin is Union or origin is UnionType:
        for part in get_args(annotation):
            yield from _parts(part)
    else:
        yield annotation


def _models(annotation: object, seen: set[object]) -> Iterator[type[BaseModel]]:
    """The models anywhere in an annotation, each once."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in seen:
        seen.add(annotation)
        yield annotation
        for field in annotation.model_fields.values():
            yield from _models(field.annotation, seen)
    for part in get_args(annotation):
        yield from _models(part, seen)


def _plain(part: object) -> bool:
    """Whether values of this type are canonical as they are."""
    if get_origin(part) is Literal:
        return all(type(value) in _AS_IT_IS for value in get_args(part))
    return part in _AS_IT_IS


def _dump(field: FieldInfo) -> Dump:
    parts = list(_parts(field.annotation))
    if all(map(_plain, parts)):
        return None
    if all(part is float or _plain(part) for part in parts):
        return lambda value: canonical_number(value) if type(value) is float else value
    if all(part in (Any, dict, NoneType) or get_origin(part) is dict for part in parts):
        return canonical
    adapter: TypeAdapter[Any] = TypeAdapter(cast("Any", field.annotation))
    dump = adapter.dump_python
    bare = all(issubclass(model, Payload) for model in _models(field.annotation, set()))
    return lambda value: canonical(dump(value, mode="json", by_alias=True, exclude_none=bare))
