"""What Cloudflare says when it refuses: statuses, codes and words, with where they are from.

`issue` stands for a thread on GitHub that quotes the answer, `docs` for developers.cloudflare.com; both were seen on
2026-11-25. What is from memory, or made up because the code could not be found, says so.
"""

from __future__ import annotations

from typing import Any


class Refusal(Exception):  # noqa: N818 - it is an answer of the service
    """An answer that is none of success."""

    def __init__(self, status: int, code: int, message: str, *causes: tuple[int, str]) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, Any] = {"code": code, "message": message}
        if causes:
            self.error["error_chain"] = [{"code": code, "message": text} for code, text in causes]

    def body(self) -> dict[str, Any]:
        return {"success": False, "errors": [self.error], "messages": [], "result": None}


def bad_header() -> Refusal:  # issue: ddns-go 916
    return Refusal(400, 6003, "Invalid request headers", (6111, "Invalid format for Authorization header"))


def unknown_token() -> Refusal:  # from memory
    return Refusal(403, 9109, "Invalid access token")


def no_right() -> Refusal:  # from memory; the words of a token that may read and not write
    return Refusal(403, 10000, "Authentication error")


def no_such_object(path: str) -> Refusal:  # from memory
    return Refusal(
        404,
        7003,
        f"Could not route to {path}, perhaps your object identifier is invalid?",
        (7000, "No route for that URI"),
    )


def no_such_record() -> Refusal:  # issue: zanjie1999/cloudflare-api-v4-ddns 5; the status is from memory
    return Refusal(404, 81044, "Record does not exist.")


def invalid(code: int, message: str) -> Refusal:  # issue: external-dns 3706 shows the chain
    return Refusal(400, 1004, "DNS Validation Error", (code, message))


def bad_name() -> Refusal:  # issue: manage.get.gov 5244
    return invalid(9000, "DNS name is invalid.")


def bad_content(kind: str) -> Refusal:
    if kind == "A":  # issue: yulewang/cloudflare-api-v4-ddns 16
        return Refusal(400, 9005, "Content for A record must be a valid IPv4 address.")
    return Refusal(400, 9007, f"Content for {kind} record is invalid.")  # from memory


def too_long() -> Refusal:  # issue: manage.get.gov 5244
    return Refusal(400, 9015, "Record content exceeds the allowed length of 4096 wire format bytes.")


def too_much() -> Refusal:  # issue: manage.get.gov 5244; the end of the sentence is ours
    return Refusal(400, 83011, "Combined content length of records with this name and type exceeds 8192 characters.")


def bad_ttl(lowest: int) -> Refusal:  # the limits: docs, "Time to Live (TTL)"; code and words from memory
    return invalid(9021, f"Invalid TTL. Must be between {lowest} and 86400 seconds, or 1 for automatic.")


def not_proxiable() -> Refusal:  # from memory
    return Refusal(400, 9004, "This record type cannot be proxied.")


def long_comment(most: int) -> Refusal:  # issue: cloudflare-tunnel-ingress-controller 168
    return Refusal(400, 9313, f"DNS record comment exceeds the maximum length of {most} characters.")


def no_tags(count: int) -> Refusal:  # issue: external-dns 3706
    return invalid(9300, f"DNS record has {count} tags, exceeding the quota of 0.")


def identical() -> Refusal:  # issue: ddns-go 1378
    return Refusal(400, 81058, "An identical record already exists.")


def address_there() -> Refusal:  # docs, "Records with the same name"; code and words from memory
    return Refusal(400, 81053, "An A, AAAA, or CNAME record with that host already exists.")


def delegated() -> Refusal:  # docs issue: cloudflare-docs 10789; the code is from memory
    return Refusal(400, 81056, "NS records with that host already exist.")


def quota() -> Refusal:  # docs, "DNS records management": records per zone; code and words from memory
    return Refusal(400, 81045, "Record quota exceeded.")


def batch_too_long(most: int) -> Refusal:  # docs, "Batch record changes" has the limit; code and words are made up
    return Refusal(400, 81999, f"The batch exceeds the limit of {most} operations.")


def zone_there() -> Refusal:  # from memory
    return Refusal(400, 1061, "This zone already exists.")


def not_by_type(text: str) -> Refusal:  # made up: the SDK's own types say that the body is none
    return Refusal(400, 1004, f"DNS Validation Error: {text}")
