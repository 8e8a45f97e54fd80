"""Rows in fill-in-the-middle form: what they spell, what they tell of themselves, and what their coins depend on."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tokenizers

from engine.artifacts.read import Input, Inputs, read_array, read_table
from engine.data.documents import Document
from engine.data.fim import Piece, Sentinels, Work, transform
from engine.data.mix.spec import ByWeight, Sample
from engine.data.run import run_fim
from engine.data.spec import AppendedSentinels, FimPlan, NamedSentinels
from engine.data.tokenizer import Tokenizer, load_tokenizer
from engine.data.tokenizers.huggingface import special_ids
from engine.spec.errors import ArtifactError
from engine.spec.ref import Ref
from tests.data.built import Built, bpe, build, documents, packed, packed_at, placement, plan, prose, trained

VOCABULARY, T = 400, 64
PREFIX, MIDDLE, SUFFIX, PAD = range(VOCABULARY, VOCABULARY + 4)
ROWS, PROVENANCE, TOKENIZER = Ref("pack@rows"), Ref("pack@provenance"), Ref("tokenizer@model")
CODE = prose("github", 60)
TEXTS = {item.id: item.text.encode() for item in CODE}


def stage(rate: float = 1.0, spm: float = 0.5, row_tokens: int = T) -> FimPlan:
    return FimPlan(
        kind="fim",
        rows=ROWS,
        provenance=PROVENANCE,
        documents=Ref("corpus@documents"),
        tokenizer=TOKENIZER,
        domains=("github",),
        rate=rate,
        spm=spm,
        seed=3,
        vocabulary=VOCABULARY + 4,
        tokenizer_kind="sentencepiece_bpe",
        row_tokens=row_tokens,
    )


class Given:
    """Documents of two domains, a tokenizer, and their rows."""

    def __init__(self, folder: Path, items: list[Document]) -> None:
        self.corpus = documents(folder, items)
        self.model = trained(folder, self.corpus, bpe()).outputs["model"]
        self.rows = packed(folder, self.corpus, self.model, plan(T, 2, github=1, web=1))


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    return Given(tmp_path_factory.mktemp("given"), [*CODE, *prose("web", 20)])


def infilled(folder: Path, rows: Built, model: Input, made: FimPlan, workers: int = 1) -> Built:
    inputs = Inputs({ROWS: (rows.outputs["rows"],), PROVENANCE: (rows.outputs["provenance"],), TOKENIZER: (model,)})
    return build(folder, "fim", lambda out: run_fim(made, inputs, out, placement(folder, workers)))


def table(found: Input) -> list[dict[str, object]]:
    return [row for batch in read_table(found.folder) for row in batch.to_pylist()]


def test_every_row_says_its_form_and_others_keep_theirs(tmp_path: Path, given: Given) -> None:
    found = infilled(tmp_path, given.rows, given.model, stage(0.5))
    before = read_array(given.rows.outputs["rows"].folder, "ids")
    after = read_array(found.outputs["rows"].folder, "ids")
    domain = {item["row"]: item["domain"] for item in table(given.rows.outputs["provenance"])}
    choices = table(found.outputs["choices"])
    assert [item["row"] for item in choices] == list(range(len(before)))
    for item in choices:
        row = int(str(item["row"]))
        if item["form"] == "plain":
            assert (before[row] == after[row]).all()
        else:
            assert domain[row] == "github"
            assert after[row][0] == PREFIX
            assert after[row][1] == SUFFIX or item["form"] == "psm"
            assert int(str(item["padding"])) == (after[row] == PAD).sum()
    counts = Counter(str(item["form"]) for item in choices if domain[item["row"]] == "github")
    assert found.metrics["forms"]["github"] == dict(counts)  # type: ignore[index,call-overload]
    assert min(counts.values()) > 0.1 * sum(counts.values())
    for name in ("order", "chunks"):
        old, new = (read_array(built.outputs["rows"].folder, name) for built in (given.rows, found))
        assert (old == new).all()


@pytest.mark.parametrize("spm", [0.0, 1.0])
def test_pieces_spell_the_bytes_that_provenance_tells(tmp_path: Path, given: Given, spm: float) -> None:
    found = infilled(tmp_path, given.rows, given.model, stage(spm=spm))
    ids, tokenizer = read_array(found.outputs["rows"].folder, "ids"), load_tokenizer(given.model.folder)
    seen = 0
    for item in table(found.outputs["provenance"]):
        if item["domain"] != "github":
            continue
        first, tokens, ends = (int(str(item[name])) for name in ("first", "tokens", "separators"))
        begin, end = (int(str(item[name])) for name in ("byte_begin", "byte_end"))
        row = ids[int(str(item["row"]))]
        assert tokenizer.decode(row[first : first + tokens - ends]) == TEXTS[str(item["document"])][begin:end]
        assert (row[first + tokens - ends : first + tokens] == tokenizer.end_id).all()
        seen += end - begin
    left_out = found.metrics["left_out_bytes"]
    packed_bytes = sum(
        int(str(item["byte_end"])) - int(str(item["byte_begin"]))
        for item in table(given.rows.outputs["provenance"])
        if item["domain"] == "github"
    )
    assert seen + int(str(left_out)) == packed_bytes


def one_row(tokenizer: Tokenizer, text: str, row_tokens: int = 400) -> Work:
    ids, _ = tokenizer.encode(text)
    whole = np.append(ids, np.int32(tokenizer.end_id))
    assert len(whole) < row_tokens
    return Work(whole, (Piece("d1", "github", 0, len(text.encode()), 0, len(whole), 1),))


@pytest.mark.parametrize(("spm", "order"), [(0.0, (0, 2, 1)), (1.0, (2, 0, 1))])
def test_the_parts_stand_in_the_order_of_the_form(given: Given, spm: float, order: tuple[int, int, int]) -> None:
    """PSM has prefix, suffix, middle; SPM has the suffix first, and prefix and middle behind one sentinel."""
    tokenizer = load_tokenizer(given.model.folder)
    text = "def path(graph):\n    return graph.edge na\u00efve \u6a21\u578b"
    made = transform(one_row(tokenizer, text), stage(spm=spm, row_tokens=400), sentinels(), tokenizer)
    data = text.encode()
    parts = [data[piece.byte_begin : piece.byte_end] for piece in made.pieces]
    starts = np.argsort([piece.byte_begin for piece in made.pieces], kind="stable")
    assert tuple(np.argsort(starts)) == order
    assert b"".join(parts[place] for place in starts) == data
    marks = [PREFIX, SUFFIX, MIDDLE]
    assert [number for number in made.ids.tolist() if number in marks] == marks
    assert made.ids.tolist().index(SUFFIX) == (1 if spm else made.pieces[0].tokens + 1)
    assert [piece.separators for piece in made.pieces] == [0, 0, 1]
    assert made.padding == (made.ids == PAD).sum() > 0
    assert made.left_out == 0


def test_cuts_fall_anywhere(given: Given) -> None:
    """Two uniform cuts of n characters: the middle has a third of them in the mean."""
    tokenizer = load_tokenizer(given.model.folder)
    text = "number graph node edge weight"
    widths = []
    for number in range(300):
        row = one_row(tokenizer, text)
        row = row._replace(pieces=(row.pieces[0]._replace(document=f"d{number}"),))
        pieces = transform(row, stage(spm=0.0, row_tokens=400), sentinels(), tokenizer).pieces
        widths.append(pieces[-1].byte_end - pieces[-1].byte_begin)
    assert abs(np.mean(widths) / len(text) - 1 / 3) < 0.05
    assert min(widths) == 0


def test_an_end_alone_is_left_out_and_half_characters_too(given: Given) -> None:
    tokenizer = load_tokenizer(given.model.folder)
    ids, ends = tokenizer.encode("\U0001f9ff path")
    assert ends[:4].tolist() == [1, 2, 3, 4]
    halved = Work(ids[2:], (Piece("d1", "github", 2, 9, 0, len(ids) - 2, 0),))
    made = transform(halved, stage(row_tokens=32), sentinels(), tokenizer)
    assert made.left_out == 2
    assert min(piece.byte_begin for piece in made.pieces) >= 4
    end = Work(np.array([tokenizer.end_id], np.int32), (Piece("d1", "github", 9, 9, 0, 1, 1),))
    made = transform(end, stage(row_tokens=32), sentinels(), tokenizer)
    assert made.pieces == ()
    assert made.padding == 32


def sentinels() -> Sentinels:
    return Sentinels(PREFIX, MIDDLE, SUFFIX, PAD)


def test_workers_change_no_byte(tmp_path: Path, given: Given) -> None:
    one = infilled(tmp_path / "one", given.rows, given.model, stage())
    two = infilled(tmp_path / "two", given.rows, given.model, stage(), workers=2)
    assert one.digests() == two.digests()


def test_a_longer_sequence_keeps_the_forms_of_a_shorter_one(tmp_path: Path, given: Given) -> None:
    """Stored rows are numbered anew when more of them are drawn; their ids at each position stay."""
    sequences = []
    for rows in (20, 60):
        mix = Sample(
            kind="sample",
            rows=rows,
            weights=ByWeight(recipe="all", unit="tokens", recipes={"all": {"github": 1.0}}),
        )
        place = placement(tmp_path / str(rows))
        drawn = packed_at(place, given.corpus, given.model, plan(T).model_copy(update={"mix": mix}))
        found = infilled(tmp_path / f"fim{rows}", drawn, given.model, stage()).outputs["rows"].folder
        sequences.append(read_array(found, "ids")[read_array(found, "order")])
    assert (sequences[0] == sequences[1][:20]).all()


def test_faults(tmp_path: Path, given: Given) -> None:
    other = packed(tmp_path / "other", given.corpus, given.model, plan(T // 2), run="pack")
    mixed = replace(given.rows, outputs={**given.rows.outputs, "provenance": other.outputs["provenance"]})
    with pytest.raises(ArtifactError, match="has row"):
        infilled(tmp_path, mixed, given.model, stage())


def test_sentinels_of_a_published_tokenizer(tmp_path: Path) -> None:
    model = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0}, []))
    model.add_special_tokens(["<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>"])
    model.save(str(tmp_path / "tokenizer.json"))
    named = NamedSentinels(kind="named")
    names = (named.prefix, named.middle, named.suffix, named.pad)
    assert special_ids(tmp_path / "tokenizer.json", names) == (1, 2, 3, 4)
    with pytest.raises(ArtifactError, match="has no token <gap>"):
        special_ids(tmp_path / "tokenizer.json", ("<gap>",))
    assert AppendedSentinels().kind == "appended"
