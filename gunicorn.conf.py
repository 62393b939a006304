"""gunicorn as chatsvc runs it."""

from config import load as _load

_settings = _load()

bind = f"[{_settings.host}]:{_settings.port}" if ":" in _settings.host else f"{_settings.host}:{_settings.port}"
# What a proxy says of the client is read by the application, from as many proxies as PROXY_HOPS names, and by nobody else.
forwarded_allow_ips = ""
workers = _settings.workers
worker_class = "gthread"
threads = _settings.threads
timeout = 60
graceful_timeout = 20
keepalive = 75
# A token of any size gets the answer of the door that it knocks at, not a page of the server's.
limit_request_field_size = 128 * 1024
control_socket_disable = True
accesslog = None
errorlog = "-"
loglevel = _settings.log_level
