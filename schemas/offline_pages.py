"""Data Docs pages that stand alone: a browser that opens one asks nobody for anything.

Great Expectations builds its pages on style sheets and scripts of seven public hosts,
and its logo is fetched with the id of the installation: opening a page tells its makers who looks.
In a government network none of these load, and they must not be tried.
"""

import re

_GONE = (
    re.compile(r"<script\b.*?</script>", re.DOTALL),
    re.compile(r"<nav\b[^>]*sticky-top.*?</nav>\s*</div>.*?</nav>", re.DOTALL),
    re.compile(r"<footer\b.*?</footer>", re.DOTALL),
    re.compile(r"<link\b[^>]*>"),
    re.compile(r"<img\b[^>]*>"),
    re.compile(r"url\(['\"]?https?:[^)]*\)"),
    re.compile(r"<title></title>"),
)
_LINK = re.compile(r"<a\b[^>]*href=\"(?!#)[^\"]*\"[^>]*>(.*?)</a>", re.DOTALL)
_BLANK_LINES = re.compile(r"\n\s*\n+")
_TITLE = re.compile(r"<title>.*?</title>", re.DOTALL)

# The policy is a second lock: whatever a later version of the page may bring, the browser loads nothing.
_HEAD = """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body { font: 15px/1.5 system-ui, "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; }
table { border-collapse: collapse; margin: 0.5em 0 1.5em; width: 100%; }
th, td { border-bottom: 1px solid #ccc; padding: 0.4em 0.8em; text-align: left; vertical-align: top; }
h1, h2, h3, h4, h5 { margin: 1em 0 0.3em; }
.collapse { display: block; }
.popover, .modal, .cooltip .top { display: none; }
</style>"""


def standalone(page: str, *, title: str) -> str:
    """Return the HTML *page* without scripts, images, outside style sheets and links, and with *title*."""
    for unwanted in _GONE:
        page = unwanted.sub("", page)
    page = _LINK.sub(r"\1", page)
    page = _TITLE.sub(f"<title>{title}</title>", page, count=1)
    page = page.replace("</head>", f"{_HEAD}\n</head>", 1)
    return _BLANK_LINES.sub("\n", page)
