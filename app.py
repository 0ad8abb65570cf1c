"""The WSGI app; ``python app.py`` is ``concert up``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from concert.cli import main

    sys.exit(main(["up", *sys.argv[1:]]))

from concert.factory import create_app
from concert.ground.streams import end_streams_at_shutdown
from concert.overview.figures import show_process

app = create_app()
end_streams_at_shutdown(app)
show_process(app)
