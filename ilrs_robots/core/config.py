"""Parameters are declared once, as fields of frozen dataclasses, with unit, range and meaning.

``param`` declares a field, ``check`` (called from ``__post_init__``) enforces types and ranges,
``from_mapping`` builds a dataclass from a mapping read from YAML and names whatever is wrong with
file, key, value, limit and unit. Nodes turn the same fields into ROS parameters.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.yaml_loader import OnceLoader
from ilrs_robots.core.yaml_source import Source

T = TypeVar("T")


@dataclass(frozen=True)
class ParamSpec:
    """What is known of a parameter besides its type and default.

    Attributes:
        doc: one sentence for people.
        unit: SI unit, empty for a pure number.
        low: smallest allowed value or None.
        high: largest allowed value or None.
        choices: allowed values of a finite parameter.
    """

    doc: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


def param(
    default: Any = MISSING,
    *,
    doc: str,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare a dataclass field with its unit, inclusive range and description."""
    metadata = {"param": ParamSpec(doc, unit, low, high, choices)}
    if isinstance(default, list | dict):
        return field(default_factory=lambda: default.copy(), metadata=metadata)
    return field(default=default, metadata=metadata)


def spec_of(item: dataclasses.Field[Any]) -> ParamSpec | None:
    """The ``ParamSpec`` of a dataclass field, or None where ``param`` did not make it."""
    found = item.metadata.get("param")
    return found if isinstance(found, ParamSpec) else None


def check(instance: Any) -> None:
    """Check every ``param`` field of a dataclass against its range; call from ``__post_init__``.

    Raises:
        ConfigError: naming the field, the value, the limit and the unit.
    """
    for item in fields(instance):
        spec = spec_of(item)
        if spec is None:
            continue
        value = getattr(instance, item.name)
        _check_value(f"{type(instance).__name__}.{item.name}", value, spec)


def _check_value(name: str, value: Any, spec: ParamSpec) -> None:
    unit = f" {spec.unit}" if spec.unit else ""
    if spec.choices and value not in spec.choices:
        raise ConfigError(f"{name} = {value!r}: must be one of {', '.join(spec.choices)}")
    for number in _numbers(value):
        if math.isnan(number):
            raise ConfigError(f"{name} is NaN{unit and f' ({spec.unit})'}: a number is needed")
        if spec.low is not None and number < spec.low:
            raise ConfigError(f"{name} = {number}{unit}: below the limit {spec.low}{unit}")
        if spec.high is not None and number > spec.high:
            raise ConfigError(f"{name} = {number}{unit}: above the limit {spec.high}{unit}")
        if math.isinf(number):
            raise ConfigError(f"{name} = {number}{unit}: a finite number is needed")


def _numbers(value: Any) -> Iterator[float]:
    """Every number inside a value of tuples, lists and mappings."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


@dataclass(frozen=True)
class Leaf:
    """One scalar parameter inside a dataclass of parameters.

    Attributes:
        name: dotted path of field names.
        kind: bool, int, float or str.
        value: the value in this instance.
        spec: what is known of it.
    """

    name: str
    kind: type
    value: Any
    spec: ParamSpec


@cache
def _hints(cls: Any) -> dict[str, Any]:
    """Types of a dataclass's fields; evaluating the annotations is most of reading a file."""
    return get_type_hints(cls)


def leaves(instance: Any) -> Iterator[Leaf]:
    """The scalar parameters of a dataclass, those of nested dataclasses included, in order."""
    kind: Any = type(instance)
    hints = _hints(kind)
    for item in fields(instance):
        value, spec = getattr(instance, item.name), spec_of(item)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            for leaf in leaves(value):
                yield dataclasses.replace(leaf, name=f"{item.name}.{leaf.name}")
        elif spec is not None and hints[item.name] in (bool, int, float, str):
            yield Leaf(item.name, hints[item.name], value, spec)


def replaced(instance: T, values: Mapping[str, Any]) -> T:
    """A copy with other values for some leaves; every check of the dataclasses is made again.

    Args:
        instance: a dataclass of parameters.
        values: by dotted name, as ``leaves`` gives it.

    Raises:
        ConfigError: naming the field, the value, the limit and the unit.
    """
    own = {name: value for name, value in values.items() if "." not in name}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        head, dot, rest = name.partition(".")
        if dot:
            nested.setdefault(head, {})[rest] = value
    for head, inner in nested.items():
        own[head] = replaced(getattr(instance, head), inner)
    return dataclasses.replace(instance, **own)  # type: ignore[type-var]


def check_leaf(name: str, value: Any, leaf: Leaf) -> None:
    """Check one value for a leaf, under the name that its user knows.

    Raises:
        ConfigError: wrong type or out of range, with value, limit and unit.
    """
    _check_value(name, _convert(leaf.kind, value, name), leaf.spec)


def from_mapping(cls: type[T], mapping: Mapping[str, Any], where: str) -> T:
    """Build the dataclass ``cls`` from a mapping; nested dataclasses are built likewise.

    Args:
        cls: a dataclass whose fields are scalars, strings, tuples, mappings or dataclasses.
        mapping: keys are field names.
        where: file for messages; a ``Source`` names the line as well.

    Raises:
        ConfigError: unknown key, missing key, wrong type, value out of range; the message names
            the file and the whole path of the key, such as ``wheels.radius_m``.
    """
    return _build(cls, mapping, where, "")


def _at(where: str, key: str) -> str:
    if isinstance(where, Source):
        return f"{where.place(key)}: {where.path(key)}"
    return f"{where}: {key}" if key else where


def _place(where: str, key: str) -> str:
    return where.place(key) if isinstance(where, Source) else where


def _build(cls: type[T], mapping: Any, where: str, key: str) -> T:
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{_at(where, key)} = {mapping!r}: expected keys and values")
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls!r} is not a dataclass")
    known = {item.name: item for item in fields(cls) if item.init}
    prefix = f"{key}." if key else ""
    unknown = sorted(str(name) for name in mapping if name not in known)
    if unknown:
        raise ConfigError(
            f"{_place(where, prefix + unknown[0])}: unknown key {prefix + unknown[0]!r}; "
            "known keys are "
            f"{', '.join(sorted(known))}"
        )
    kind: Any = cls
    hints = _hints(kind)
    values: dict[str, Any] = {}
    for name, item in known.items():
        if name in mapping:
            values[name] = _convert(hints[name], mapping[name], where, prefix + name)
            spec = spec_of(item)
            if spec is not None:
                _check_value(_at(where, prefix + name), values[name], spec)
        elif item.default is MISSING and item.default_factory is MISSING:
            raise ConfigError(f"{_place(where, key)}: key {prefix + name!r} is missing")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{_at(where, key)}: {error}") from error


_WORDS = {float: "a number", int: "a whole number", str: "text (in quotes)", bool: "true or false"}


def _convert(hint: Any, value: Any, where: str, key: str = "") -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value, where, key)
    args: tuple[Any, ...] = getattr(hint, "__args__", ())
    if type(None) in args:
        if value is None:
            return None
        inner = next(a for a in args if a is not type(None))
        return _convert(inner, value, where, key)
    origin = getattr(hint, "__origin__", None)
    if origin is tuple:
        return _convert_tuple(args, value, where, key)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{_at(where, key)} = {value!r}: expected keys and values")
        return {str(k): _convert(args[1], v, where, f"{key}.{k}") for k, v in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in _WORDS and (type(value) is not hint):
        raise ConfigError(f"{_at(where, key)} = {value!r}: expected {_WORDS[hint]}")
    return value


def _convert_tuple(args: tuple[Any, ...], value: Any, where: str, key: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{_at(where, key)} = {value!r}: expected a list")
    if args[-1] is Ellipsis:
        kinds: list[Any] = [args[0]] * len(value)
    elif len(value) == len(args):
        kinds = list(args)
    else:
        raise ConfigError(
            f"{_at(where, key)} = {value!r}: expected {len(args)} values, got {len(value)}"
        )
    pairs = zip(kinds, value, strict=True)
    return tuple(_convert(a, v, where, f"{key}[{i}]") for i, (a, v) in enumerate(pairs))


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping with the safe loader.

    Raises:
        ConfigError: the file is absent, is not YAML, has a key twice or holds no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not text in UTF-8 ({error})") from error
    try:
        loaded = yaml.load(text, Loader=OnceLoader)  # noqa: S506 - a safe loader
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid YAML ({error})") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: expected keys and values at the top")
    return loaded
