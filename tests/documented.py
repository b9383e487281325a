"""Every code block of the pages that people write (docs/reference is a program's): where it is, and of what kind."""

from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

__all__ = ["EVERY", "PAGES", "ROOT", "Block", "blocks_of", "samples", "spans_of"]

ROOT = Path(__file__).resolve().parents[1]
_FOLDERS = ("clients", "deploy", "docs", ".github")
_OF_A_PROGRAM = ROOT / "docs" / "reference"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *(
        page
        for folder in _FOLDERS
        for page in sorted((ROOT / folder).rglob("*.md"))
        if _OF_A_PROGRAM not in page.parents
    ),
]


@dataclass(frozen=True)
class Block:
    """A block of code. `language` and `tag` are the words of its fence; without one it is `indented`, `<pre>` or `:::`.

    `follows` says that nothing stands between it and the block before.
    """

    page: str
    line: int
    language: str
    tag: str
    text: str
    follows: bool = False

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(text: str, page: str) -> list[Block]:
    """The code blocks of a page, by the rules of CommonMark: in lists, too, and however they are written."""
    found: list[Block] = []
    before = ""
    for token in MarkdownIt("commonmark").parse(text):
        line = token.map[0] + 1 if token.map else 0
        follows = before == "fence"
        if token.type == "fence":
            language, _, tag = token.info.strip().partition(" ")
            found.append(Block(page, line, language, tag, token.content, follows))
        elif token.type == "code_block":
            found.append(Block(page, line, "indented", "", token.content, follows))
        elif (token.type == "html_block" and "<pre" in token.content) or token.content.startswith(":::"):
            # MyST makes code of `:::{code-block}`, too.
            found.append(
                Block(page, line, "<pre>" if token.type == "html_block" else ":::", "", token.content, follows)
            )
        before = token.type
    return found


def samples(page: str, language: str) -> list[str]:
    """The blocks of a page in a language, in their order."""
    return [block.text for block in EVERY if (block.page, block.language) == (page, language)]


def spans_of(text: str, page: str) -> list[Block]:
    """What stands in backticks in the midst of a line; `line` is where its paragraph begins."""
    return [
        Block(page, token.map[0] + 1 if token.map else 0, "", "", child.content)
        for token in MarkdownIt("commonmark").parse(text)
        for child in token.children or ()
        if child.type == "code_inline"
    ]


EVERY = [block for page in PAGES for block in blocks_of(page.read_text(), str(page.relative_to(ROOT)))]
