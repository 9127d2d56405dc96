"""Names of files and of runs as people, other systems and attackers choose them."""

NAMES: dict[str, str] = {
    "blanks": " two  words ",
    "single quotes": "it's",
    "double quotes": 'a "b" c',
    "a shell's signs": "a;touch canary$(touch canary)`touch canary`&|>x",
    "variables": "$HOME ~ %s {x} {0} ${x} ${oc.env:HOME}",
    "wildcards": "*?[a-z]!",
    "Hydra's signs": "a=b,c:[d]{e}#f",
    "a minus in front": "-rf",
    "two minuses in front": "--output",
    "backslashes": "a\\b\\n\\",
    "umlauts": "Grüße",
    "Cyrillic": "данные",
    "Chinese": "数据集",
    "emoji": "😀👩‍👩‍👧",
    "combining marks": "cafe\u0301\u0323",
    "right to left": "\u202egnp.elif",
    "200 bytes": "ü" * 100,
    "a number": "1e3",
    "a word of YAML": "null",
    "HTML": "<b onclick=x>&amp;<!--",
}
# Not text, or not one line: refused where a name would get into a record.
NO_TEXT: dict[str, bytes] = {
    "a line end": b"two\nlines",
    "a carriage return": b"a\rb",
    "a tab": b"a\tb",
    "an escape sequence": b"\x1b[2Jgone",
    "Latin-1": "Grüße".encode("latin-1"),
    "half an emoji": "😀".encode()[:2],
    "a line separator": "a\u2028b".encode(),
}
MARKUP: dict[str, str] = {
    "script": "<script>alert(1)</script>",
    "image": '"><img src=x onerror=alert(1)>',
    "end of an attribute": "' onmouseover='alert(1)",
    "entity": "&lt;script&gt;&#60;b&#62;",
    "template": "{{ 7 * 7 }}{% for x in y %}${7*7}",
    "link": "[x](javascript:alert(1)) <javascript:alert(1)> <https://x.example>",
    "picture": "![x](https://x.example/a.png)",
    "table": "a | b |\n| --- |",
    "heading": "x\n# a heading\n\n- a list\n\n    code",
    "emphasis": "**bold** _it_ ~~gone~~ `code` $x^2$",
    "fence": "```\n```",
    "end of the page": "</a></td></table></details></style></body></html><!-- -->",
    "escape": "\\<script>alert(1)\\</script>",
}
