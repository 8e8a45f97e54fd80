"""Pictures of a lineage: JSON data, a tree of text, one HTML page that stands alone."""

import html
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from engine.artifacts.lineage import Graph, RunNode, SourceNode


def render_json(lineage: Graph) -> dict[str, Any]:
    """The graph as JSON data."""
    return asdict(lineage)


def render_text(lineage: Graph) -> str:
    """A tree from the artifact down to the raw files; what stands above already is named, not drawn again."""
    nodes = {node.run: node for node in lineage.runs}
    return "\n".join(_tree(lineage, nodes, lineage.root, "", "", "", set())) + "\n"


def _tree(
    lineage: Graph, nodes: Mapping[str, RunNode], run: str, read: str, head: str, indent: str, drawn: set[str]
) -> Iterator[str]:
    """Lines of one node: `head` leads its first line, `indent` those below it; `drawn` is what stands above."""
    node = nodes[run]
    again = run in drawn
    drawn.add(run)
    facts = node.problem or f"{node.kind}  recipe {node.recipe[:12]}  content {node.content[:12]}"
    yield f"{head}{run}{read}  {'(above)' if again else facts}"
    if again:
        return
    children = _reads(lineage, run)
    for place, (child, outputs) in enumerate(children.items(), start=1):
        last = place == len(children) and not node.sources
        below = indent + ("   " if last else "|  ")
        lead = indent + ("`- " if last else "|- ")
        yield from _tree(lineage, nodes, child, "@" + ",".join(outputs), lead, below, drawn)
    for place, source in enumerate(node.sources, start=1):
        lead = "`- " if place == len(node.sources) else "|- "
        yield f"{indent}{lead}{source.name}  {source.licence}  sha256 {source.sha256[:12]}  {source.uri}"


def _reads(lineage: Graph, run: str) -> dict[str, list[str]]:
    """The runs that a run reads, each with the outputs that it reads of them."""
    outputs: dict[str, list[str]] = {}
    for edge in lineage.inputs_of(run):
        outputs.setdefault(edge.source, []).append(edge.output)
    return outputs


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Lineage of {title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }}
section {{ border-left: 3px solid #8884; margin: 1rem 0; padding: .1rem 1rem }}
section:target {{ border-color: #36c }}
h2 {{ font-size: 1rem; margin: 0 }} small {{ opacity: .7; font-weight: normal }}
code {{ font-size: .85rem; overflow-wrap: anywhere }} .problem {{ color: #c22 }}
td, th {{ text-align: left; padding: .2rem .8rem .2rem 0; vertical-align: top }}
</style></head><body>
<h1>Lineage of {title}</h1>
<p>{count}, from the artifact to the raw files. A digest is the first 12 of 64 digits; rest on it to see all.</p>
{runs}
<h1>Raw sources</h1>
<table><tr><th>name</th><th>licence</th><th>sha256</th><th>published at</th></tr>
{sources}
</table></body></html>
"""


def render_html(lineage: Graph) -> str:
    """One page that needs no network and no script."""
    return _PAGE.format(
        title=html.escape(lineage.root),
        count=f"{len(lineage.runs)} runs and {len(lineage.sources)} raw files",
        runs="\n".join(_section(lineage, node) for node in lineage.runs),
        sources="\n".join(_row(source) for source in lineage.sources),
    )


def _section(lineage: Graph, node: RunNode) -> str:
    facts = f"recipe {_short(node.recipe)} content {_short(node.content)}"
    if node.problem:
        facts = f'<span class="problem">{html.escape(node.problem)}</span>'
    reads = [
        f'<li><a href="#{html.escape(edge.source)}">{html.escape(edge.source)}</a>@{html.escape(edge.output)} '
        f"{_short(edge.digest)}</li>"
        for edge in lineage.inputs_of(node.run)
    ]
    reads += [
        f'<li><a href="#{_anchor(source)}">{html.escape(source.name)}</a> (raw file)</li>' for source in node.sources
    ]
    return (
        f'<section id="{html.escape(node.run)}">'
        f"<h2>{html.escape(node.run)} <small>{html.escape(node.kind)}</small></h2>"
        f"<p>{facts}</p><ul>{''.join(reads)}</ul></section>"
    )


def _row(source: SourceNode) -> str:
    cells = (html.escape(source.name), html.escape(source.licence), _short(source.sha256), html.escape(source.uri))
    return f'<tr id="{_anchor(source)}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _anchor(source: SourceNode) -> str:
    return html.escape(f"{source.name}-{source.sha256[:12]}")


def _short(digest: str) -> str:
    return f'<code title="{html.escape(digest)}">{html.escape(digest[:12])}</code>'
