"""Parameters are declared once, as fields of frozen dataclasses, with unit, range and meaning.

``param`` declares a field, ``check`` (called from ``__post_init__``) enforces types and ranges,
``from_mapping`` builds a dataclass from a mapping read from YAML and names whatever is wrong with
file, key, value, limit and unit. Nodes turn the same fields into ROS parameters.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from ilrs_robots.core.errors import ConfigError

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
    numbers = value if isinstance(value, tuple | list) else (value,)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        if math.isnan(number):
            raise ConfigError(f"{name} is NaN{unit and f' ({spec.unit})'}: a number is needed")
        if spec.low is not None and number < spec.low:
            raise ConfigError(f"{name} = {number}{unit}: below the limit {spec.low}{unit}")
        if spec.high is not None and number > spec.high:
            raise ConfigError(f"{name} = {number}{unit}: above the limit {spec.high}{unit}")


def from_mapping(cls: type[T], mapping: Mapping[str, Any], where: str) -> T:
    """Build the dataclass ``cls`` from a mapping; nested dataclasses are built likewise.

    Args:
        cls: a dataclass whose fields are scalars, strings, tuples, mappings or dataclasses.
        mapping: keys are field names.
        where: file (and key path) for messages.

    Raises:
        ConfigError: unknown key, missing key, wrong type, value out of range.
    """
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{where}: expected keys and values, got {type(mapping).__name__}")
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"{cls!r} is not a dataclass")
    known = {item.name: item for item in fields(cls) if item.init}
    unknown = sorted(str(key) for key in mapping if key not in known)
    if unknown:
        raise ConfigError(
            f"{where}: unknown key {unknown[0]!r}; known keys are {', '.join(sorted(known))}"
        )
    hints = get_type_hints(cls)
    values: dict[str, Any] = {}
    for name, item in known.items():
        if name in mapping:
            values[name] = _convert(hints[name], mapping[name], f"{where}: {name}")
        elif item.default is MISSING and item.default_factory is MISSING:
            raise ConfigError(f"{where}: key {name!r} is missing")
    try:
        return cls(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return from_mapping(hint, value, where)
    args: tuple[Any, ...] = getattr(hint, "__args__", ())
    if type(None) in args:
        if value is None:
            return None
        (inner,) = (arg for arg in args if arg is not type(None))
        return _convert(inner, value, where)
    origin = getattr(hint, "__origin__", None)
    if origin is tuple:
        return _convert_tuple(args, value, where)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} = {value!r}: expected keys and values")
        return {str(k): _convert(args[1], v, f"{where}.{k}") for k, v in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in (float, int, str, bool):
        if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
            raise ConfigError(f"{where} = {value!r}: expected {hint.__name__}")
        return value
    return value


def _convert_tuple(args: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where} = {value!r}: expected a list")
    if args[-1] is Ellipsis:
        return tuple(_convert(args[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if len(value) != len(args):
        raise ConfigError(f"{where} = {value!r}: expected {len(args)} values, got {len(value)}")
    pairs = zip(args, value, strict=True)
    return tuple(_convert(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(pairs))


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping with the safe loader.

    Raises:
        ConfigError: the file is absent, is not YAML or holds no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML ({error})") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: expected keys and values at the top")
    return loaded
