"""The three pictures of a lineage: a tree of text, JSON and a page that stands alone."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from engine.artifacts.lineage import graph
from engine.report.lineage import render_html, render_json, render_text
from tests.chain import Chain, make_chain


@pytest.fixture(name="chain")
def _chain(tmp_path: Path) -> Chain:
    return make_chain(tmp_path)


def test_text_draws_every_node_once_and_names_it_afterwards(chain: Chain) -> None:
    text = render_text(graph(chain.store, "toy/model"))
    lines = text.splitlines()
    assert lines[0].startswith("toy/model  train  recipe ")
    assert sum("toy/corpus@documents" in line for line in lines) == 2
    assert sum("toy/corpus@documents  (above)" in line for line in lines) == 1
    assert sum("https://example.org/raw-0.txt" in line for line in lines) == 1


def test_json_is_plain_data(chain: Chain) -> None:
    data = json.loads(json.dumps(render_json(graph(chain.store, "toy/model"))))
    assert data["root"] == "toy/model"
    assert len(data["runs"]) == 4


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.targets: set[str] = set()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors.add(values.get("id") or "")
        if tag == "a":
            self.targets.add((values["href"] or "").removeprefix("#"))
        self.loaded += [tag for name in ("src", "srcset") if name in values] + [tag] * (tag in ("script", "link"))


def test_html_stands_alone_and_its_links_lead_somewhere(chain: Chain) -> None:
    page = render_html(graph(chain.store, "toy/model"))
    links = _Links()
    links.feed(page)
    assert links.loaded == []
    assert links.targets <= links.anchors
    assert re.search("url\\(|@import", page) is None
    assert all(sha256 in page for sha256 in chain.shas)


def test_html_escapes_what_specs_say(chain: Chain) -> None:
    found = graph(chain.store, "toy/corpus")
    node = found.runs[0]
    first = type(node.sources[0])("0" * 64, "<b>", "https://example.org/?a&b", "<script>")
    changed = type(node)(node.run, node.kind, node.recipe, node.content, (first,))
    page = render_html(type(found)(found.root, (changed,), ()))
    assert "<script>" not in page
    assert "<b>" not in page


def test_a_damaged_run_on_the_way_is_drawn_as_such(chain: Chain) -> None:
    (chain.store.folder("toy/clean") / "manifest.json").write_text("{}")
    found = graph(chain.store, "toy/model")
    assert "damaged" in render_text(found)
    assert "damaged" in render_html(found)
