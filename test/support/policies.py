"""Reads a policy of SROS 2: what each enclave may do, by full names. It knows the format of version 0.2.0, no ROS."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

POLICY = Path(__file__).resolve().parents[2] / "config" / "vjepa_predictor.policy.xml"
RULES = {
    "topics": ("publish", "subscribe"),
    "services": ("reply", "request"),
}
"""Which attributes each list may have; the schema of SROS 2 knows actions too."""


def full_name(name: str, namespace: str, node: str) -> str:
    """A name as it is on the graph, without remappings."""
    root = namespace.rstrip("/")
    if name.startswith("/"):
        return name
    return f"{root}/{node}{name[1:]}" if name.startswith("~") else f"{root}/{name}"


def allowed(policy: Path = POLICY) -> dict[str, dict[str, list[str]]]:
    """By enclave and by what is done (publish, subscribe, reply, request): full names, in their order.

    Raises:
        AssertionError: where the file is no policy of this form.
    """
    root = ElementTree.parse(policy).getroot()
    assert (root.tag, root.attrib) == ("policy", {"version": "0.2.0"})
    (enclaves,) = root
    assert enclaves.tag == "enclaves"
    found: dict[str, dict[str, list[str]]] = {}
    for enclave in enclaves:
        assert enclave.tag == "enclave" and set(enclave.attrib) == {"path"}
        rules = found.setdefault(enclave.attrib["path"], {kind: [] for kinds in RULES.values() for kind in kinds})
        (profiles,) = enclave
        assert profiles.tag == "profiles"
        for profile in profiles:
            assert profile.tag == "profile" and set(profile.attrib) == {"ns", "node"}
            for listed in profile:
                assert listed.attrib and set(listed.attrib) <= set(RULES[listed.tag]), listed.tag
                assert set(listed.attrib.values()) == {"ALLOW"}, "everything else is denied anyway"
                assert {element.tag for element in listed} == {listed.tag.removesuffix("s")}
                names = [
                    full_name(element.text or "", profile.attrib["ns"], profile.attrib["node"]) for element in listed
                ]
                for kind in listed.attrib:
                    rules[kind] += names
    return found
