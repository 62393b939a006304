"""The WSGI entry: gunicorn and the flask command load `app` from here."""

from chatsvc import create_app

app = create_app()
