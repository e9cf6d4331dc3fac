"""The page around the terminal. textual-serve's own loads a font from another site; this one works without any network.

The script and the style of the terminal itself, and its font, are textual-serve's files, served from ``/static``.
"""

from __future__ import annotations

from html import escape
from string import Template

FONT_SIZES = range(6, 61)
DEFAULT_FONT_SIZE = 16

HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self' 'unsafe-inline'",  # xterm.js writes style elements for its colours and sizes
            "font-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "clipboard-read=()",
}
"""What every answer carries. A foreign program may write the clipboard through the terminal (OSC 52), never read it."""

SCRIPT = """\
"use strict";
// The terminal's script reads this when all is loaded. The address of this page is the one that works, whatever proxy or
// tunnel stands between.
document.addEventListener("DOMContentLoaded", () => {
  const terminal = document.getElementById("terminal");
  terminal.dataset.sessionWebsocketUrl = location.origin.replace(/^http/, "ws") + "/ws";
  const observer = new MutationObserver(() => {
    const area = document.querySelector(".xterm-helper-textarea");
    if (area) {
      observer.disconnect();
      area.focus();
    }
  });
  observer.observe(terminal, { childList: true, subtree: true });
});
"""

_TERMINAL = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Qraft</title>
<link rel="icon" href="data:,">
<link rel="preload" href="/static/fonts/RobotoMono-VariableFont_wght.ttf" as="font" type="font/ttf" crossorigin>
<link rel="stylesheet" href="/static/css/xterm.css">
<style>
@font-face {
  font-family: "Roboto Mono"; font-weight: 100 700; font-style: normal; font-display: block;
  src: url("/static/fonts/RobotoMono-VariableFont_wght.ttf") format("truetype");
}
@font-face {
  font-family: "Roboto Mono"; font-weight: 100 700; font-style: italic; font-display: block;
  src: url("/static/fonts/RobotoMono-Italic-VariableFont_wght.ttf") format("truetype");
}
html, body { margin: 0; height: 100%; overflow: hidden; background: #10141a; color: #c5cdd8; }
body, a { font: 16px "Roboto Mono", monospace; }
.textual-terminal { width: 100vw; height: 100vh; }
.xterm .xterm-viewport { background-color: #10141a !important; overflow: hidden !important; }
#note { position: fixed; left: 0; right: 0; bottom: 0; padding: 12px 16px; background: #1a212b; z-index: 20; }
#note a { color: #5ccfe6; }
#ended { display: none; }
body.-first-byte #connecting { display: none; }
body.-first-byte:not(.-closed) #note { display: none; }
body.-closed #connecting { display: none; }
body.-closed #ended { display: inline; }
</style>
<script src="/qraft.js"></script>
<script src="/static/js/textual.js"></script>
</head>
<body>
<div id="terminal" class="textual-terminal" data-font-size="$font_size"></div>
<div id="note" role="status">
<span id="connecting">Opening the terminal&hellip;</span>
<span id="ended">The session has ended. <a href="$again">Open again</a></span>
<noscript>The terminal needs JavaScript.</noscript>
</div>
</body>
</html>
""")

_PLAIN = Template("""\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Qraft</title>$head
<style>
body { margin: 15vh auto; max-width: 40em; padding: 0 1em; font: 16px monospace; background: #10141a; color: #c5cdd8; }
a { color: #5ccfe6; }</style></head>
<body><p>$text</p></body>
</html>
""")


def terminal_page(font_size: str | None) -> str:
    """The page with the terminal.

    Args:
        font_size: pixels, as the address said; what is no sensible number is the default.
    """
    size = int(font_size) if font_size and font_size.isdecimal() and int(font_size) in FONT_SIZES else DEFAULT_FONT_SIZE
    again = "/" if size == DEFAULT_FONT_SIZE else f"/?fontsize={size}"
    return _TERMINAL.substitute(font_size=size, again=again)


def refusal_page(reason: str) -> str:
    """A page of one paragraph."""
    return _PLAIN.substitute(head="", text=escape(reason))


def forward_page(path: str) -> str:
    """A page that goes on to another of this site.

    A redirect would not do: after a click on a link in another site (a chat, a mail), browsers count it as that site's doing
    and keep a SameSite=Strict cookie back.
    """
    target = escape(path, quote=True)
    return _PLAIN.substitute(
        head=f'<meta http-equiv="refresh" content="0; url={target}">', text=f'<a href="{target}">Open the terminal</a>'
    )
