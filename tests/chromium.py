"""Which Chromium the pages are opened with."""

from __future__ import annotations

import shutil


def installed_chromium() -> str | None:
    """Debian's Chromium; None where Playwright's own is to be used.

    Rather the one without a window: pages are the same, and a page costs a third less processor time.
    """
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")
