"""A participant with each profile of Fast DDS: two processes meet, and large clouds arrive."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from ilrs_robots.nodes.loopback import measure
from ilrs_robots.robots.assembly import dds_environment, dds_profile
from ilrs_robots.robots.peers_profile import peers_profile

pytestmark = pytest.mark.node
NAMESPACE = "http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"


def on_loopback(name: str) -> str:
    """The shipped network profile, kept from sending anything beyond this machine."""
    ElementTree.register_namespace("", NAMESPACE)
    root = ElementTree.parse(dds_profile(name)).getroot()
    for descriptor in root.iter(f"{{{NAMESPACE}}}transport_descriptor"):
        if descriptor.findtext(f"{{{NAMESPACE}}}type") == "UDPv4":
            listed = ElementTree.SubElement(descriptor, f"{{{NAMESPACE}}}interfaceWhiteList")
            ElementTree.SubElement(listed, f"{{{NAMESPACE}}}address").text = "127.0.0.1"
    return ElementTree.tostring(root, encoding="unicode")


@pytest.mark.parametrize("name", ["network", "peers"])
def test_participants_meet_and_exchange_clouds(
    name: str, domain_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = peers_profile("127.0.0.1", ["127.0.0.2"]) if name == "peers" else on_loopback(name)
    file = tmp_path / "profile.xml"
    file.write_text(text, encoding="utf-8")
    for key, value in dds_environment({}, profile=file).items():
        monkeypatch.setenv(key, value)
    found = measure(count=10, timeout_s=60.0)
    assert found.answered >= 1  # clouds go by best effort
    assert found.sent == 10
