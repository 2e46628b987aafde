"""The keys of a service, from where the inventory says they are to its gateway."""

from dataclasses import replace

import pytest

from macfleet.core.errors import RequestError, SecretMissing
from macfleet.core.secret import Secret
from macfleet.engines.base import ApiKeys, ClientKey
from macfleet.inventory.mac import ApiKey, Service
from macfleet.inventory.settings import SecretSource
from macfleet.serving.keys import read_keys

SERVICE = Service("chat", "tiny", ("studio-1",))


@pytest.fixture
def source(tmp_path):
    def written(name, key):
        (tmp_path / name).write_text(f"{key}\n")
        return SecretSource(file=name)

    return written


def test_a_service_that_wants_no_key_gets_none(tmp_path):
    assert read_keys(SERVICE, tmp_path) == ApiKeys()


def test_every_key_is_read_from_its_source(tmp_path, source):
    clients = (ApiKey("red", source("red", "sk-red"), 2), ApiKey("blue", source("blue", "sk-blue")))

    keys = read_keys(replace(SERVICE, api_key=source("own", "sk-own"), api_keys=clients), tmp_path)

    assert keys == ApiKeys(Secret("sk-own"), (ClientKey("red", Secret("sk-red"), 2), ClientKey("blue", Secret("sk-blue"), None)))


def test_where_only_clients_have_keys_the_service_gets_one_that_nobody_knows(tmp_path, source):
    service = replace(SERVICE, api_keys=(ApiKey("red", source("red", "sk-red")),))

    first, second = read_keys(service, tmp_path), read_keys(service, tmp_path)

    assert first.own != second.own
    assert len(first.own.reveal()) >= 32


def test_two_names_with_the_same_key_are_refused_and_the_key_is_not_shown(tmp_path, source):
    clients = (ApiKey("red", source("red", "sk-same")), ApiKey("blue", source("blue", "sk-same")))

    with pytest.raises(RequestError, match="services/chat: red and blue have the same key") as refused:
        read_keys(replace(SERVICE, api_keys=clients), tmp_path)

    assert "sk-same" not in str(refused.value)


def test_a_key_whose_source_is_empty_is_said_with_its_place(tmp_path):
    nowhere = SecretSource(file="nowhere")

    with pytest.raises(SecretMissing, match=r"^services/chat/api_keys/red: the file nowhere cannot be read") as missing:
        read_keys(replace(SERVICE, api_keys=(ApiKey("red", nowhere),)), tmp_path)
    with pytest.raises(SecretMissing, match=r"^services/chat/api_key: "):
        read_keys(replace(SERVICE, api_key=nowhere), tmp_path)

    assert missing.value.truths == (f"looked at {tmp_path / 'nowhere'}",)
    assert "write the secret into the first line" in missing.value.hint


def test_a_key_that_no_client_can_send_is_refused_and_not_shown(tmp_path, source):
    with pytest.raises(
        RequestError, match="services/chat/api_key: the file own holds a key with letters that clients cannot send"
    ) as refused:
        read_keys(replace(SERVICE, api_key=source("own", "sk-schlüssel")), tmp_path)

    assert "schlüssel" not in str(refused.value)
