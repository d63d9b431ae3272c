"""Does a value fit an Avro type exactly? Worked out once per schema, so that an event costs microseconds."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

MAX_ITEMS = 10_000
"""Most items of one array or map."""

_NONE = type(None)
_PRIMITIVES: dict[str, frozenset[type]] = {
    "null": frozenset({_NONE}),
    "string": frozenset({str}),
    "int": frozenset({int}),
    "long": frozenset({int}),
    "float": frozenset({float, int}),
    "double": frozenset({float, int}),
    "boolean": frozenset({bool}),
    "bytes": frozenset({bytes}),
}
_BOUNDS = {"int": 2**31, "long": 2**63}

Check = Callable[[Any], None]
Rule = tuple[frozenset[type], Check | None]


class CodecError(ValueError):
    """Data that the schema does not take, or bytes that are no value of it.

    `reason` never holds a value. `field` is the field's dotted name, empty where no one field is to blame.
    """

    def __init__(self, reason: str, field: str = "") -> None:
        self.reason = reason
        self.field = field
        super().__init__(f"{field}: {reason}" if field else reason)


class WrongValueError(Exception):
    """A value that does not fit; each level on the way out puts its own name before the field's."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field

    def under(self, name: str) -> WrongValueError:
        """The same, seen from the record or list that holds the value under `name`."""
        return WrongValueError(self.reason, f"{name}.{self.field}" if self.field else name)


class Plan:
    """The checks of one record schema, whose logical types are stripped."""

    def __init__(self, definition: dict[str, Any]) -> None:
        """Raises `CodecError` for a schema that no check can bound: recursive, or items of no bytes."""
        self.check: Check = _rule(definition, {}, ())[1] or _fits

    def not_unicode(self, data: Any) -> str:
        """The dotted name of the first text that has no UTF-8; empty when there is none."""
        return _not_unicode(data, "")


def _rule(type: Any, named: dict[str, Any], open_names: tuple[str, ...]) -> Rule:
    """The Python types that an Avro type takes and, where the type alone does not settle it, a check."""
    if isinstance(type, list):
        rules = [_rule(branch, named, open_names) for branch in type]
        taken: frozenset[type] = frozenset().union(*(rule[0] for rule in rules))
        checks = [(kinds, check) for kinds, check in rules if check]
        if len(checks) > 1 or sum(len(rule[0]) for rule in rules) > len(taken):
            raise CodecError("a union of types that cannot be told apart")
        return taken, _only(*checks[0]) if checks else None
    kind = type["type"] if isinstance(type, dict) else type
    if isinstance(kind, (dict, list)):
        return _rule(kind, named, open_names)
    if kind in _PRIMITIVES:
        return _PRIMITIVES[kind], _primitive(kind)
    if not isinstance(type, dict):
        return _reference(kind, named, open_names)
    return _complex(kind, type, named, open_names)


def _reference(name: str, named: dict[str, Any], open_names: tuple[str, ...]) -> Rule:
    short = name.rpartition(".")[2]
    if short in open_names:
        raise CodecError("a recursive schema, whose values have no bounded depth")
    if short not in named:
        raise CodecError(f"an unknown type {name!r}")
    return _rule(named[short], named, open_names)


def _complex(kind: str, type: dict[str, Any], named: dict[str, Any], open_names: tuple[str, ...]) -> Rule:
    if "name" in type:
        named[type["name"].rpartition(".")[2]] = type
    if kind == "enum":
        return frozenset({str}), _within(frozenset(type["symbols"]), "not a symbol of the enum")
    if kind == "fixed":
        return frozenset({bytes}), _sized(type["size"])
    if kind in {"array", "map"}:
        inner = type["items" if kind == "array" else "values"]
        if kind == "array" and not _has_bytes(inner):
            raise CodecError("an array whose items take no bytes, so a few bytes may claim millions")
        return (
            (frozenset({list}), _list(_rule(inner, named, open_names)))
            if kind == "array"
            else (
                frozenset({dict}),
                _map(_rule(inner, named, open_names)),
            )
        )
    inside = (*open_names, type["name"].rpartition(".")[2])
    rules = [(field["name"], *_rule(field["type"], named, inside)) for field in type["fields"]]
    return frozenset({dict}), _record(rules)


def _record(rules: list[tuple[str, frozenset[type], Check | None]]) -> Check:
    names = frozenset(name for name, _, _ in rules)

    def check(value: Any) -> None:
        if type(value) is not dict:
            raise WrongValueError("not a record")
        if value.keys() != names:
            _names_differ(value.keys(), names)
        for name, kinds, inner in rules:
            item = value[name]
            if type(item) not in kinds:
                raise WrongValueError(_unfit(item, kinds), name)
            if inner is not None and item is not None:
                try:
                    inner(item)
                except WrongValueError as error:
                    raise error.under(name) from None

    return check


def _names_differ(have: Any, names: frozenset[str]) -> None:
    for name in sorted(names - set(have)):
        raise WrongValueError("missing", name)
    raise WrongValueError("unknown field", str(min(map(str, set(have) - names))))


def _list(rule: tuple[frozenset[type], Check | None]) -> Check:
    kinds, inner = rule

    def check(value: Any) -> None:
        _few(value)
        for index, item in enumerate(value):
            _item(item, kinds, inner, str(index))

    return check


def _map(rule: tuple[frozenset[type], Check | None]) -> Check:
    kinds, inner = rule

    def check(value: Any) -> None:
        _few(value)
        for key, item in value.items():
            if type(key) is not str:
                raise WrongValueError("a key that is not text")
            if type(item) not in kinds:  # the key may be anybody's text, so the error leaves it out
                raise WrongValueError(_unfit(item, kinds), "*")
            if inner is not None and item is not None:
                _item(item, kinds, inner, "*")

    return check


def _item(item: Any, kinds: frozenset[type], inner: Check | None, name: str) -> None:
    if type(item) not in kinds:
        raise WrongValueError(_unfit(item, kinds), name)
    if inner is not None and item is not None:
        try:
            inner(item)
        except WrongValueError as error:
            raise error.under(name) from None


def _few(value: Any) -> None:
    if len(value) > MAX_ITEMS:
        raise WrongValueError(f"more than {MAX_ITEMS} items")


def _unfit(item: Any, kinds: frozenset[type]) -> str:
    if item is None:
        return "null where the schema takes none"
    wanted = " or ".join(sorted(kind.__name__ for kind in kinds if kind is not _NONE))
    return f"{type(item).__name__} where the schema takes {wanted}"


def _fits(_: Any) -> None:
    return None


def _primitive(kind: str) -> Check | None:
    if kind in _BOUNDS:
        bound = _BOUNDS[kind]

        def check(value: Any) -> None:
            if not -bound <= value < bound:
                raise WrongValueError(f"outside the range of {kind}")

        return check
    if kind in {"float", "double"}:
        pack = struct.Struct("<f" if kind == "float" else "<d").pack

        def check_real(value: Any) -> None:
            try:
                pack(value)
            except (OverflowError, struct.error):
                raise WrongValueError(f"outside the range of {kind}") from None

        return check_real
    return None


def _within(symbols: frozenset[str], reason: str) -> Check:
    def check(value: Any) -> None:
        if value not in symbols:
            raise WrongValueError(reason)

    return check


def _sized(size: int) -> Check:
    def check(value: Any) -> None:
        if len(value) != size:
            raise WrongValueError(f"not {size} bytes")

    return check


def _only(kinds: frozenset[type], check: Check) -> Check:
    def guarded(value: Any) -> None:
        if type(value) in kinds:
            check(value)

    return guarded


def _has_bytes(type: Any) -> bool:
    """Whether every value of an Avro type takes at least one byte."""
    if type == "null":
        return False
    if isinstance(type, dict) and type["type"] == "record":
        return any(_has_bytes(field["type"]) for field in type["fields"])
    if isinstance(type, dict) and type["type"] == "fixed":
        return bool(type["size"])
    return not (isinstance(type, dict) and type["type"] == "null")


def _not_unicode(value: Any, name: str) -> str:
    if isinstance(value, dict):
        inner = (
            (str(key) if not name else f"{name}.*", part)
            for key, item in value.items()
            for part in (key, item)
        )
        return next((found for where, part in inner if (found := _not_unicode(part, where))), "")
    if isinstance(value, list):
        return next((found for item in value if (found := _not_unicode(item, f"{name}.*"))), "")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return name
    return ""
