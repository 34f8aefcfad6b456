"""Makes every case's call with Python's Requests and prints what came back, one JSON line a case.

Usage: with-requests.py BASE_URL < cases.json
"""

import base64
import json
import sys

import requests
from requests.auth import HTTPBasicAuth, HTTPDigestAuth


def to_auth(auth):
    if auth is None:
        return None
    kind = HTTPDigestAuth if auth["type"] == "digest" else HTTPBasicAuth
    return kind(auth["username"], auth["password"])


def to_files(files):
    """{field: {text, filename?, contentType?}} as Requests wants it."""
    result = []
    for field, part in files.items():
        content = part["text"].encode()
        if "contentType" in part:
            result.append((field, (part.get("filename", field), content, part["contentType"])))
        elif "filename" in part:
            result.append((field, (part["filename"], content)))
        else:
            result.append((field, content))
    return result


def to_pairs(value):
    return [tuple(pair) for pair in value] if isinstance(value, list) else value


def call(base, case):
    ask = dict(case["ask"])
    kwargs = {
        "params": to_pairs(ask.get("params")),
        "headers": {**case["headers"], **ask.get("headers", {})},
        "data": to_pairs(ask.get("data")),
        "cookies": ask.get("cookies"),
        "auth": to_auth(ask.get("auth")),
        "allow_redirects": ask.get("allowRedirects", ask.get("method", "GET") != "HEAD"),
        "timeout": 10,
    }
    if "json" in ask:
        kwargs["json"] = ask["json"]
    if "content" in ask:
        kwargs["data"] = base64.b64decode(ask["content"])
    if "files" in ask:
        kwargs["files"] = to_files(ask["files"])
    with requests.Session() as session:
        session.trust_env = False
        session.max_redirects = ask.get("maxRedirects", 30)
        try:
            response = session.request(ask.get("method", "GET"), base + ask["url"], **kwargs)
        except requests.RequestException as error:
            return {"error": type(error).__name__}
    cookies = {}
    for answer in [*response.history, response]:
        cookies.update(answer.cookies.get_dict())
    return {
        "ok": response.ok,
        "status": response.status_code,
        "reason": response.reason,
        "url": response.url,
        "headers": {name.lower(): value for name, value in response.headers.items()},
        "encoding": response.encoding,
        "content": base64.b64encode(response.content).decode(),
        "text": response.text,
        "history": [{"status": hop.status_code, "url": hop.url, "method": hop.request.method} for hop in response.history],
        "links": response.links,
        "cookies": cookies,
        "method": response.request.method,
    }


def main():
    base = sys.argv[1]
    for case in json.load(sys.stdin):
        print(json.dumps({"name": case["name"], **call(base, case)}), flush=True)


main()
