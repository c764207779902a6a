"""Messages as nobody should send them, and everybody gets."""

from typing import Final

PDF: Final = b"Content-Type: application/pdf; name=x.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n"
"""A part whose nine bytes are `CONTENT`."""
CONTENT: Final = b"%PDF-1.4\n"
TEXT: Final = b"Content-Type: text/plain; charset=utf-8\r\n\r\nbonjour\r\n"


def multi(*parts: bytes, kind: bytes = b"multipart/mixed; boundary=B") -> bytes:
    """Parts side by side."""
    head = b"From: a@b.c\r\nSubject: multi\r\nMIME-Version: 1.0\r\nContent-Type: " + kind + b"\r\n\r\npreamble\r\n"
    return head + b"".join(b"--B\r\n" + part + b"\r\n" for part in parts) + b"--B--\r\nepilogue\r\n"


def deep(levels: int) -> bytes:
    """A part inside so many multiparts."""
    opening = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(levels))
    return b"Subject: deep\r\n" + opening + PDF + b"".join(b"\r\n--b%d--\r\n" % n for n in reversed(range(levels)))


def named(parameter: bytes) -> bytes:
    """A part whose name is written so."""
    return b"Content-Disposition: attachment; " + parameter + b"\r\nContent-Type: application/pdf\r\n\r\nx"


INNER: Final = b"Subject: in\r\nContent-Type: multipart/mixed; boundary=Q\r\n\r\n--Q\r\n" + PDF + b"\r\n--Q--"
NESTED: Final = (
    b"Subject: p\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\nContent-Type: multipart/mixed; boundary=BB"
)

ODD: Final[dict[str, bytes]] = {
    "deep": deep(50),
    "deeper": deep(90),
    "a message inside": multi(TEXT, b"Content-Type: message/rfc822\r\n\r\n" + INNER),
    "fifty messages inside": b"Subject: r\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 50 + b"Subject: in\r\n\r\nhello\r\n",
    "no boundary": multi(TEXT, PDF, kind=b"multipart/mixed"),
    "another boundary": multi(TEXT, PDF, kind=b"multipart/mixed; boundary=ZZ"),
    "no end": multi(TEXT, PDF).replace(b"--B--", b""),
    "boundaries that begin alike": NESTED
    + b"\r\n\r\n--BB\r\n" + PDF + b"\r\n--BB--\r\n--B\r\n" + PDF + b"\r\n--B--\r\n",
    "a charset that lies": b"Subject: l\r\nContent-Type: text/plain; charset=utf-16\r\n\r\ncaf\xe9s\r\n",
    "a charset that is none": b"Subject: l\r\nContent-Type: text/plain; charset=x-martian\r\n\r\ncaf\xc3\xa9\r\n",
    "names": multi(
        TEXT,
        named(b"filename*0*=utf-8''%C3%A9t%C3; filename*1*=%A9.pdf"), named(b'filename="=?utf-8?q?=C3=A9t=C3=A9?=.pdf"'),
        named(b"filename*=martian''%E9t.pdf"), named(b'filename="\xe9t\xe9.pdf"'), named(b'filename="../../etc/passwd"'),
    ),
    "a header of a megabyte": b"X-Big: " + b"x" * 1_000_000 + b"\r\nSubject: apres\r\nFrom: a@b.c\r\n\r\ntexte\r\n",
    "headers without number": b"".join(b"X-%d: y\r\n" % n for n in range(60_000)) + b"Subject: apres\r\n\r\ntexte\r\n",
    "no Message-ID": b"Subject: n\r\n\r\nt\r\n",
    "one Message-ID": b"Message-ID: <d@d>\r\nSubject: un\r\n\r\nt\r\n",
    "the same Message-ID": b"Message-ID: <d@d>\r\nSubject: deux\r\n\r\nt\r\n",
    "eight bits": b"Subject: \xe9t\xe9\r\nFrom: \xc3\x89va <e@f.g>\r\n\r\n\xe9\xff\xfe\r\n",
    "no body": b"Subject: vide\r\n\r\n",
    "nothing": b"\r\n",
    "no header": b"just some text\r\nmore\r\n",
    "garbage in base64": multi(TEXT, PDF.replace(b"JVBERi0xLjQK", b"JVBE!!!Ri0x*LjQK\r\n??\r\n")),
    "an encoding of its own": multi(TEXT, PDF.replace(b"base64", b"x-uuencode")),
    "parts that are empty": multi(b"", b"\r\n", TEXT, PDF, b"Content-Type: application/pdf\r\n\r\n"),
    "a structure of six megabytes": multi(*[b'Content-Type: application/pdf; name="' + b"n" * 900 + b'"\r\n\r\nx'] * 6000),
    "a page of marks": b"Subject: h\r\nContent-Type: text/html\r\n\r\n<p>mot" + b"<a " * 30_000,
    "signed": multi(
        TEXT, PDF.replace(b"application/pdf", b"application/pkcs7-signature"), kind=b'multipart/signed; boundary="B"'
    ),
}  # fmt: skip
"""By what is odd in them. None holds a NUL: no server takes one (RFC 9051 section 4.3.1)."""
