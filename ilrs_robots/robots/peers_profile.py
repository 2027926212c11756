"""A Fast DDS profile for several machines that know each other by address."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from ilrs_robots.core.errors import ConfigError
from ilrs_robots.robots.assembly import dds_profile

_NAMESPACE: Final = "http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"
_TAG: Final = f"{{{_NAMESPACE}}}"
LOOPBACK: Final = "127.0.0.1"


def peers_profile(own: str, peers: Sequence[str], template: Path | None = None) -> str:
    """The loopback profile, widened to one address of this machine and to machines that are named.

    Nothing is sent by multicast, nothing is taken on other interfaces, and who is not named is
    not asked. (Who knows our address may still ask us: SROS 2 is what keeps strangers out.)

    Args:
        own: this machine's address on the vehicles' network, IPv4.
        peers: addresses of the other machines.
        template: the profile to widen; the shipped loopback profile by default.

    Raises:
        ConfigError: an address is none, or is named twice.
    """
    named = [_address(text) for text in (own, *peers)]
    for address in named:
        if named.count(address) > 1:
            raise ConfigError(f"address {address} is named twice")
    ElementTree.register_namespace("", _NAMESPACE)
    root = ElementTree.parse(template or dds_profile()).getroot()
    here = [address for address in (LOOPBACK, named[0]) if address not in named[1:]]
    here = list(dict.fromkeys(here))
    _fill(_one(root, "interfaceWhiteList"), here, plain=True)
    _fill(_one(root, "metatrafficUnicastLocatorList"), here)
    _fill(_one(root, "initialPeersList"), list(dict.fromkeys([*here, *named[1:]])))
    _one(root, "TTL").text = "1"
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise ConfigError(f"{text!r} is no IPv4 address") from error


def _one(root: ElementTree.Element, name: str) -> ElementTree.Element:
    found = root.find(f".//{_TAG}{name}")
    if found is None:
        raise ConfigError(f"the profile has no {name}")
    return found


def _fill(parent: ElementTree.Element, addresses: Sequence[str], *, plain: bool = False) -> None:
    """Replace the addresses in a list of interfaces (``plain``) or of locators."""
    for child in list(parent):
        parent.remove(child)
    for address in addresses:
        holder = parent
        if not plain:
            locator = ElementTree.SubElement(parent, f"{_TAG}locator")
            holder = ElementTree.SubElement(locator, f"{_TAG}udpv4")
        ElementTree.SubElement(holder, f"{_TAG}address").text = address
