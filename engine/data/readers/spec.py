"""The vocabulary of readers: how the bytes of a member become texts."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.spec.base import NEUTRAL, Spec
from engine.spec.units import Count


class KeyIs(Spec):
    """Only the rows whose `key` (dots go deeper) holds this text; the others are counted as skipped."""

    key: str
    equals: str


class MediaWiki(Spec):
    """A MediaWiki XML export, bzip2 or plain: one document a page of the main namespace, markup reduced to text."""

    kind: Literal["mediawiki"]


class JsonLines(Spec):
    """One JSON object a line; `text` names the key of the text (dots go deeper)."""

    kind: Literal["jsonl"]
    text: str = "text"
    only: KeyIs | None = Field(default=None, json_schema_extra={NEUTRAL: None})
    """For instance `{key: meta.redpajama_set_name, equals: RedPajamaC4}` of SlimPajama's files."""


class ParquetTable(Spec):
    """A Parquet file; `text` names the column."""

    kind: Literal["parquet"]
    text: str = "text"
    only: KeyIs | None = Field(default=None, json_schema_extra={NEUTRAL: None})


class HubRows(Spec):
    """A file of a Hugging Face data set, row by row as `datasets` reads it; `text` names the column, dots go deeper."""

    libraries: ClassVar[tuple[str, ...]] = ("datasets",)
    kind: Literal["rows"]
    builder: Literal["arrow", "csv", "json", "parquet"]
    text: str = "text"
    only: KeyIs | None = Field(default=None, json_schema_extra={NEUTRAL: None})


class PlainText(Spec):
    """UTF-8 text. `file` makes one document of it, `line` one a line, `passage` whole lines up to `passage_chars`."""

    kind: Literal["text"]
    unit: Literal["file", "line", "passage"]
    passage_chars: Count = 4000


class PythonTree(Spec):
    """Python sources: one document a module, grouped by its path below the package, so that versions stay together."""

    kind: Literal["python"]


class QuestionsYaml(Spec):
    """YAML with `conversations:`, a list of lists of utterances. `file` joins all of a file, `conversation` none."""

    kind: Literal["questions_yaml"]
    unit: Literal["file", "conversation"]


class Warc(Spec):
    """A WARC file: one document a response with a page of HTML, its markup reduced to text; grouped by its host."""

    libraries: ClassVar[tuple[str, ...]] = ("fastwarc", "resiliparse")
    kind: Literal["warc"]
    main_content: bool = False
    """True leaves out navigation, footers and the like, as resiliparse finds them."""


class Wet(Spec):
    """A WET file: one document a conversion record, grouped by its host."""

    libraries: ClassVar[tuple[str, ...]] = ("fastwarc",)
    kind: Literal["wet"]


class Html(Spec):
    """Pages of HTML, one document a member, markup reduced to text."""

    libraries: ClassVar[tuple[str, ...]] = ("resiliparse",)
    kind: Literal["html"]
    main_content: bool = False


class Latex(Spec):
    """LaTeX sources, one document a member: comments out, macros without arguments expanded, as RedPajama does it."""

    kind: Literal["latex"]


class ManualPage(Spec):
    """Manual pages in roff (man or mdoc macros), one document a member."""

    kind: Literal["man"]


Format = Annotated[
    MediaWiki
    | JsonLines
    | ParquetTable
    | HubRows
    | PlainText
    | PythonTree
    | QuestionsYaml
    | Warc
    | Wet
    | Html
    | Latex
    | ManualPage,
    Field(discriminator="kind"),
]
