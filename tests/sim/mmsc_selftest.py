#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mmsc_selftest.py [PROGRAM] - speaks MM7 to mmscsim by hand and checks what it counts and complains about. TAP; loopback only, a few seconds."""
import base64
import http.client
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

WAIT_S = 20  # for what comes at once on a machine that runs us
PROGRAM = os.path.join(os.environ.get("CGW_BUILDDIR", "."), "tests/sim/mmscsim")
NS = "http://www.3gpp.org/ftp/Specs/archive/23_series/23.140/schema/REL-6-MM7-1-4"
GOOD = ("<MM7Version>6.8.0</MM7Version><SenderIdentification><VASPID>v</VASPID></SenderIdentification><Recipients><To><Number>+8613800000001</Number></To>"
        "</Recipients><ReadReply>false</ReadReply><Priority>Normal</Priority><Content href=\"cid:c\"/>")


def body(elements=GOOD, text="#1 hello", tid="t1", name="SubmitReq"):
    return ('--b\r\nContent-Type: text/xml\r\nContent-ID: <s>\r\n\r\n<?xml version="1.0"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header>'
            '<TransactionID xmlns="%s">%s</TransactionID></e:Header><e:Body><%s xmlns="%s">%s</%s></e:Body></e:Envelope>\r\n--b\r\nContent-Type: text/plain\r\n'
            'Content-ID: <c>\r\n\r\n%s\r\n--b--\r\n' % (NS, tid, name, NS, elements, name, text)).encode()


class Gateway(http.server.BaseHTTPRequestHandler):
    """Says 503 twice, then 1000 with the TransactionID as it came."""
    seen = []

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        Gateway.seen.append((self.headers["Authorization"], text))
        tid = re.search(r"TransactionID[^>]*>([^<]*)<", text)[1]
        answer = b"" if len(Gateway.seen) <= 2 else ("<a><TransactionID>%s</TransactionID><StatusCode>1000</StatusCode></a>" % tid).encode()
        self.send_response(200 if answer else 503)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


class Mmscsim(unittest.TestCase):
    def start(self, *args):
        self.dir = tempfile.TemporaryDirectory(prefix="mmscsim.")
        self.addCleanup(self.dir.cleanup)
        port_file, control = os.path.join(self.dir.name, "port"), os.path.join(self.dir.name, "ctl")
        self.child = subprocess.Popen([PROGRAM, "--port-file", port_file, "--control", control, *args], stdout=subprocess.DEVNULL)
        self.addCleanup(self.end)
        self.until(lambda: os.path.exists(port_file))
        with open(port_file, encoding="ascii") as f:
            self.port = int(f.read())
        self.ctl_socket = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.ctl_socket.close)
        self.ctl_socket.connect(control)
        self.ctl_socket.settimeout(WAIT_S)
        self.lines = self.ctl_socket.makefile("r")
        self.addCleanup(self.lines.close)

    def end(self):
        self.child.terminate()
        self.assertEqual(self.child.wait(WAIT_S), 0)

    def until(self, condition):
        end = time.monotonic() + WAIT_S
        while not condition():
            self.assertLess(time.monotonic(), end, "not within %d s" % WAIT_S)
            time.sleep(0.01)

    def ctl(self, line):
        self.ctl_socket.sendall(line.encode() + b"\n")
        return json.loads(self.lines.readline())

    def stats(self):
        return self.ctl("stats")

    def post(self, data, auth=None, kind='multipart/related; boundary=b; type="text/xml"; start="<s>"'):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        try:
            c.request("POST", "/mm7", data, {"Content-Type": kind, **({"Authorization": "Basic " + base64.b64encode(auth.encode()).decode()} if auth else {})})
            r = c.getresponse()
            return r.status, r.read().decode()
        finally:
            c.close()

    def test_a_good_message_is_taken_and_counted(self):
        self.start()
        status, text = self.post(body())
        self.assertEqual(status, 200)
        self.assertIn("<StatusCode>1000</StatusCode>", text)
        self.assertIn(">t1<", text)
        s = self.stats()
        self.assertEqual((s["taken"], s["accepted"], s["messages"]["unique"], s["messages"]["duplicate_taken"], s["complaints_total"]), (1, 1, 1, 0, 0), s)

    def test_copies_and_lost_answers_are_seen(self):
        self.start()
        self.post(body())
        self.ctl("set drop_answer_permille 1000")
        with self.assertRaises((ConnectionError, http.client.HTTPException)):
            self.post(body())
        with self.assertRaises((ConnectionError, http.client.HTTPException)):
            self.post(body(text="#2 hello"))
        s = self.stats()
        self.assertEqual((s["messages"]["unique"], s["messages"]["ambiguous"], s["messages"]["duplicate_taken"], s["ambiguous"]), (2, 1, 1, 2), s)

    def test_each_fault_of_the_client_is_a_complaint(self):
        self.start()
        swapped = GOOD.replace("<ReadReply>false</ReadReply><Priority>Normal</Priority>", "<Priority>Normal</Priority><ReadReply>false</ReadReply>")
        for kind, data, how in (("element_order", body(swapped), {}), ("version", body(GOOD.replace("6.8.0", "6.7.0")), {}),
                                ("content_missing", body(GOOD.replace("cid:c", "cid:d")), {}), ("transaction", body(tid=""), {}),
                                ("recipient_form", body(GOOD.replace("+86", "86")), {}), ("content_type", body(), {"kind": "text/xml"}),
                                ("smil_reference", body(text='<smil><img src="nobody"/></smil>'), {})):
            with self.subTest(kind):
                self.post(data, **how)
                self.assertEqual(self.stats()["complaints"].get(kind, {}).get("n"), 1, self.stats()["complaints"])

    def test_passwords_and_refusals(self):
        self.start("--auth", "a:b", "--error-permille", "1000", "--error-code", "2007")
        self.assertEqual(self.post(body())[0], 401)
        self.assertEqual(self.post(body(), auth="a:c")[0], 401)
        self.assertIn("2007", self.post(body(), auth="a:b")[1])
        s = self.stats()
        self.assertEqual((s["unauthorized"], s["refused"], s["taken"], s["messages"]["refused_only"]), (2, 1, 0, 1), s)

    def test_reports_are_repeated_until_1000(self):
        Gateway.seen.clear()
        server = http.server.HTTPServer(("127.0.0.1", 0), Gateway)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.start("--callback", "http://127.0.0.1:%d/x" % server.server_port, "--callback-auth", "u:p", "--report-repeat-ms", "30", "--shape", "2")
        self.post(body())
        self.until(lambda: self.stats()["reports_acked"] == 1)
        s = self.stats()
        self.assertEqual((s["reports_made"], s["reports_pushed_back"], s["echo_wrong"], len(Gateway.seen)), (1, 2, 0, 3), s)
        self.assertEqual(Gateway.seen[0][0], "Basic " + base64.b64encode(b"u:p").decode())
        self.assertEqual(self.ctl("mo +8613800000002 12345 STOP")["ok"], True)
        self.until(lambda: self.stats()["mo_acked"] == 1)
        self.assertIn("STOP", Gateway.seen[-1][1])

    def test_unknown_words_are_refused(self):
        self.start()
        self.assertEqual([self.ctl(x)["ok"] for x in ("set nothing 1", "set delay_ms x", "dance", "mo 1 2 x")], [False] * 4)
        self.assertEqual(subprocess.run([PROGRAM, "--nothing", "1"], stderr=subprocess.DEVNULL, check=False, timeout=WAIT_S).returncode, 2)


if __name__ == "__main__":
    if len(sys.argv) > 1 and os.path.exists(sys.argv[1]):
        PROGRAM = sys.argv.pop(1)
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../scripts/lib"))
    import pytap
    result = pytap.Tap()
    unittest.defaultTestLoader.loadTestsFromTestCase(Mmscsim).run(result)
    print("1..%d" % result.n)
    sys.exit(0 if result.wasSuccessful() else 1)
