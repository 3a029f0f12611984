# SPDX-License-Identifier: Apache-2.0
"""sippxml.py - sipp scenarios put together from steps: the far end of a call, as a telephone network would play it.

A scenario is a list of steps; scenario() makes the XML. sipp ends with status 0 only when every call went as written here: that is the
verdict on our side's SIP. Steps know nothing of the gateway.
"""
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="%s">\n'
DIALOG = """[last_Via:]
[last_From:]
[last_To:]%s
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port]>
"""
TAG = ";tag=[pid]s[call_number]"
# requests from the called side: From and To of the INVITE change places
REQUEST = """%(method)s [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From:[$to]""" + TAG + """
To:[$from]
[last_Call-ID:]
CSeq: %(cseq)d %(method)s
Contact: <sip:[local_ip]:[local_port]>
"""


def block(text):
    return "<![CDATA[\n%s\n]]>" % text


def with_body(head, body="", mime=""):
    if not body:
        return head + "Content-Length: 0\n\n"
    return head + "Content-Type: %s\nContent-Length: [len]\n\n%s" % (mime, body)


def sdp(port="[media_port]", formats="0 101", direction="sendrecv", version=1):
    names = {"0": "PCMU", "8": "PCMA", "101": "telephone-event", "96": "telephone-event"}
    maps = "".join("a=rtpmap:%s %s/8000\n" % (f, names[f]) for f in formats.split() if f in names)
    return "v=0\no=sipp 1 %d IN IP4 [local_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0\nm=audio %s RTP/AVP %s\n%sa=%s\n" % (version, port, formats, maps, direction)


def recv(what, *actions, optional=False, timeout=0, auth=False):
    kind = "response" if what.isdigit() else "request"
    extra = ' optional="true"' if optional else ""
    extra += ' timeout="%d"' % timeout if timeout else ""
    extra += ' rrs="true"' if what == "INVITE" else ""
    inner = "<action>%s</action>" % "".join(actions) if actions else ""
    return '<recv %s="%s"%s>%s</recv>\n' % (kind, what, extra, inner)


def again(what):
    """What may be repeated while the next step is awaited. sipp itself knows a repetition only until it has sent two messages; and a machine that
    pauses either side for T1 (500 ms, RFC 3261, 17.1.1.1) makes one."""
    return recv(what, optional=True)


def ereg(regexp, header=None, to="seen", check=True):
    where = 'search_in="hdr" header="%s"' % header if header else 'search_in="msg"'
    return '<ereg regexp="%s" %s%s assign_to="%s"/>' % (regexp, where, ' check_it="true"' if check else "", to)


def keep_names():
    return ereg(".*", "From:", "from") + ereg(".*", "To:", "to")


def verify(user, password):
    """Digest of the Authorization header; sipp looks at no other."""
    return '<verifyauth assign_to="good" username="%s" password="%s"/>' % (user, password)


def unless_good(*steps):
    """These steps only when verify() said no."""
    return '<nop hide="true" test="good" next="1"/>' + "".join(steps) + '<label id="1"/>\n'


def send(text, retrans=False):
    return "<send%s>%s</send>\n" % (' retrans="500"' if retrans else "", block(text))


def reply(code, reason, headers="", body="", tag=True, mime="application/sdp"):
    head = "SIP/2.0 %d %s\n" % (code, reason) + DIALOG % (TAG if tag else "") + headers
    return send(with_body(head, body, mime), retrans=code >= 200 and bool(body))


def ok_plain():
    return send(with_body("SIP/2.0 200 OK\n" + DIALOG % "", ""))


def request(method, cseq, headers="", body="", mime=""):
    return send(with_body(REQUEST % {"method": method, "cseq": cseq} + headers, body, mime), retrans=True)


def pause(ms):
    return '<pause milliseconds="%d"/>\n' % ms


def settle():
    """Behind an answer to a challenge; with DEAF. When sipp has to repeat the challenge, the ACK is repeated as well, behind the next INVITE:
    there it is unexpected, or stands for the ACK of the call."""
    return pause(300)


DEAF = ("-pause_msg_ign",)  # what comes during a pause is not looked at


def use(*names):
    return '<Reference variables="%s"/>\n' % ",".join(names)


def answered(port="[media_port]", formats="0 101", ring_ms=50):
    """Rings and picks up."""
    return (recv("INVITE", keep_names()) + reply(180, "Ringing") + pause(ring_ms) + reply(200, "OK", body=sdp(port, formats)) + again("INVITE") + recv("ACK"))


def their_bye():
    return recv("BYE") + ok_plain()


def refused(code, reason, headers="", ring=True):
    return recv("INVITE") + (reply(180, "Ringing") if ring else "") + reply(code, reason, headers) + again("INVITE") + recv("ACK")


def scenario(name, *steps, variables=("from", "to")):
    return HEAD % name + "".join(steps) + (use(*variables) if variables else "") + "</scenario>\n"
