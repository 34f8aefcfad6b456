"""Prints what Requests itself makes of every case in prepare-cases.json, as JSON.

    python3 prepare-cases.py > prepare-expected.json

Nothing is sent: the name look-up is stopped before it begins. Written for Requests 2.34.2 and urllib3 2.7.0.
"""

import base64
import json
import platform
import socket
from pathlib import Path
from urllib.parse import urlsplit

import idna
import requests
import urllib3
from requests.structures import CaseInsensitiveDict
from requests.utils import get_auth_from_url
from urllib3.util.connection import create_connection
from urllib3.util.url import _encode_target

# The gateway's own defaults stand in the place of the Session's, so that order can be compared.
DEFAULTS = [("User-Agent", "default"), ("Accept-Encoding", "gzip, deflate, br, zstd"), ("Accept", "*/*")]

urllib3.filepost.choose_boundary = lambda: "b0undary"


class Resolved(Exception):
    pass


def stop(*_args, **_kwargs):
    raise Resolved


socket.getaddrinfo = stop


def dial(url):
    """What only sending would find: no transport for the scheme, a host that cannot be looked up."""
    requests.Session().get_adapter(url)
    try:
        create_connection((urlsplit(url).hostname, 80))
    except Resolved:
        pass


def without_login(url):
    parts = urlsplit(url)
    return url.replace(parts.netloc, parts.netloc.rsplit("@", 1)[-1], 1)


def file_tuple(name, part):
    content = base64.b64decode(part["content"])
    headers = part.get("headers")
    filename = part["filename"] if "filename" in part else name
    return (filename, content, part.get("contentType"), headers)


def prepare(case):
    session = requests.Session()
    session.trust_env = False
    adapter = case.get("adapter", {})
    session.headers = CaseInsensitiveDict(DEFAULTS)
    session.headers.update(adapter.get("headers", {}))
    session.params = adapter.get("params", {})
    session.cookies.update(adapter.get("cookies", {}))
    pairs = lambda value: [tuple(pair) for pair in value] if isinstance(value, list) else value
    data = base64.b64decode(case["content"]) if "content" in case else pairs(case.get("data"))
    files = [(name, file_tuple(name, part)) for name, part in case.get("files", [])]
    request = requests.Request(
        case.get("method", "GET"),
        case["url"],
        params=pairs(case.get("params")),
        headers=case.get("headers"),
        data=data,
        json=json.loads(case["json"]) if "json" in case else None,
        files=files or None,
        cookies=case.get("cookies"),
    )
    return session, session.prepare_request(request)


def follow(session, request, location):
    response = requests.Response()
    response.status_code = 302
    response.url = request.url
    response.request = request
    response.headers["location"] = location
    response.raw = urllib3.HTTPResponse(body=b"")
    response._content = b""
    return next(session.resolve_redirects(response, request, yield_requests=True))


def outcome(case):
    session, request = prepare(case)
    dial(request.url)
    if "location" in case:
        request = follow(session, request, case["location"])
        dial(request.url)
        return {"url": without_login(request.url), "target": _encode_target(request.path_url)}
    login = get_auth_from_url(request.url)
    headers = [[k, v] for k, v in request.headers.items() if k not in ("Content-Length", "Authorization")]
    body = request.body.encode() if isinstance(request.body, str) else request.body
    return {
        "url": without_login(request.url),
        "target": _encode_target(request.path_url),
        "headers": headers,
        "body": None if body is None else base64.b64encode(body).decode(),
        "login": list(login) if any(login) else None,
    }


def main():
    cases = json.loads(Path(__file__).with_name("prepare-cases.json").read_text(encoding="utf-8"))
    results = {}
    for case in cases:
        try:
            results[case["name"]] = outcome(case)
        except Exception as error:
            results[case["name"]] = {"error": type(error).__name__}
    versions = {
        "requests": requests.__version__,
        "urllib3": urllib3.__version__,
        "idna": idna.__version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
    }
    print(json.dumps({"versions": versions, "results": results}, indent=1))


main()
