"""The README of an exported checkpoint names digests and licences, and what could not be read."""

from pathlib import Path

from engine.artifacts.lineage import graph
from engine.data.tokenizer import TokenizerInfo
from engine.report.card import data, table, tokens
from tests.chain import Chain, make_chain


def test_every_raw_file_is_named_with_its_licence(tmp_path: Path) -> None:
    chain: Chain = make_chain(tmp_path)
    told = data(graph(chain.store, "toy/model"))
    assert f"| raw-0 | MIT | https://example.org/raw-0.txt | {chain.shas[0]} |" in told
    assert f"| raw-1 | CC-BY-4.0 | https://example.org/raw-1.txt | {chain.shas[1]} |" in told
    assert "Unknown" not in told


def test_a_lineage_with_a_hole_says_so(tmp_path: Path) -> None:
    chain = make_chain(tmp_path)
    (chain.store.folder("toy/corpus") / "manifest.json").unlink()
    assert "Unknown: what toy/corpus was made from (missing)." in data(graph(chain.store, "toy/model"))


def test_what_a_tokenizer_cannot_give_back_is_told() -> None:
    assert "U+2581" in tokens(TokenizerInfo(kind="sentencepiece_bpe", file="m", vocabulary=400, end_id=2))


def test_a_bar_does_not_end_a_cell() -> None:
    assert table(("a",), [("x|y",)]) == "| a |\n| --- |\n| x\\|y |"
