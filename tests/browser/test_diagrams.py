"""The diagrams of a host, read and drawn by Mermaid itself in headless Chromium: every box and arrow of the
model is drawn, once."""

from __future__ import annotations

import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MERMAID = ROOT / "tests" / "clients" / "node_modules" / "mermaid" / "dist" / "mermaid.min.js"
PAGE = """<!doctype html><meta charset="utf-8"><body><script src="mermaid.min.js"></script><script>
const texts = TEXTS;
mermaid.initialize({startOnLoad: false, securityLevel: "strict"});
(async () => {
  const out = [];
  for (const [i, text] of texts.entries()) {
    try {
      await mermaid.parse(text);
      const {svg} = await mermaid.render("d" + i, text);
      const drawn = document.createElement("div");
      drawn.innerHTML = svg;
      out.push({nodes: drawn.querySelectorAll("g.node").length,
                edges: drawn.querySelectorAll("path.flowchart-link").length});
    } catch (error) {
      out.push({error: String(error)});
    }
  }
  document.body.innerHTML = "";
  const done = document.createElement("pre");
  done.textContent = "DONE" + JSON.stringify(out) + "DONE";
  document.body.append(done);
})();
</script>"""
CONFIG = """
[app]
name = "shop"
root = "/srv/shop"
[web]
app = "shop:app"
[worker.default]
modules = ["shop"]
[site]
names = ["shop.example"]
[host]
operators = "ops"
"""


def program() -> str:
    return os.environ.get("HEADRACE_BIN", str(ROOT / "build" / "release" / "headrace"))


def drawn(texts: list[str], folder: pathlib.Path) -> list[dict[str, Any]]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "there is no chromium: ./dev setup test"
    assert MERMAID.exists(), "there is no Mermaid: ./dev setup test"
    shutil.copy(MERMAID, folder)
    page = folder / "page.html"
    page.write_text(PAGE.replace("TEXTS", json.dumps(texts).replace("</", "<\\/")))
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
        f"--user-data-dir={folder}/profile", "--virtual-time-budget=60000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    found = re.search(r"<pre>DONE(.*)DONE</pre>", done.stdout, re.DOTALL)
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    out: list[dict[str, Any]] = json.loads(html.unescape(found[1]))
    return out


def counted(mermaid: str) -> dict[str, int]:
    """Boxes and arrows by the text's own lines: n1["..."], n1 --> n2."""
    boxes = re.findall(r"^ +n\d+\[", mermaid, re.MULTILINE)
    arrows = re.findall(r"^ +n\d+ .*> n\d+$", mermaid, re.MULTILINE)
    return {"nodes": len(boxes), "edges": len(arrows)}


def diagram(config: pathlib.Path, *arguments: str) -> str:
    """Of this machine, which is no host: most is missing or cannot be known."""
    command = [program(), "diagram", *arguments, "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    out = tmp_path_factory.mktemp("host") / "headrace.toml"
    out.write_text(CONFIG)
    return out


@pytest.fixture(scope="module")
def observed(config: pathlib.Path) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = json.loads(diagram(config, "--format", "json"))
    return out


def test_mermaid_reads_and_draws_every_box_and_arrow(
    config: pathlib.Path, observed: list[dict[str, Any]], tmp_path: pathlib.Path
) -> None:
    page = (ROOT / "src" / "host" / "testdata" / "diagrams.md").read_text()
    healthy = re.findall(r"```mermaid\n(.*?)```", page, re.DOTALL)
    seed = re.findall(r"```mermaid\n(.*?)```", (ROOT / "docs" / "seed.md").read_text(), re.DOTALL)
    assert len(healthy) == len(observed) == len(seed) == 5
    printed = [diagram(config, "--format", "mermaid", "--only", str(number + 1)) for number in range(5)]
    texts = healthy + printed + seed + ["flowchart TB\n  a[\n"]
    results = drawn(texts, tmp_path)
    assert results[:5] == [counted(text) for text in healthy]
    model = [{"nodes": len(each["boxes"]), "edges": len(each["arrows"])} for each in observed]
    assert results[5:10] == model
    assert all(each["nodes"] > 0 for each in results[10:15])
    assert "error" in results[15]  # so the others were read indeed


def test_the_picture_is_a_drawing_of_the_same(config: pathlib.Path, observed: list[dict[str, Any]]) -> None:
    picture = ElementTree.fromstring(diagram(config, "--format", "svg"))
    groups = picture.findall("{http://www.w3.org/2000/svg}g")
    arrows = [each for each in groups if str(each.get("class")).startswith("arrow ")]
    assert len(arrows) == sum(len(each["arrows"]) for each in observed)
    boxes = [each for each in groups if str(each.get("class")).startswith("box ")]
    assert {"missing", "unknown"} & {str(each.get("class")).split()[1] for each in boxes}
