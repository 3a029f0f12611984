#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run_media.py - uploading, reading and deleting media over HTTP, and campaigns that refer to them. Needs $CAMPGW_API_DAEMON =
tests/api/apid_full and $CAMPGW_PLUGIN_DIR. Python standard library only."""
import base64
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import unittest
import uuid

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

cluster = db = daemon = None
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(100)
AMR = b"#!AMR\n" + bytes(200)


def setUpModule():
    global cluster, db, daemon
    cluster = harness.Cluster()
    db = cluster.database()
    db.sql("INSERT INTO partner VALUES (7, 'seven'), (8, 'eight')")
    daemon = harness.Daemon(db, plugins=os.environ.get("CAMPGW_PLUGIN_DIR", "."), optout=os.path.join(harness.ROOT, "conf", "optout.conf"))


def tearDownModule():
    code = daemon.stop()
    log = daemon.log()
    cluster.stop()
    if code:
        raise AssertionError("daemon ended with %s\n%s" % (code, log[-6000:]))


def upload(data, media="image/png", name=None, key=None, **headers):
    return daemon.request("POST", "/api/v1/media" + ("?name=" + name if name else ""), body=data, headers={"Content-Type": media, **headers}, key=key)


def get(path, key=None):
    return daemon.get("/api/v1/media" + path, key=key)


def delete(media, key=None):
    return daemon.request("DELETE", "/api/v1/media/" + media, key=key)


def campaign(media, key=None, channel="mms", **content):
    return daemon.post("/api/v1/campaigns", {"name": "c", "waves": [{"channel": channel, "content": {**content, "media": media}}]}, key=key,
                       headers={"Idempotency-Key": str(uuid.uuid4())})


class Media(unittest.TestCase):
    maxDiff = 2000

    def good(self, answer, status=200):
        self.assertEqual(answer.status, status, answer)
        return answer.json if answer.body else None

    def fault(self, answer, code, pointer=None):
        self.assertEqual((answer.status, answer.slug), (422, "validation-failed"), answer)
        e = answer.json["errors"][0]
        self.assertEqual((e["code"], e.get("pointer") if pointer else None), (code, pointer), answer)
        return e["detail"]

    def test_the_same_bytes_again_are_the_same_media(self):
        first = upload(PNG, name="dot.png")
        m = self.good(first, 201)
        self.assertEqual((m["type"], m["bytes"], m["sha256"], m["name"], m["in_use"]), ("image/png", len(PNG), hashlib.sha256(PNG).hexdigest(), "dot.png", False))
        self.assertEqual(first.headers["Location"], "/api/v1/media/" + m["id"])
        self.assertEqual(self.good(upload(PNG, "application/octet-stream", "other.png")), m)
        self.assertEqual(self.good(get("/" + m["id"])), m)
        self.assertIn(m["id"], [x["id"] for x in self.good(get("?limit=500"))["data"]])
        back = get("/%s/content" % m["id"])
        self.assertEqual((back.status, back.body, back.headers["Content-Type"], back.headers["X-Content-Type-Options"]), (200, PNG, "image/png", "nosniff"))
        self.assertEqual(db.sql("SELECT count(*) FROM audit WHERE action = 'media.upload' AND object = '%s'" % m["id"]), "1")
        self.assertEqual(delete(m["id"]).status, 204)
        self.assertEqual((get("/" + m["id"]).status, get("/%s/content" % m["id"]).status, delete(m["id"]).status), (404, 404, 404))
        self.assertEqual(db.sql("SELECT count(*) FROM audit WHERE action = 'media.delete' AND object = '%s'" % m["id"]), "1")

    def test_two_uploads_at_the_same_time_make_one(self):
        data, answers = JPEG + os.urandom(3 << 20), []
        threads = [threading.Thread(target=lambda: answers.append(upload(data, "image/jpeg"))) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(60)
        self.assertEqual(sorted(a.status for a in answers), [200, 200, 200, 201], answers)
        self.assertEqual(len({a.json["id"] for a in answers}), 1)
        media = answers[0].json["id"]
        self.assertEqual(get("/%s/content" % media).body, data)
        self.assertEqual(db.sql("SELECT count(*), max(octet_length(data)) FROM media_chunk JOIN media USING (media_id) WHERE public_id = '%s'" % media), "4|1048576")

    def test_the_bytes_tell_what_it_is(self):
        detail = self.fault(upload(PNG, "image/jpeg"), "media_differs")
        self.assertIn("image/jpeg", detail)
        self.assertIn("image/png", detail)
        self.assertIn("sent as image/png", self.fault(upload(b"\x7fELF\x02\x01\x01" + bytes(50)), "media_unknown"))
        self.fault(upload(b"MZ\x90\0" + bytes(50), "application/octet-stream"), "media_unknown")
        self.assertEqual(self.good(upload(AMR, "audio/amr"), 201)["type"], "audio/amr")
        self.assertEqual(self.good(upload(b"a,b\n1,2\n", "text/csv"), 201)["type"], "text/csv")
        self.assertEqual(self.good(upload("<smil><body/></smil>".encode(), "application/smil"), 201)["type"], "application/smil")
        self.assertEqual(upload(PNG, "application/x-msdownload").status, 415)
        self.assertEqual(upload(PNG, "image/png", **{"Content-Encoding": "gzip"}).status, 415)

    def test_limits(self):
        self.assertEqual(upload(b"").status, 422)
        big = upload(JPEG + bytes((16 << 20) + 1), "image/jpeg")
        self.assertEqual((big.status, big.slug, big.json["limit"]), (413, "too-large", 16 << 20), big)
        self.assertEqual(upload(PNG, name="a%2Fb").status, 422)
        self.assertEqual(upload(PNG, name="x" * 101).status, 422)
        self.good(upload(JPEG + bytes(15 << 20), "image/jpeg"), 201)

    def test_a_key_sees_its_own_partners_media(self):
        seven, eight = (daemon.key("media:read", "media:write", "campaigns:write", "campaigns:read", partner_id=p) for p in (7, 8))
        mine = self.good(upload(JPEG + b"7", "image/jpeg", key=seven), 201)["id"]
        other = self.good(upload(JPEG + b"7", "image/jpeg", key=eight), 201)["id"]
        self.assertNotEqual(mine, other)
        self.assertEqual([get("/" + mine, key=eight).status, get("/%s/content" % mine, key=eight).status, delete(mine, key=eight).status], [404] * 3)
        self.assertEqual([x["id"] for x in self.good(get("", key=eight))["data"]], [other])
        self.assertEqual(get("/" + mine).status, 200, "the owner sees all")
        self.good(campaign([{"media": mine, "name": "a.jpg"}], key=seven), 201)
        self.fault(campaign([{"media": mine, "name": "a.jpg"}], key=eight), "unknown_media", "/waves/0/content/media/0/media")
        self.assertEqual(upload(PNG, key=daemon.key("media:read", partner_id=7)).status, 403)

    def test_content_names_media_that_is_there(self):
        m = self.good(upload(JPEG + b"content", "image/jpeg"), 201)["id"]
        good = {"media": m, "name": "photo.jpg"}
        gone = "med_" + "0" * 26
        self.fault(campaign([good, {"media": gone, "name": "b"}]), "unknown_media", "/waves/0/content/media/1/media")
        at = "/waves/0/content/media"
        for media, where, says in (([{"media": "photo", "name": "b"}], at + "/0/media", "no media photo"), ([{"name": "b"}], at + "/0/media", "missing"), ([{"media": m}], at + "/0/name", "name"),
                                   ([{"media": m, "name": "a b"}], at + "/0/name", "name"), ([{"media": m, "name": "../x"}], at + "/0/name", "name"), ([good, good], at + "/1/name", "already"),
                                   (good, at, "array"), ("x", at, "array"), ([{**good, "name": "p%d" % i} for i in range(17)], at, "limit is 16")):
            self.assertIn(says, self.fault(campaign(media), "content_invalid", where), (media,))
        made = self.good(campaign([good]), 201)
        self.assertEqual(made["waves"][0]["content"]["media"], [good])
        self.good(campaign([good], channel="email", subject="a", html="<img src=\"cid:photo.jpg\">"), 201)
        self.good(campaign([good], channel="voice", flow={"play": "photo.jpg"}), 201)
        self.fault(campaign([good], channel="sms", text="x"), "content_invalid", "/waves/0/content")

    def test_media_in_use_stays(self):
        m = self.good(upload(JPEG + b"in use", "image/jpeg"), 201)["id"]
        c = self.good(campaign([{"media": m, "name": "photo.jpg"}]), 201)["id"]
        self.assertTrue(self.good(get("/" + m))["in_use"])
        refused = delete(m)
        self.assertEqual((refused.status, refused.slug), (409, "in-use"), refused)
        etag = daemon.get("/api/v1/campaigns/" + c).headers["ETag"]
        changed = daemon.request("PATCH", "/api/v1/campaigns/" + c, json_body={"waves": [{"channel": "mms", "content": {"text": "x"}}]},
                                 headers={"If-Match": etag, "Content-Type": "application/merge-patch+json"})
        self.good(changed)
        self.assertEqual(delete(m).status, 204)
        m = self.good(upload(JPEG + b"in use", "image/jpeg"), 201)["id"]
        c = self.good(campaign([{"media": m, "name": "photo.jpg"}]), 201)["id"]
        self.good(daemon.request("POST", "/api/v1/campaigns/%s/cancel" % c))
        self.assertEqual(delete(m).status, 204, "a campaign that is over holds nothing")


B = "----WebKitFormBoundary7MA4YWxkTrZu0gW"


def part(data, field="file", filename="photo.jpg", media="image/jpeg", more=""):
    head = 'Content-Disposition: form-data; name="%s"' % field + ('; filename="%s"' % filename if filename is not None else "")
    return (head + ("\r\nContent-Type: " + media if media else "") + more + "\r\n\r\n").encode() + data


def form(*parts, end="--\r\n", b=B):
    return b"".join(b"--" + b.encode() + b"\r\n" + p + b"\r\n" for p in parts) + b"--" + b.encode() + end.encode()


def send(body, media="multipart/form-data; boundary=" + B, query="", **headers):
    return daemon.request("POST", "/api/v1/media" + query, body=body, headers={"Content-Type": media, **headers})


class Forms(unittest.TestCase):
    """multipart/form-data, as a browser or curl -F sends it."""

    good, fault = Media.good, Media.fault

    def kept(self):
        return db.sql("SELECT count(*) FROM media")

    def test_a_form_is_the_same_media_as_its_file_alone(self):
        data = JPEG + b"by form"
        m = self.good(send(form(part(data, filename="C:\\fakepath\\a photo.jpg"))), 201)
        self.assertEqual((m["type"], m["bytes"], m["sha256"], m["name"]), ("image/jpeg", len(data), hashlib.sha256(data).hexdigest(), "a photo.jpg"))
        self.assertEqual(get("/%s/content" % m["id"]).body, data)
        self.assertEqual(self.good(upload(data, "image/jpeg"))["id"], m["id"])
        digest = "sha-256=:%s:" % base64.b64encode(hashlib.sha256(form(part(data))).digest()).decode()
        self.assertEqual(self.good(send(form(part(data)), **{"Content-Digest": digest}))["id"], m["id"])
        self.assertEqual(send(form(part(data + b"x")), **{"Content-Digest": digest}).slug, "digest-mismatch")
        key = {"Idempotency-Key": str(uuid.uuid4())}
        first, again = (send(form(part(data), b=b), "multipart/form-data; boundary=" + b, **key) for b in ("one", "two"))
        self.assertEqual((again.status, again.headers.get("Idempotency-Replayed"), again.json), (200, "true", first.json), "another boundary is not another file")

    def test_the_name_is_of_the_query_or_the_field_or_the_file(self):
        name = lambda i, *parts, query="": self.good(send(form(*[p + b"%d" % i if b"filename" in p else p for p in parts]), query=query), 201)["name"]
        file, field = part(JPEG + b"name"), part("\u82b1".encode(), "name", None, None)
        self.assertEqual([name(1, file, field, query="?name=q.jpg"), name(2, field, file), name(3, file)], ["q.jpg", "\u82b1", "photo.jpg"])
        self.assertEqual(name(4, part(JPEG + b"long", filename="\u82b1" * 60)), "\u82b1" * 33, "cut at a character")
        self.assertEqual(name(5, part(JPEG + b"no type", media=None, filename="")), None)
        self.fault(send(form(part(JPEG + b"bell", filename="a\tb"))), "invalid")

    def test_curl_sends_one(self):
        if not shutil.which("curl"):
            self.skipTest("curl is not installed")
        path = os.path.join(cluster.dir, "by curl.png")
        with open(path, "wb") as f:
            f.write(PNG + b"by curl")
        done = subprocess.run(["curl", "-sS", "--unix-socket", daemon.socket, "-F", "file=@" + path, "http://localhost/api/v1/media"], capture_output=True, text=True, timeout=30)
        m = json.loads(done.stdout)
        self.assertEqual((m["type"], m["name"], m["bytes"]), ("image/png", "by curl.png", len(PNG) + 7))

    def test_bytes_that_look_like_a_border_are_content(self):
        for i, data in enumerate((b"\r\nstarts with a line end", b"a\r\n--" + B.encode() + b"not the border", b"a\r\n--" + B.encode()[:-1] + b"\r\n", b"--" + B.encode() + b"--", b"\r\n\r\n\r\nx", b"-\r\n-\r\n--")):
            m = self.good(send(form(part(data, media="text/plain; charset=UTF-8"))), 201)
            self.assertEqual(get("/%s/content" % m["id"]).body, data, i)
        head = len(form(part(b""))) - len("\r\n--" + B + "--\r\n")
        for n in list(range(65536 - 48, 65540)) + list(range(131072 - head - 6, 131072 - head + 6)):  # the border at each place of what is read at once
            data = JPEG + b"x" * (n - len(JPEG))
            m = send(form(part(data))).json
            self.assertEqual((m["bytes"], m["sha256"]), (n, hashlib.sha256(data).hexdigest()))

    def test_what_is_no_form_with_one_file_is_refused_and_nothing_is_kept(self):
        file, mp, before = part(JPEG + b"refused"), "multipart/form-data", self.kept()
        whole = form(file)
        for body, says in ((form(file, part(PNG, "other", "b.png", "image/png")), "file_twice"), (form(part(b"", media=None), file), "file_twice"), (form(part(b"x", "name", None, None)), "file_missing"),
                           (b"--" + B.encode() + b"--\r\n", "file_missing"), (form(file, part(b"x", "comment", None, None)), "unknown_member"),
                           (form(file, part(b"a", "name", None, None), part(b"b", "name", None, None)), "unknown_member"), (form(file, part(b"x" * 101, "name", None, None)), "out_of_range"),
                           (form(part(b"")), "empty"), (form(part(PNG)), "media_differs"), (form(part(b"\x7fELF\x02" + bytes(60), media="application/octet-stream")), "media_unknown")):
            self.fault(send(body), says)
        for body, media, says in ((whole, mp, "boundary"), (whole, mp + "; boundary=", "boundary"), (whole, mp + "; boundary=" + "b" * 71, "boundary"), (whole, mp + '; boundary="' + B, "boundary"),
                                  (whole, mp + "; boundary=a; boundary=b", "boundary"), (whole, mp + "; boundary=other", "does not begin"), (b"preamble\r\n" + whole, None, "does not begin"),
                                  (JPEG, None, "does not begin"), (whole[:-4], None, "last boundary"), (whole[:200], None, "last boundary"), (whole + b"more", None, "follow"),
                                  (whole + whole, None, "follow"), (form(b"\r\ntext\r\n\r\n"), None, "Content-Disposition"), (form(b"Content-Type: image/jpeg\r\n\r\n" + JPEG), None, "Content-Disposition"),
                                  (form(part(JPEG, field="f" * 64)), None, "Content-Disposition"), (form(part(JPEG, filename="f" * 256)), None, "255 bytes"),
                                  (form(part(JPEG, filename='a"; filename="b')), None, "malformed"), (form(part(JPEG, more="\r\nX: " + "y" * 9000)), None, "8192"),
                                  (form(part(JPEG, more="\r\n folded: x")), None, "folded"), (form(part(JPEG, more="\r\nX: \0")), None, "NUL"),
                                  (form(part(base64.b64encode(JPEG), more="\r\nContent-Transfer-Encoding: base64")), None, "Transfer-Encoding"),
                                  (form(*[part(b"x", "name", None, None)] * 9), None, "8 parts"), (form(part(JPEG, media="text/plain; charset=gbk")), None, "UTF-8")):
            a = send(body, media or mp + "; boundary=" + B)
            self.assertEqual((a.status, a.slug), (400, "malformed-upload"), (says, a))
            self.assertIn(says, a.json["detail"])
        bad = send(form(part(PNG, media="application/x-msdownload")))
        self.assertEqual((bad.status, "x-msdownload" in bad.json["detail"]), (415, True), bad)
        self.assertEqual(send(whole, **{"Content-Encoding": "gzip"}).status, 415)
        self.assertEqual(daemon.request("PUT", "/api/v1/customers", body=whole, headers={"Content-Type": mp + "; boundary=" + B}).status, 415, "only where it is said")
        self.assertIn("multipart/form-data", upload(PNG, "application/x-msdownload").headers["Accept"])
        self.assertEqual(self.kept(), before)

    def test_limits_are_those_of_the_file(self):
        top = JPEG + bytes((16 << 20) - len(JPEG))
        self.assertEqual(self.good(send(form(part(top))), 201)["bytes"], 16 << 20)
        before = self.kept()
        big = send(form(part(top + b"x")))
        self.assertEqual((big.status, big.slug, big.json["limit"]), (413, "too-large", 16 << 20), big)
        for body in (bytes(8 << 20), form(part(JPEG))[:-8] + bytes(8 << 20)):
            self.assertEqual(send(body).status, 400)
        self.assertEqual(self.kept(), before)

    def test_who_is_slow_or_goes_away_leaves_nothing_and_holds_up_nobody(self):
        before, body = self.kept(), form(part(JPEG + bytes(100000)))
        d = harness.Daemon(db, plugins=os.environ.get("CAMPGW_PLUGIN_DIR", "."), optout=os.path.join(harness.ROOT, "conf", "optout.conf"), timeout_s=4)  # longer than a machine pauses
        head = "POST /api/v1/media HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=%s\r\nContent-Length: %d\r\n\r\n" % (B, len(body))
        slow = []
        for i in range(10):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(20)
            s.connect(d.socket)
            s.sendall(head.encode() + body[:200 + i])
            slow.append(s)
        slow.pop().close()
        try:
            self.assertEqual(d.get("/api/v1/media?limit=1").status, 200)
            for s in slow:
                while s.recv(4096):
                    pass
                s.close()
            self.assertEqual(self.kept(), before)
            self.assertEqual(os.listdir(d.spool), [])
        finally:
            self.assertEqual(d.stop(), 0, d.log()[-2000:])


class Responses(unittest.TestCase):
    """Rows as the outcome writer leaves them, read over HTTP."""

    good = Media.good

    def response(self, campaign, wave, kind, text, part=3, media=None):
        wave_id = db.sql("SELECT wave_id FROM wave JOIN campaign c USING (campaign_id) WHERE c.public_id = '%s' AND wave_no = %d" % (campaign, wave))
        row = db.sql("WITH t AS (INSERT INTO response_text (part, customer_id, body) VALUES (%d, 67, '%s') RETURNING text_id), r AS (INSERT INTO response (part, customer_id, ts, channel,"
                     " own_address, instance, kind, meaning, text_ref, partner_id, dedupe) SELECT %d, 67, now(), 2, '', 'x', %d, 0, text_id, 0, 1 FROM t RETURNING response_id)"
                     " INSERT INTO attribution SELECT %d, response_id, (%s::int8 << 32) + 5, 1, 1 FROM r RETURNING response_id" % (part, text, part, kind, part, wave_id))
        if media:
            db.sql("INSERT INTO response_media (part, response_id, media_no, media_id, name) SELECT %d, %s, 1, media_id, 'sent.jpg' FROM media WHERE public_id = '%s'" % (part, row, media))
        return row

    def test_what_people_answered_is_listed_and_counted(self):
        seven = daemon.key("responses:read", "campaigns:write", "media:write", "media:read", partner_id=7)
        eight = daemon.key("responses:read", partner_id=8)
        c = self.good(daemon.post("/api/v1/campaigns", {"name": "c", "waves": [{"channel": "mms", "content": {"text": "x"}}, {"channel": "voice", "content": {"flow": {"say": "x"}}}]},
                                  key=seven, headers={"Idempotency-Key": str(uuid.uuid4())}), 201)["id"]
        photo = self.good(upload(JPEG + b"received", "image/jpeg", key=seven), 201)["id"]
        for part, text in ((0, "Yes"), (3, " yes "), (63, "YES"), (3, "x" * 40)):
            self.response(c, 1, 1, text, part)
        self.response(c, 2, 2, "1")
        self.response(c, 1, 1, "look", media=photo)
        path = "/api/v1/campaigns/%s/" % c
        rows, page = [], self.good(daemon.get(path + "responses?limit=4", key=seven))
        while True:
            rows += page["data"]
            if not page["has_more"]:
                break
            page = self.good(daemon.get(page["next"], key=seven))
        self.assertEqual([(r["text"], r["kind"], r["wave"]) for r in rows],
                         [("look", "text", 1), ("1", "keys", 2), ("x" * 40, "text", 1), ("YES", "text", 1), (" yes ", "text", 1), ("Yes", "text", 1)])
        self.assertEqual(rows[0]["media"], [{"media": photo, "type": "image/jpeg", "bytes": len(JPEG) + 8, "name": "sent.jpg"}])
        self.assertEqual([r["text"] for r in self.good(daemon.get(path + "responses?wave=2", key=seven))["data"]], ["1"])
        self.assertEqual(self.good(daemon.get("/api/v1/responses/" + rows[0]["id"], key=seven)), rows[0])
        counted = self.good(daemon.get(path + "answers", key=seven))
        self.assertEqual((counted["responses"], counted["other"]), (6, 0))
        self.assertEqual([(a["answer"], a["kind"], a["channel"], a["n"]) for a in counted["answers"]],
                         [("yes", "text", "mms", 3), ("1", "keys", "voice", 1), ("look", "text", "mms", 1), (None, "text", "mms", 1)])
        self.assertEqual([daemon.get(p, key=eight).status for p in (path + "responses", path + "answers", "/api/v1/responses/" + rows[0]["id"])], [404] * 3)
        self.assertEqual(daemon.get("/api/v1/responses/rsp_00000000000000", key=seven).status, 404)
        self.assertEqual(delete(photo, key=seven).status, 409, "an answer holds it")
        self.assertEqual(daemon.get(path + "answers", key=daemon.key("campaigns:read", partner_id=7)).status, 403)


if __name__ == "__main__":
    unittest.main()
