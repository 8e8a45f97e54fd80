"""Rules of the data room: names that sources have, shares that sum, mixes and forms that can be made."""

from collections.abc import Iterator, Mapping
from math import fsum
from typing import assert_never

from engine.compile.lower import one, tokenizer_of
from engine.compile.origins import sources
from engine.compile.resolve import Runs, named_runs, settled
from engine.data.dedup.spec import BandingRecall, Dedup, MinHash
from engine.data.mix.spec import ByWeight, Deal, Sample
from engine.data.spec import Chunks, Fim, Ingest, NamedSentinels, Pack
from engine.spec.nearest import did_you_mean
from engine.spec.ref import Ref

SHARES_OFF = 1e-6  # shares are written as decimals


def keep_problems(stage: Dedup, above: Runs) -> Iterator[tuple[str, str]]:
    """Names in the keep rule that nothing has, or that stand twice."""
    named = {f"keep.priority.{index}": name for index, name in enumerate(stage.keep.priority)}
    for index, (path, name) in enumerate(named.items()):
        if name in stage.keep.priority[:index]:
            yield path, f"the name {name!r} stands twice; only its first place could count"
    match stage.keep.by:
        case "domain":
            yield from domain_problems(named, domains(stage.documents, above))
        case "source":
            yield from _sources(named, tuple(sorted({source.name for source in sources(stage.documents, above)})))
        case _:
            assert_never(stage.keep.by)


def _sources(named: Mapping[str, str], known: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for path, name in named.items():
        if name not in known:
            yield path, f"no source has the name {name!r}; there are {', '.join(known)}{did_you_mean(name, known)}"


def domains(ref: Ref, above: Runs) -> tuple[str, ...]:
    """The domains of the sources that documents come from, sorted."""
    return tuple(sorted({source.domain for source in sources(ref, above)}))


def domain_problems(named: Mapping[str, str], known: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Domains that are named and no source has; `named` is by path."""
    for path, domain in named.items():
        if domain not in known:
            hint = did_you_mean(domain, known)
            yield path, f"no source has the domain {domain!r}; the documents are of {', '.join(known)}{hint}"


def signature_problems(stage: MinHash | BandingRecall) -> Iterator[tuple[str, str]]:
    """More bands than the permutations give."""
    used = stage.bands * stage.rows
    if used > stage.permutations:
        text = f"{stage.bands} bands of {stage.rows} rows want {used} permutations"
        yield "permutations", f"{text}, there are {stage.permutations}; write at least {used}"


def mix_problems(stage: Pack) -> Iterator[tuple[str, str]]:
    """What a mix breaks by itself."""
    match stage.mix:
        case Deal():
            yield from _repeats(stage.mix)
        case Sample(weights=ByWeight() as weights):
            yield from _shares(weights)
        case Sample():
            return
        case _:
            assert_never(stage.mix)


def _shares(weights: ByWeight) -> Iterator[tuple[str, str]]:
    for name, shares in weights.recipes.items():
        total = fsum(shares.values())
        if abs(total - 1) > SHARES_OFF:
            yield f"mix.weights.recipes.{name}", f"the shares sum to {total:.6g}; they must sum to 1"
    if weights.recipe not in weights.recipes:
        hint = did_you_mean(weights.recipe, tuple(weights.recipes))
        yield (
            "mix.weights.recipe",
            f"no recipe is called {weights.recipe!r}; there are {', '.join(weights.recipes)}{hint}",
        )


def mixed_domains(stage: Pack, known: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Domains that a mix names and no source has."""
    match stage.mix:
        case Deal(repeats=repeats):
            yield from domain_problems({f"mix.repeats.{name}": name for name in repeats}, known)
        case Sample(weights=ByWeight(recipes=recipes)):
            named = {f"mix.weights.recipes.{recipe}.{name}": name for recipe in recipes for name in recipes[recipe]}
            yield from domain_problems(named, known)
        case Sample():
            return
        case _:
            assert_never(stage.mix)
    if isinstance(stage.mix, Sample):
        yield from domain_problems({f"mix.most_repeats.{name}": name for name in stage.mix.most_repeats}, known)


def _repeats(mix: Deal) -> Iterator[tuple[str, str]]:
    for domain, repeat in mix.repeats.items():
        if repeat > mix.chunks:
            text = f"a row cannot stand in {repeat:g} chunks of {mix.chunks}"
            yield f"mix.repeats.{domain}", f"{text}; write at most {mix.chunks}, or more chunks"


def source_name_problems(stage: Ingest) -> Iterator[tuple[str, str]]:
    """Names that stand twice."""
    seen: set[str] = set()
    for index, source in enumerate(stage.sources):
        if source.name in seen:
            yield f"sources.{index}.name", f"the source {source.name!r} stands twice; every source needs its own name"
        seen.add(source.name)


def chunk_problems(stage: Chunks, above: Runs) -> Iterator[tuple[str, str]]:
    """Rows, provenance and documents are of one packing."""
    made = one(stage.rows, above)
    if isinstance(made, Chunks):
        yield "rows", f"{stage.rows} are in chunks of one length already; name the rows that they are made of"
        return
    if named_runs(stage.provenance.parts, above) != named_runs(stage.rows.parts, above):
        yield "provenance", f"it is not that of {stage.rows}; name the provenance of the same stage"
    if isinstance(made, Pack | Fim) and settled(stage.documents, above) != made.documents:
        yield "documents", f"{stage.rows} were packed with {made.documents}; write that"


def fim_problems(stage: Fim, above: Runs) -> Iterator[tuple[str, str]]:
    """Rows, provenance, documents and tokenizer are of one packing; the domains exist."""
    pack = one(stage.rows, above)
    if not isinstance(pack, Pack):
        yield "rows", f"{stage.rows} are in fill-in-the-middle form already; name the rows of a stage `pack`"
        return
    if named_runs(stage.provenance.parts, above) != named_runs(stage.rows.parts, above):
        yield "provenance", f"it is not that of {stage.rows}; name the provenance of the same stage"
    for path, ref, theirs in (
        ("documents", stage.documents, pack.documents),
        ("tokenizer", stage.tokenizer, pack.tokenizer),
    ):
        if settled(ref, above) != theirs:
            yield path, f"{stage.rows} were packed with {theirs}; write that"
    known = domains(stage.documents, above)
    yield from domain_problems({f"domains.{n}": name for n, name in enumerate(stage.domains)}, known)
    tokenizer = one(stage.tokenizer, above)
    if isinstance(stage.sentinels, NamedSentinels) and tokenizer_of(tokenizer)[1] != "huggingface":
        yield "sentinels.kind", "only a published tokenizer has named special tokens; write `appended`"
