"""What mkdocs calls while it builds the site."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert
from reference import filled

INLINE = re.compile(r'<span class="arithmatex">\\\((.+?)\\\)</span>', re.DOTALL)
BLOCK = re.compile(r'<div class="arithmatex">\s*\\\[(.+?)\\\]\s*</div>', re.DOTALL)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts into a page what it asks to be made from the code."""
    return filled(markdown)


def on_page_content(content: str, **_: Any) -> str:
    """Formulas as MathML, which browsers draw by themselves: no script is fetched for them."""
    content = BLOCK.sub(lambda found: convert(html.unescape(found[1]), display="block"), content)
    return INLINE.sub(lambda found: convert(html.unescape(found[1])), content)
