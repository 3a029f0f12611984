# SPDX-License-Identifier: Apache-2.0
"""bench_email.py - the row `email`: channel_email in the gateway's host (tests/contract/email_driver) against Postfix's smtp-sink, one mail of
4 KB (text and HTML, personalised recipient, one-click header, VERP) per person. Measures the channel, not the database."""
import os
import subprocess
import sys
import tempfile

import benchkit as kit
import stack

sys.path.insert(0, os.path.join(stack.ROOT, "tests/contract"))
import mailpeers  # noqa: E402

CONNECTIONS = 8
HTML = "<html><body><p>Spring offer for you.</p>" + "<p>Twelve months for the price of ten, until Sunday.</p>" * 55 + "<a href=\"%unsubscribe_url%\">unsubscribe</a></body></html>"
PARTS = [{"role": "subject", "body": "Twelve for ten"}, {"role": "text", "body": "Spring offer for you.\n" * 20}, {"role": "html", "body": HTML}]


def email(opts):
    """messages/s and messages per CPU second of the process that holds host and channel."""
    if not mailpeers.tool("smtp-sink"):
        raise stack.StackError("smtp-sink is not installed (package postfix)")
    subprocess.run(["make", "-s", "-C", opts.build, "tests/contract/email_driver"], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory(prefix="cgw-bench-email.") as folder:
        sink = mailpeers.Sink()
        driver = mailpeers.Driver(opts.build, folder, port=sink.port, connections=CONNECTIONS, window=256, messages_per_connection=1000,
                                  domain_limits="*=100000/s", bounce_domain="b.shop.example", unsubscribe_url="https://u.shop.example/cb/mail/u")
        try:
            driver.up()
            driver.do("set", quiet=1)
            before = driver.ask("stats", "stats")
            with kit.Progress("mails", opts.contacts, opts.quiet):
                driver.do("send", to="p%d@", n=opts.contacts, domains=100, parts=PARTS, submit_ms=30000, patience_ms=600000)
                driver.do("wait", n=opts.contacts, ms=600000)
                began = kit.time.monotonic()
                driver.event("waited", seconds=900)
                took = kit.time.monotonic() - began
            after = driver.ask("stats", "stats")
        finally:
            driver.close()
            sink.close()
    cpu = after["cpu_s"] - before["cpu_s"]
    sent = after["counters"]["email_sent"]
    if sent != opts.contacts:
        raise stack.StackError("%d of %d mails were taken: %s" % (sent, opts.contacts, after))
    return {"messages_per_s": round(sent / took), "messages_per_cpu_s": round(sent / cpu), "cpu_us_per_message": round(cpu / sent * 1e6, 1), "connections": CONNECTIONS,
            "connections_opened": after["counters"]["email_connections"], "slowest_op_us": after["slowest_op_us"]}
