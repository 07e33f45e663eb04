"""Which model a device might be, from what ChirpStack says of it. Suggestions for a person, never a decision."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smartdorf.i18n import gettext as _
from smartdorf.model import DeviceInfo
from smartdorf.yaml_source import Node

MODEL_TAG = "model"  # a device tagged model=dragino/lht65n says it itself
PROFILE_ID_TAG = "profile_id"  # VendorID and VendorProfileID, as LoRa Alliance TR005 puts them on the label


@dataclass(frozen=True, slots=True)
class Recognition:
    """What gives a model away. All texts are compared without case, spaces and punctuation."""

    profiles: tuple[str, ...] = ()
    tags: Mapping[str, tuple[str, ...]] | None = None
    profile_ids: tuple[str, ...] = ()
    oui: tuple[str, ...] = ()  # first hex digits of the DevEUI

    def describe(self) -> dict[str, Any]:
        return {
            "profiles": list(self.profiles),
            "tags": {name: list(values) for name, values in (self.tags or {}).items()},
            "profile_ids": list(self.profile_ids),
            "oui": list(self.oui),
        }

    def score(self, model: str, device: DeviceInfo) -> int:
        """0: nothing speaks for it. The better the evidence, the higher."""
        tags = device.tags
        if _plain(tags.get(MODEL_TAG, "")) in (_plain(model), _plain(model.partition("/")[2])):
            return 100
        if tags.get(PROFILE_ID_TAG, "").lower() in self.profile_ids:
            return 90
        for name, values in (self.tags or {}).items():
            if _plain(tags.get(name, "")) in [_plain(value) for value in values]:
                return 80
        profile = _plain(device.device_profile_name)
        if profile and profile in [_plain(name) for name in self.profiles]:
            return 70
        named = [
            len(_plain(name))
            for name in (model.partition("/")[2], *self.profiles)
            if _stands_in(name, device.device_profile_name)
        ]
        if named:
            return 60 + min(max(named), 9)  # "ERS CO2" is rather an ERS CO2 than an ERS
        prefix = max((len(oui) for oui in self.oui if device.dev_eui.startswith(oui)), default=0)
        return prefix  # a longer prefix says more


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).casefold()


def _stands_in(name: str, text: str) -> bool:
    """Whether ``text`` has this name in it, as words of its own: an ERS is not in every "Sensors"."""
    words = re.split(r"[\W_]+", name.casefold())
    pattern = r"[\W_]*".join(re.escape(word) for word in words if word)
    return bool(pattern) and re.search(rf"(?<![^\W_]){pattern}(?![^\W_])", text.casefold()) is not None


def read_recognition(node: Node) -> Recognition:
    if node.value is None:
        return Recognition()
    node.check_keys(["profiles", "tags", "profile_ids", "oui"])
    profiles = _texts(node["profiles"])
    for element in node["profiles"].elements():
        if isinstance(element.value, str) and not _plain(element.value):
            element.problem(_("a profile's name needs letters or digits"))
    return Recognition(
        profiles=profiles,
        tags={name: _texts(values) for name, values in node["tags"].items()},
        profile_ids=_hex(node["profile_ids"], 8, 8),
        oui=_hex(node["oui"], 6, 16),
    )


def _texts(node: Node) -> tuple[str, ...]:
    return tuple(element.text() for element in node.elements())


def _hex(node: Node, shortest: int, longest: int) -> tuple[str, ...]:
    found = []
    for element in node.elements():
        text = element.value if isinstance(element.value, str) else ""
        if re.fullmatch(rf"[0-9a-f]{{{shortest},{longest}}}", text):
            found.append(text)
        else:
            message = _("expected {digits} lower-case hex digits in quotation marks")
            digits = str(shortest) if shortest == longest else f"{shortest}-{longest}"
            element.problem(message.format(digits=digits))
    return tuple(found)
