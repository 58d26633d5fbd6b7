"""The rules for what the documents promise: docs/seed.md has a row for every box and arrow of the diagrams it
shows, and ARCHITECTURE.md has every layer of src at the level that the build gives it."""

import re
from collections.abc import Iterator
from pathlib import Path

from source import Finding

NODE = re.compile(r"\b([A-Z][A-Z0-9]*)\[([^\]]+)\]")
ARROW = re.compile(r"\b([A-Z][A-Z0-9]*)(?:\[[^\]]+\])?\s*-->\s*([A-Z][A-Z0-9]*)")
SUBGRAPH = re.compile(r'^\s*subgraph "([^"]+)"')
LAYER = re.compile(r"^hr_layer\((\w+)\s+LEVEL (\d+)", re.M)


def label(raw: str) -> str:
    return raw.replace("<br/>", " ")


def drawn(diagram: str) -> list[str]:
    """Every box (groups too) and arrow of a Mermaid diagram, named as a table row names it."""
    names = {node: label(text) for node, text in NODE.findall(diagram)}
    groups = [match.group(1) for line in diagram.splitlines() if (match := SUBGRAPH.match(line))]
    arrows = [f"{names[a]} → {names[b]}" for a, b in ARROW.findall(diagram)]
    return [f"[{group}]" for group in groups] + list(dict.fromkeys(names.values())) + arrows


def rows(section: str) -> dict[str, list[str]]:
    """First cell -> the other cells, of the section's table."""
    found = {}
    for line in section.splitlines():
        if line.startswith("|") and not line.startswith(("| ---", "|---")):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            found[cells[0]] = cells[1:]
    return found


def check_seed(text: str, root: Path) -> Iterator[Finding]:
    def finding(message: str) -> Finding:
        return Finding("docs/seed.md", 1, "seed", message)

    sections = [part for part in re.split(r"^## ", text, flags=re.M)[1:] if "```mermaid" in part]
    if len(sections) != 5:
        yield finding(f"shows {len(sections)} diagrams: the seed has five")
    for section in sections:
        title = section.splitlines()[0]
        diagram = section.split("```mermaid")[1].split("```")[0]
        table = rows(section.split("```")[2])
        for name in drawn(diagram):
            cells = table.get(name)
            if cells is None:
                yield finding(f"{title}: no row for '{name}'")
            elif len(cells) != 3 or not all(cells):
                yield finding(f"{title}: '{name}' needs three filled cells: what it is, evidence, test")
            else:
                yield from (
                    finding(f"{title}: '{name}' names the test {path}, which is not there")
                    for path in re.findall(r"`([^`]+)`", cells[2])
                    if not (root / path).exists()
                )
                if cells[2] != "not yet" and "`" not in cells[2]:
                    yield finding(f"{title}: the test of '{name}' is a path in backticks, or 'not yet'")


def check_layers(cmake: str, architecture: str) -> Iterator[Finding]:
    for layer, level in LAYER.findall(cmake):
        if not re.search(rf"^\| `{layer}` \| {level} \|", architecture, re.M):
            message = f"no row '| `{layer}` | {level} |' for a layer that src/CMakeLists.txt declares"
            yield Finding("ARCHITECTURE.md", 1, "layers", message)


def check_documents(root: Path) -> Iterator[Finding]:
    yield from check_seed((root / "docs/seed.md").read_text(), root)
    yield from check_layers((root / "src/CMakeLists.txt").read_text(), (root / "ARCHITECTURE.md").read_text())
