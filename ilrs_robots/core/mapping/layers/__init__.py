"""Layers of the terrain map: one file each, found by being here.

``LAYERS`` is what there is; ``compute_layers`` computes what is asked for and whatever that needs,
each once.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.core.mapping.layer_spec import LayerContext, LayerSpec
from ilrs_robots.core.types import Float32Array

__all__ = ["LAYERS", "LayerContext", "LayerSpec", "compute_layers", "discover"]


def discover() -> dict[str, LayerSpec]:
    """Every layer by name, of each file in this package and in what was added to its path.

    Raises:
        ConfigError: a file declares no ``LAYER``, or two declare the same name.
    """
    found: dict[str, LayerSpec] = {}
    for item in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        module = importlib.import_module(f"{__name__}.{item.name}")
        spec = getattr(module, "LAYER", None)
        if not isinstance(spec, LayerSpec):
            raise ConfigError(f"{module.__file__}: a layer's file declares LAYER, a LayerSpec")
        if spec.name in found:
            raise ConfigError(f"{module.__file__}: there is a layer {spec.name!r} already")
        found[spec.name] = spec
    return found


LAYERS: Mapping[str, LayerSpec] = MappingProxyType(discover())


def compute_layers(
    names: Iterable[str],
    context: LayerContext,
    layers: Mapping[str, LayerSpec] = LAYERS,
) -> dict[str, Float32Array]:
    """Compute layers and what they need, each once.

    Args:
        names: what is wanted.
        context: the map's state; what is computed stays in it for the next call.
        layers: what there is.

    Returns:
        (rows, cols) float32 by name, in the order of ``names``; not to be altered.

    Raises:
        ConfigError: an unknown layer, or layers that need one another.
    """
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        _compute(name, context, layers, ())
    return {name: context[name] for name in wanted}


def _compute(
    name: str, context: LayerContext, layers: Mapping[str, LayerSpec], way: tuple[str, ...]
) -> None:
    if context.done(name):
        return
    if name in way:
        circle = " needs ".join((*way[way.index(name) :], name))
        raise ConfigError(f"layers need one another: {circle}")
    spec = layers.get(name)
    if spec is None:
        asked = f", which {way[-1]!r} needs" if way else ""
        raise ConfigError(f"no layer {name!r}{asked}; there are {', '.join(sorted(layers))}")
    for needed in spec.inputs:
        _compute(needed, context, layers, (*way, name))
    context.keep(name, spec.compute(context))
