"""Results in a real browser: in both themes, trusted and sanitised, everything is there and legible."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import pages

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

LOOK = """
<script>
// The contrast of two colours, as the Web Content Accessibility Guidelines define it.
const light = c => c.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
const numbers = css => css.match(/[\\d.]+/g).map(Number);
const over = ([r, g, b, a = 1], ground) => [r, g, b].map((v, i) => v * a + ground[i] * (1 - a));

addEventListener("load", () => {
  const ground = numbers(getComputedStyle(document.body).backgroundColor);
  document.querySelectorAll("details").forEach(each => each.open = true);
  const cells = [...document.querySelectorAll("section th, section td, section div, section summary")]
    .filter(each => each.innerText.trim());
  const images = [...document.images].map(image => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
    const drawn = [];
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] == 255) drawn.push([...data.slice(i, i + 3)]);
    return {alt: image.alt, width: image.width, pixels: drawn.length,
            contrast: Math.min(...drawn.map(each => contrast(each, ground)))};
  });
  const told = {
    text: [...document.querySelectorAll("section")].map(each => each.innerText).join("\\n"),
    contrast: Math.min(...cells.map(each => contrast(over(numbers(getComputedStyle(each).color), ground), ground))),
    width: Math.max(...[...document.querySelectorAll("section table")].map(each => each.offsetWidth)),
    images,
  };
  const pre = document.createElement("pre");
  pre.id = "told";
  pre.textContent = JSON.stringify(told);
  document.body.append(pre);
});
</script>
"""
"""What a page tells of itself: its text, its pictures, and how clearly they stand out."""

PAGES = pages.pages()


def told(text: str, folder: Path) -> dict[str, Any]:
    """What a page tells of itself in the browser."""
    path = folder / "page.html"
    path.write_text(text.replace("</head>", f"{LOOK}</head>"), encoding="utf-8")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={folder}/profile",
        "--window-size=900,900",
    ]
    command = [str(CHROMIUM), *options, "--dump-dom", path.as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r'<pre id="told">(.*)</pre>', dumped)
    assert found, dumped
    # The text of the page is escaped in it.
    unescaped = found[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return dict(json.loads(unescaped))


@pytest.mark.parametrize("name", PAGES)
def test_results_are_legible(name: str, tmp_path: Path) -> None:
    seen = told(PAGES[name], tmp_path)
    # The guidelines ask for 4.5 for text and 3 for pictures.
    assert seen["contrast"] > 4.5
    assert len(seen["images"]) >= 3
    for image in seen["images"]:
        assert image["alt"]
        assert image["width"] > 20
        assert image["pixels"] > 20
        assert image["contrast"] > 3
    # No page is wider than an output of a notebook.
    assert seen["width"] < 900
    for text in ("100,000", "30 bins", "size <&>", "Bergen & Co", "Ålesund", "<script>document.body"):
        assert text in seen["text"]


def test_the_sanitiser_takes_nothing_away() -> None:
    for output in pages.shown().values():
        assert pages.sanitised(output).count("<") == output.count("<")
        assert re.findall(r'="([^"]*)"', pages.sanitised(output)) == re.findall(r'="([^"]*)"', output)


def test_the_sanitiser_takes_away_what_jupyterlab_does() -> None:
    text = '<style>a</style><svg><path/></svg><p onclick="x" style="position: fixed; color: red">&lt;b&gt;</p>'
    assert pages.sanitised(text) == '<p style=" color: red">&lt;b&gt;</p>'
