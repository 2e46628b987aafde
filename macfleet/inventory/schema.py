"""The inventory file's own shape, key by key: what an editor completes and what an error names."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from macfleet.core.near import did_you_mean
from macfleet.core.units import GIB, format_duration, format_size
from macfleet.inventory import hardware as catalog
from macfleet.inventory.settings import DurationS, Port, SecretSource, Settings, SizeBytes, Strict

_END = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}:[1-9]"
CABLE = rf"{_END} +{_END}"


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", text):
        raise ValueError(f'"{text}" is not a name; use letters, digits, "-", "_" and "."')
    return text


def _address(text: str) -> str:
    """A host name or IP address alone; what people write around it has its own key."""
    user, at, rest = text.rpartition("@")
    if at:
        raise ValueError(f'"{text}" holds a user; write "address: {rest}" and "user: {user}"')
    if _is_ip(text):
        return text
    host, colon, port = text.partition(":")
    if colon and port.isdigit():
        raise ValueError(f'"{text}" holds a port; write "address: {host}" and "port: {port}"')
    if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?", text):
        raise ValueError(f'"{text}" is not a host name or an IP address')
    return text


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _hardware(text: str) -> str:
    row = catalog.find(text)
    if re.fullmatch(r"Mac\d+", text):  # {hardware: Mac15,14} is the keys "hardware" and "14"
        raise ValueError('a comma ends a value inside { }; write it in quotes, like "Mac15,14"')
    if row is None:
        raise ValueError(f'"{text}" is no Mac that macfleet knows; {did_you_mean(text, catalog.names())}')
    return row.id


def _cable(text: str) -> str:
    """Two ends, each a Mac and the number of its port; what is between them is a blank."""
    if not re.fullmatch(CABLE, text):
        raise ValueError(f'"{text}" is not a cable; write both its ends as MAC:PORT, like "studio-1:2 studio-3:1"')
    return text


def _memory(size_bytes: int) -> int:
    """Apple's "512GB" is 512 GiB; a decimal size would never agree with what the Mac says."""
    if size_bytes == 0 or size_bytes % GIB:
        raise ValueError(f'a Mac has whole GiB of memory; write "{max(1, round(size_bytes / 1e9))} GiB"')
    return size_bytes


def _root(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f'"{text}" is not an absolute path; write "/{text}"')
    return text


def _kv_bits(bits: int) -> int:
    if bits not in (4, 8):
        raise ValueError(f"a KV cache is kept in 4 or 8 bits, not in {bits}; leave it out for one as wide as activations")
    return bits


def _empty_if_none(value: Any) -> Any:
    return {} if value is None else value


Name = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"})]
HardwareId = Annotated[str, AfterValidator(_hardware), WithJsonSchema({"type": "string", "enum": catalog.names()})]
CableText = Annotated[str, AfterValidator(_cable), WithJsonSchema({"type": "string", "pattern": f"^{CABLE}$"})]
KvBits = Annotated[int, AfterValidator(_kv_bits), WithJsonSchema({"type": "integer", "enum": [4, 8]})]
Listen = Annotated[str, AfterValidator(_address)]


class SshSection(Strict):
    key: str | None = Field(None, description="Private key to log in with, relative to this file; without it, SSH's own choice")
    known_hosts: str | None = Field(None, description="Pinned host keys, relative to this file; without it, ~/.ssh/known_hosts")
    connect_timeout: DurationS = Field(10.0, description="How long a Mac may take to answer")


class FleetSection(Strict):
    name: Name = Field("fleet", description="What this fleet is called in reports and locks")
    user: str = Field("", description="Who logs in, where a Mac says nothing else; without it, your own user name")
    ssh: SshSection = SshSection()
    cables: tuple[CableText, ...] | None = Field(
        None, description="The Thunderbolt cables, each as both its ends; without it, any cabling that makes the topology will do"
    )
    settings: Settings = Settings()


class GroupSection(Strict):
    settings: Settings = Settings()


class MacSection(Strict):
    address: Annotated[str, AfterValidator(_address)] = Field(description="Host name or IP address", examples=["10.0.0.1"])
    hardware: HardwareId = Field(description="Model identifier (`sysctl hw.model`) or alias", examples=["mac-studio-m3-ultra"])
    memory: Annotated[SizeBytes, AfterValidator(_memory)] = Field(description="Memory it must have", examples=["512 GiB"])
    port: Port = Field(22, description="Where its SSH server listens")
    user: str | None = Field(None, description="Who logs in; without it, fleet.user")
    groups: tuple[Name, ...] = Field((), description="In this order: a later group's settings win")
    tags: tuple[Name, ...] = Field((), description="Free words to select by (`--tag`)")
    root: Annotated[str, AfterValidator(_root)] = Field("/", description="Every path macfleet writes is below it (DESTDIR)")
    settings: Settings = Settings()


class ApiKeySection(Strict):
    key: SecretSource = Field(description="The client sends it as a bearer key")
    concurrency: int | None = Field(
        None, ge=1, description="Requests with it that are answered at the same time; without it, the service's"
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_the_key_itself(cls, value: Any) -> Any:
        if isinstance(value, str):  # a message would show it
            raise ValueError("a key does not stand in the inventory; write {key: {env: NAME}} or {key: {file: PATH}}")
        return value


class ServiceSection(Strict):
    model: str = Field(description="A model card's name or a name under `models`", examples=["deepseek-v3"])
    macs: tuple[str, ...] = Field(description="Macs, groups or patterns such as studio-*; the first is the head", min_length=1)
    context: int = Field(8192, ge=1, description="Tokens of prompt and answer together, per request")
    concurrency: int = Field(4, ge=1, description="Requests that are answered at the same time")
    kv_bits: KvBits | None = Field(
        None, description="Bits of a value in the KV cache; without it, as wide as activations. Its requests are then answered one by one"
    )
    port: Port | None = Field(None, description="Where its clients connect on the head Mac; without it, settings.gateway.port")
    control_port: Port | None = Field(None, description="Where its workers connect on the head Mac; without it, port + 1")
    listen: Listen | None = Field(None, description="Address the gateway binds; without it, settings.gateway.listen")
    api_key: SecretSource | None = Field(None, description="Clients must send it as a bearer key; whoever has it may also operate")
    api_keys: Annotated[dict[Name, ApiKeySection], BeforeValidator(_empty_if_none)] = Field(
        {}, description="Keys of single clients, by a name that metrics show; they are served in turn"
    )

    @model_validator(mode="after")
    def _names_of_keys(self) -> ServiceSection:
        if "default" in self.api_keys:
            raise ValueError('"default" is what metrics call those who come with `api_key` itself; give this key another name')
        return self


class ModelSection(Strict):
    path: str | None = Field(None, description="A model directory on the controller, relative to this file")
    repo: str | None = Field(None, description="A repository that every Mac fetches from", examples=["mlx-community/Qwen3-0.6B-4bit"])

    @model_validator(mode="after")
    def _one_source(self) -> ModelSection:
        if (self.path is None) == (self.repo is None):
            raise ValueError("write exactly one of {path: DIRECTORY} and {repo: OWNER/NAME}")
        return self


class InventoryFile(Strict):
    """A macfleet inventory."""

    fleet: FleetSection = Field(FleetSection(), description="What holds for every Mac")
    groups: Annotated[dict[Name, GroupSection], BeforeValidator(_empty_if_none)] = Field({}, description="What some Macs share")
    macs: Annotated[dict[Name, MacSection], BeforeValidator(_empty_if_none)] = Field(
        description="The Macs; their order is the order of every output", min_length=1
    )
    services: Annotated[dict[Name, ServiceSection], BeforeValidator(_empty_if_none)] = Field({}, description="The models served")
    models: Annotated[dict[Name, ModelSection], BeforeValidator(_empty_if_none)] = Field({}, description="Weights of your own")


def json_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of an inventory, for editors."""
    schema: Mapping[str, Any] = _as_people_write(InventoryFile.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "macfleet inventory"}


def _as_people_write(schema: Any) -> Any:
    """Without whole sections as defaults, and with sizes and durations as text: an editor shows them."""
    if isinstance(schema, list):
        return [_as_people_write(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    default = schema.get("default")
    kept = {key: _as_people_write(value) for key, value in schema.items() if key != "default" or not isinstance(value, dict)}
    if schema.get("type") == "string" and isinstance(default, int | float):
        kept["default"] = format_size(default) if isinstance(default, int) else format_duration(default)
    return kept
