"""The cables as people see them: in the terminal, as a picture, and as a plan."""

import json
from xml.etree import ElementTree

import pytest
import typer
from typer.testing import CliRunner

from macfleet.cli.cables import cables, sentence, troubles
from macfleet.cli.cables_drawing import draw
from macfleet.cli.cables_svg import render_svg
from macfleet.core.errors import RequestError
from tests.checks.macs import MESH, Shelf
from tests.placement.test_cable_map import map_of

TWO = """\
╭─ studio-1 ──╮
│ 1  en2      ┝━┓  80 Gb/s  RDMA  studio-2:3
│ 2 3 4  free │ ┃
╰─────────────╯ ┃
╭─ studio-2 ──╮ ┃
│ 3  en4      ┝━┛  80 Gb/s  RDMA  studio-1:1
│ 1 2 4  free │
╰─────────────╯"""

BROKEN = Shelf(cables=(*MESH[:-1], "4.4-9.1"), slow_cables=("2.3-4.2",), rdma_off=(3,), ports=5)
SEVEN = Shelf(count=7, ports=6, cables=tuple(f"{a}.{b - 1}-{b}.{a}" for a in range(1, 8) for b in range(a + 1, 8)))
SHELVES = {
    "broken": BROKEN,
    "seven": SEVEN,
    "silent": Shelf(silent=(3,)),
    "one": Shelf(count=1, cables=()),
    "two": Shelf(count=2, cables=("1.1-2.3",)),
    "double": Shelf(count=2, cables=("1.1-2.1", "1.2-2.2", "1.3-1.4")),
    "none": Shelf(count=3, cables=()),
}


def drawn(shelf, width):
    return [line.plain for line in draw(map_of(shelf), width)]


def test_two_macs_and_a_cable():
    assert "\n".join(drawn(Shelf(count=2, cables=("1.1-2.3",)), 80)) == TWO


def test_lines_that_cross_and_lines_that_are_not_there_are_drawn_as_such():
    lines = drawn(BROKEN, 80)

    assert "│ 2  en3     ├─╂─┐      80 Gb/s  no RDMA  studio-3:1" in lines
    assert "│ 3  en4     ├╌┘        no cable to studio-3:3" in lines
    assert "│ 4  en5     ┝╸         80 Gb/s  RDMA  another Mac (Mac16,9)" in lines


def test_a_wide_terminal_shows_what_each_mac_is_and_its_addresses():
    lines = drawn(BROKEN, 200)

    assert lines[0].startswith("╭─ studio-1 · Mac Studio M4 Max (2025) ─╮")
    assert lines[1].startswith("│ 1  en2  10.55.0.1/30 ")
    assert lines[1].endswith("80 Gb/s  RDMA  studio-2 Thunderbolt 1")


@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("name", SHELVES)
def test_a_drawing_fits_and_every_cable_stands_at_both_its_ends(name, width):
    shelf = SHELVES[name]
    lines = drawn(shelf, width)

    assert max(map(len, lines)) <= width
    ends = sum(2 if cable.b else 1 for cable in map_of(shelf).cables)
    assert sum("Gb/s" in line or "no cable" in line for line in lines) == ends


def test_colour_repeats_the_words():
    (line,) = (line for line in draw(map_of(Shelf(count=2, cables=("1.1-2.3",))), 80) if "studio-1:1" in line.plain)

    assert {str(span.style) for span in line.spans if span.style} == {"green"}


def test_what_is_not_right_is_said_in_full_below():
    assert troubles(map_of(Shelf(cables=MESH[:-1], slow_cables=MESH[:1]))) == [
        "studio-1 Thunderbolt 1 ↔ studio-2 Thunderbolt 1: no RDMA, it runs at 40 Gb/s (see cabling)",
        "studio-3 Thunderbolt 3 ↔ studio-4 Thunderbolt 3: plug a cable: a mesh is wanted",
    ]
    assert sentence(map_of(Shelf(cables=MESH[:-1], slow_cables=MESH[:1]))) == "5 cables, 4 carry RDMA, 1 is missing"
    assert sentence(map_of(Shelf(silent=(3,)))) == "6 cables, 6 carry RDMA, nobody could see the ports of studio-3"


SVG = "{http://www.w3.org/2000/svg}"


def viewed(svg):
    root = ElementTree.fromstring(svg)
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    return root, (left, top, left + width, top + height)


@pytest.mark.parametrize("name", SHELVES)
def test_the_picture_is_whole_and_everything_is_on_it(name):
    root, (left, top, right, bottom) = viewed(render_svg(map_of(SHELVES[name]), "shelf"))

    cables = map_of(SHELVES[name]).cables
    curves = [path for group in root.iter(f"{SVG}g") for path in group.iter(f"{SVG}path") if "cable" in path.attrib["class"]]
    assert len(curves) == len(cables)
    boxes = [rect for rect in root.iter(f"{SVG}rect") if rect.attrib["class"] != "page"]
    assert all(left <= float(box.attrib["x"]) and float(box.attrib["x"]) + float(box.attrib["width"]) <= right for box in boxes)
    assert all(top <= float(box.attrib["y"]) and float(box.attrib["y"]) + float(box.attrib["height"]) <= bottom for box in boxes)


def test_every_cable_of_the_picture_says_all_when_pointed_at():
    root, _ = viewed(render_svg(map_of(BROKEN), "shelf"))

    titles = [title.text for title in root.iter(f"{SVG}title")]

    assert "studio-2 Thunderbolt 3 ↔ studio-4 Thunderbolt 2: 40 Gb/s, no RDMA: it runs at 40 Gb/s (see cabling)" in titles
    assert any(title.startswith("studio-1 Thunderbolt 1 ↔ studio-2 Thunderbolt 1: 80 Gb/s, carries RDMA") for title in titles)
    assert "studio-1 Thunderbolt 1, en2, rdma_en2 PORT_ACTIVE, 10.55.0.1/30" in titles


def test_a_name_from_a_file_is_no_markup():
    root, _ = viewed(render_svg(map_of(Shelf(count=2, cables=())), "a <shelf> & more"))

    assert root.find(f"{SVG}title").text == "a <shelf> & more"


INVENTORY = """\
macs:
  a: {address: 10.0.0.1, hardware: mac-mini-m4-pro, memory: 64 GiB}
  b: {address: 10.0.0.2, hardware: mac-mini-m4-pro, memory: 64 GiB}
  c: {address: 10.0.0.3, hardware: mac-mini-m4-pro, memory: 64 GiB}
  d: {address: 10.0.0.4, hardware: mac-mini-m4-pro, memory: 64 GiB}
  e: {address: 10.0.0.5, hardware: mac-mini-m4-pro, memory: 64 GiB}
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    app = typer.Typer()
    app.command()(cables)

    def invoke(*words):
        return CliRunner().invoke(app, ["--inventory", str(tmp_path / "inventory.yaml"), *words])

    return invoke


def test_a_plan_is_a_line_for_each_cable(run):
    result = run("--plan", "mesh", "--offline", "--mac", "a", "--mac", "b", "--mac", "c")

    assert result.exit_code == 0
    assert result.stdout == (
        "a mesh of 3 Macs has 3 cables; 3 cables to plug\n"
        "  plug     a Thunderbolt 1 ↔ b Thunderbolt 1\n"
        "  plug     a Thunderbolt 2 ↔ c Thunderbolt 1\n"
        "  plug     b Thunderbolt 2 ↔ c Thunderbolt 2\n"
    )
    assert result.stderr == "each a Thunderbolt 5 cable: what it trains at counts, not its label\nnext: macfleet cables\n"


def test_without_the_macs_the_inventorys_cables_are_believed(run, tmp_path):
    (tmp_path / "inventory.yaml").write_text(INVENTORY + "fleet: {cables: ['b:3 a:2']}\n")

    result = run("--plan", "mesh", "--offline", "--mac", "a", "--mac", "b", "--mac", "c")

    assert result.stdout.splitlines()[1:] == [
        "  keep     a Thunderbolt 2 ↔ b Thunderbolt 3",
        "  plug     a Thunderbolt 1 ↔ c Thunderbolt 1",
        "  plug     b Thunderbolt 1 ↔ c Thunderbolt 2",
    ]


def test_what_cannot_be_cabled_says_why_and_what_instead_and_exits_1(run):
    result = run("--plan", "mesh", "--offline")

    assert result.exit_code == 1
    assert result.stdout.splitlines()[:2] == ["a mesh of 5 Macs cannot be cabled", "  a has 3 Thunderbolt ports; it would take 4"]
    assert "  `macfleet cables --plan ring`: two ports of each Mac, 5 cables, as many Macs as you like" in result.stdout


def test_a_plan_as_json_is_possible_or_not(run):
    ring, mesh = (json.loads(run("--plan", shape, "--offline", "--json").stdout) for shape in ("ring", "mesh"))

    assert (ring["is_possible"], ring["summary"]["plug"], mesh["is_possible"], len(mesh["reasons"])) == (True, 5, False, 5)
    assert ring["plug"][0] == {"a": {"mac": "a", "port": 1}, "b": {"mac": "b", "port": 1}, "speed_gb_s": None}


def test_a_plan_is_a_picture_too_for_whoever_goes_to_the_rack(run, tmp_path):
    (tmp_path / "inventory.yaml").write_text(INVENTORY + "fleet: {cables: ['b:3 a:2']}\n")

    result = run("--plan", "ring", "--offline", "--svg", str(tmp_path / "plan.svg"))

    assert result.stdout == f"drawn into {tmp_path / 'plan.svg'}: a ring of 5 Macs has 5 cables; 4 cables to plug\n"
    root, _ = viewed((tmp_path / "plan.svg").read_text())
    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert "a Thunderbolt 2 ↔ b Thunderbolt 3: plugged in" in titles
    assert sum(title.endswith("no cable: plug it in") for title in titles) == 4


def test_without_asking_the_macs_only_a_plan_can_be_made(run):
    assert isinstance(run("--offline").exception, RequestError)
