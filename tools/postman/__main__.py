"""`make postman-files`: writes the collections anew. They are kept in the repository, so that whoever wants them need not make them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import config
from chatsvc import create_app
from tools.postman.collections import FOLDER, files
from tools.postman.steps import Json


def document() -> Json:
    """That of the service as it comes, whatever the environment of who makes it says."""
    with tempfile.TemporaryDirectory() as name:
        app = create_app(config.load({"DATABASE_URL": f"sqlite:///{Path(name) / 'chatsvc.db'}", "CHAT_INSTANCE_PATH": name}))
        with app.app_context():
            found: Json = json.loads(app.extensions["chatsvc.openapi"]())
    return found


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, text in files(document()).items():
        (FOLDER / name).write_text(text)
        print(f"postman/{name}")  # noqa: T201


if __name__ == "__main__":
    main()
