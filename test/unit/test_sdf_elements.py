"""Element and attribute names of SDFormat 1.11, as far as worlds and their models use them.

Reference: SDFormat specification 1.11 (sdformat.org), one row per element: what it may hold.
Whatever stands inside a plugin is the plugin's own business.
"""

from __future__ import annotations

from xml.etree import ElementTree

from ilrs_robots.core.paths import share_dir

_SHAPES = "empty box capsule cone cylinder ellipsoid heightmap image mesh plane polyline sphere"
CHILDREN = {
    "sdf": "world model actor light",
    "world": "audio wind include gravity magnetic_field atmosphere gui physics scene light frame "
    "joint model actor plugin road spherical_coordinates state population",
    "wind": "linear_velocity",
    "atmosphere": "temperature pressure temperature_gradient",
    "physics": "max_step_size real_time_factor real_time_update_rate max_contacts dart simbody "
    "bullet ode",
    "physics/dart": "solver collision_detector",
    "physics/dart/solver": "solver_type",
    "scene": "ambient background sky shadows fog grid origin_visual",
    "spherical_coordinates": "surface_model world_frame_orientation latitude_deg longitude_deg "
    "elevation surface_axis_equatorial surface_axis_polar heading_deg",
    "light": "cast_shadows light_on visualize intensity pose diffuse specular attenuation "
    "direction spot",
    "model": "static self_collide allow_auto_disable frame pose link joint plugin gripper include "
    "model enable_wind",
    "link": "gravity enable_wind self_collide kinematic must_be_base_link velocity_decay pose "
    "inertial collision visual sensor projector audio_sink audio_source battery light "
    "particle_emitter",
    "collision": "laser_retro max_contacts density auto_inertia_params pose geometry surface",
    "visual": "cast_shadows laser_retro transparency visibility_flags meta pose material geometry "
    "plugin",
    "geometry": _SHAPES,
    "box": "size",
    "cylinder": "radius length",
    "sphere": "radius",
    "ellipsoid": "radii",
    "heightmap": "uri size pos texture blend use_terrain_paging sampling",
    "texture": "size diffuse normal",
    "surface": "bounce friction contact soft_contact",
    "surface/friction": "torsional ode bullet",
    "surface/friction/ode": "mu mu2 fdir1 slip1 slip2",
    "material": "script shader render_order lighting ambient diffuse specular shininess emissive "
    "double_sided pbr",
    "gui": "plugin camera",
}
ATTRIBUTES = {
    "sdf": "version",
    "world": "name",
    "physics": "name default type",
    "atmosphere": "type",
    "light": "name type",
    "model": "name canonical_link placement_frame",
    "link": "name",
    "collision": "name",
    "visual": "name",
    "pose": "relative_to rotation_format degrees",
    "plugin": "name filename",
    "gui": "fullscreen",
}


def unknown(element: ElementTree.Element, path: str = "") -> list[str]:
    """Names that the specification does not have, each with its path."""
    path = f"{path}/{element.tag}" if path else element.tag
    found = [
        f"{path} @{name}"
        for name in element.attrib
        if name not in ATTRIBUTES.get(element.tag, "").split()
    ]
    if element.tag == "plugin":
        return found
    allowed = ""
    for key, children in CHILDREN.items():
        if f"/{path}".endswith(f"/{key}"):
            allowed = children
    for child in element:
        if child.tag not in allowed.split():
            found.append(f"{path}/{child.tag}")
        else:
            found += unknown(child, path)
    return found


def test_worlds_and_models_have_only_names_of_the_specification() -> None:
    files = sorted((share_dir() / "worlds").rglob("*.sdf"))
    assert len(files) >= 4
    for path in files:
        root = ElementTree.parse(path).getroot()
        assert root.get("version") == "1.11"
        assert unknown(root) == [], path


def test_a_name_that_the_specification_does_not_have_is_found() -> None:
    odd = ElementTree.fromstring("<sdf><world name='x'><gravty/><scene sky='1'/></world></sdf>")
    assert unknown(odd) == ["sdf/world/gravty", "sdf/world/scene @sky"]
