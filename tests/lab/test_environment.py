from pathlib import Path

from macfleet.lab.environment import host_environment, program_path, search_path
from macfleet.lab.paths import MacDir


def test_a_mac_gets_this_machines_way_to_the_network_and_nothing_else(tmp_path):
    environment = host_environment({"https_proxy": "http://proxy:1", "SSL_CERT_FILE": "/certs", "SECRET": "x", "PATH": "/bin"}, tmp_path)

    assert environment["https_proxy"] == "http://proxy:1"
    assert environment["SSL_CERT_FILE"] == "/certs"
    assert not {"SECRET", "PATH", "HOME"} & environment.keys()


def test_pips_mirror_is_said_to_uv_which_does_not_read_it(tmp_path):
    settings = tmp_path / ".config/pip/pip.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text("[global]\nindex-url = https://mirror/simple\nextra-index-url =\n    https://one/simple\n    https://two/simple\n")

    environment = host_environment({"PIP_FIND_LINKS": "/wheels /more"}, tmp_path)

    assert environment["UV_DEFAULT_INDEX"] == "https://mirror/simple"
    assert environment["UV_INDEX"].endswith("https://one/simple https://two/simple")
    assert environment["UV_FIND_LINKS"] == "/wheels,/more"


def test_a_setting_of_uv_itself_is_not_second_guessed(tmp_path):
    environment = host_environment({"UV_DEFAULT_INDEX": "https://own/simple", "PIP_INDEX_URL": "https://mirror/simple"}, tmp_path)

    assert environment["UV_DEFAULT_INDEX"] == "https://own/simple"


def test_all_macs_share_one_package_cache(tmp_path):
    assert host_environment({}, tmp_path)["UV_CACHE_DIR"] == str(tmp_path / ".cache/uv")
    assert host_environment({"XDG_CACHE_HOME": "/cache"}, tmp_path)["UV_CACHE_DIR"] == "/cache/uv"


def test_the_emulated_programs_stand_in_front_of_whatever_path_a_job_wants():
    directories = search_path(MacDir(Path("/lab/macs/studio-1")), "/opt/homebrew/bin:/usr/bin").split(":")

    assert directories[:3] == ["/lab/macs/studio-1/bin", "/opt/homebrew/bin", "/usr/bin"]
    assert len(set(directories)) == len(directories)


def test_a_system_program_named_with_its_path_is_the_emulated_one(tmp_path):
    mac = MacDir(tmp_path)
    mac.bin.mkdir()
    (mac.bin / "sysctl").touch()

    assert program_path(mac, "/usr/sbin/sysctl") == str(mac.bin / "sysctl")
    assert program_path(mac, "/bin/sh") == "/bin/sh"
    assert program_path(mac, "/opt/macfleet/sysctl") == "/opt/macfleet/sysctl"
